"""The state of an account: the fold of its stream, no more than the next decision needs.

Only the newest controller has a lifecycle here; of older ones remains who they were logged in as
and which of their sockets are not known to be over. Timers are fields (`retry_at` …): the instant
at which they are due. Replies are held only while they have no outcome. Everything is bounded.
"""

from __future__ import annotations

from itertools import compress
from operator import is_not
from typing import Any, Literal

import msgspec

from .closes import CloseClass
from .identity import Identity
from .lifecycle import Phase, State
from .policy import DEFAULT, Policy, recorded_policy
from .stimuli import TimerName

RETIRED_MAX = 1024
"""Older controllers that are remembered; a reply captured on one before them is refused."""

LINKS_MAX = 512
"""Entries of the library's PN↔LID map that are remembered, two for each link."""

LINGERING_MAX = 64
"""Older controllers whose sockets are remembered, and sockets of each: who never says that one is
over (an engine without `socket_closed`) is waited for by the newest alone."""


class Hold(msgspec.Struct, frozen=True):
    """No dial before `until` (UTC ns): the server asked for patience."""

    kind: Literal["banned", "outdated"]
    until: int


class Close(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last close of the newest socket, as far as its echoes need it.

    `kind` is the class of its code; `attempts`, `unknowns` and `restarted` are what to give back
    when a more severe word about the same close replaces it.
    """

    socket: int
    at: int
    kind: CloseClass
    attempts: int = 0
    unknowns: int = 0
    restarted: bool = False


class AskedClaim(msgspec.Struct, frozen=True):
    """A claim that an outcome asked for; outstanding until `until` (UTC ns)."""

    reason: str
    until: int


class PairingWindow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Until `until` (UTC ns, inclusive) a 401 is part of pairing and no logout."""

    until: int
    opened: bool = False


class Lingering(msgspec.Struct, frozen=True):
    """Sockets and dials of a controller that are not known to be over."""

    holder: str
    sockets: list[int]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reply without an outcome. Instants are UTC ns; `captured` None takes whoever is proven."""

    chat: str
    deadline_at: int
    captured: Identity | None = None
    via: str | None = None
    sends: int = 0
    reply_deadline_at: int | None = None
    resend_at: int | None = None
    send_deadline_at: int | None = None
    unsent: bool = False

    @property
    def in_flight(self) -> bool:
        """Whether a send is under way and unanswered."""
        return self.send_deadline_at is not None


class Account(msgspec.Struct, gc=False, omit_defaults=True):
    """Everything that a decision on an account depends on."""

    epoch: int = 0
    controller: str | None = None
    holder: str | None = None
    state: State | None = None
    phase: Phase | None = None
    reason: str | None = None
    cause: str | None = None
    degraded: bool = False
    since: int = 0
    attempt: int = 0
    unknowns: int = 0
    restarted: bool = False
    socket: int = 0
    socket_state: Literal["none", "dialing", "open", "closing", "closed"] = "none"
    opened_at: int = 0
    proof: int = 0
    active: bool = False
    identity: Identity | None = None
    proven: Identity | None = None
    known: Identity | None = None
    close: Close | None = None
    hold: Hold | None = None
    outage: bool = False
    window: PairingWindow | None = None
    claim: AskedClaim | None = None
    purge: Literal["asked", "done"] | None = None
    own_doing: bool = False
    late_opening: int | None = None
    gap_since: int | None = None
    gap_told: bool = False
    retry_at: int | None = None
    hold_at: int | None = None
    connect_deadline_at: int | None = None
    pairing_at: int | None = None
    stability_at: int | None = None
    handover_at: int | None = None
    silence_at: int | None = None
    gap_notice_at: int | None = None
    overrides: dict[str, Any] | None = None
    lingering: dict[str, Lingering] | None = None
    retired: dict[str, Identity] | None = None
    links: dict[str, str] | None = None
    replies: dict[str, Reply] | None = None

    @property
    def policy(self) -> Policy:
        """The policy in force; one object is shared by all accounts with the same overrides."""
        return recorded_policy(tuple(self.overrides.items())) if self.overrides else DEFAULT

    @property
    def live(self) -> bool:
        """Whether the newest controller is connected with a proven identity."""
        return self.state is State.CONNECTED and self.identity is not None


FIELDS = Account.__struct_fields__
_PLACES = range(len(FIELDS))
TIMERS: tuple[TimerName, ...] = (
    "retry", "hold", "connect_deadline", "pairing",
    "stability", "handover", "silence", "gap_notice",
)  # fmt: skip
"""The timers of a controller; each is the field of its name with `_at`."""

REPLY_TIMERS: tuple[TimerName, ...] = ("reply_deadline", "resend", "send_deadline")
"""The timers of a reply, in the same way."""

_VALUES: dict[str, Any] = {
    "state": State,
    "phase": Phase,
    "identity": Identity,
    "proven": Identity,
    "known": Identity,
    "close": Close,
    "hold": Hold,
    "window": PairingWindow,
    "claim": AskedClaim,
}
_MAPS: dict[str, Any] = {
    "lingering": Lingering,
    "retired": Identity,
    "links": str,
    "replies": Reply,
}


def delta(before: Account, after: Account) -> dict[str, Any]:
    """The least changes that lead from one state to the other; maps by changed key."""
    old, new = msgspec.structs.astuple(before), msgspec.structs.astuple(after)
    changes: dict[str, Any] = {}
    for place in compress(_PLACES, map(is_not, old, new)):
        was, now = old[place], new[place]
        if was != now:
            name = FIELDS[place]
            changes[name] = _map_delta(was or {}, now) if name in _MAPS else now
    return changes


def _map_delta(old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any] | None:
    if new is None:
        return None
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    changed.update((key, None) for key in old if key not in new)
    return changed


def evolve(account: Account, changes: dict[str, Any]) -> Account:
    """The next state by the changes of an outcome, as decided or as read back from a record.

    Pure: the given account is not touched. Raises `msgspec.ValidationError` for changes that no
    account has; a record that was hashed as it was decided has none.
    """
    after: Account = msgspec.structs.replace(account)
    for name, value in changes.items():
        if value is not None:
            if name in _VALUES:
                value = msgspec.convert(value, _VALUES[name])
            elif name in _MAPS:
                value = _merged(getattr(account, name), value, _MAPS[name])
        setattr(after, name, value)
    return after


def _merged(old: dict[str, Any] | None, changes: dict[str, Any], kind: Any) -> dict[str, Any]:
    merged = dict(old) if old else {}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = msgspec.convert(value, kind)
    return merged


def due_of(account: Account, timer: TimerName, reply: str | None) -> int | None:
    """When a timer is due (UTC ns); None where it is not set."""
    holder = account if reply is None else (account.replies or {}).get(reply)
    due: int | None = getattr(holder, timer + "_at", None)
    return due


def pending_timers(account: Account) -> dict[tuple[TimerName, str | None], int]:
    """All timers that are set, `(timer, reply or None)` to the instant (UTC ns) they are due."""
    asked: list[tuple[TimerName, str | None]] = [(name, None) for name in TIMERS]
    asked += [(name, key) for key in account.replies or () for name in REPLY_TIMERS]
    found = {(name, key): due_of(account, name, key) for name, key in asked}
    return {key: due for key, due in found.items() if due is not None}
