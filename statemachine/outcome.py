"""What was decided: the rule, the changes of state, the effects asked for. Data, never a call."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Dial(msgspec.Struct, frozen=True, tag_field="effect", tag="dial"):
    """See that exactly one attempt to connect is under way; the answer names the socket."""

    controller: str
    socket: int


class CloseSocket(
    msgspec.Struct, frozen=True, tag_field="effect", tag="close_socket", omit_defaults=True
):
    """Close and confirm; `force` says that asking was not enough (a worker is killed then)."""

    controller: str
    socket: int
    force: bool = False


class Purge(msgspec.Struct, frozen=True, tag_field="effect", tag="purge"):
    """Delete the session of a logged-out controller."""

    controller: str


class Claim(msgspec.Struct, frozen=True, tag_field="effect", tag="claim"):
    """Claim the account anew by a successor; `reason` is the command or policy that asks."""

    reason: str


class Notify(msgspec.Struct, frozen=True, tag_field="effect", tag="notify"):
    """Tell the operator once: the notice is a state, a hold's class, a reason, or `gap`."""

    controller: str
    notice: str


class Send(msgspec.Struct, frozen=True, tag_field="effect", tag="send"):
    """Write one reply through a controller; `chat` is a token of the vault."""

    reply: str
    controller: str
    chat: str


Effect = Dial | CloseSocket | Purge | Claim | Notify | Send

ReplyOutcome = Literal["sent", "uncertain", "refused", "rejected", "expired", "cancelled"]


class Settled(msgspec.Struct, frozen=True, omit_defaults=True):
    """The one outcome of a reply, with the reason of a refusal."""

    outcome: ReplyOutcome
    reason: str | None = None


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The decision on one stimulus.

    `changes` is the least set of fields of the account that are new; a field that holds a map has
    only the changed keys, and a key with null is gone. Timers are fields too: an instant sets one,
    null cancels it. `settled` are the replies that got their outcome.
    """

    rule: str
    changes: dict[str, Any] = {}
    effects: list[Effect] = []
    settled: dict[str, Settled] = {}
