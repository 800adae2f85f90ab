"""What only the service knows, added to a stimulus before it is decided and so recorded with it.

The dice for a delay, the policy in force, how many replies other accounts hold, and whether a reply
was submitted before: the machine reads them from the stimulus, and a replay needs none of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..eventstore import Reader
from ..statemachine import stimuli as st
from ..statemachine.account import Account
from ..statemachine.policy import overrides_of, policy_of
from .dice import Dice

_DRAWING_TIMERS = ("connect_deadline", "silence", "pairing")
_DRAWING = (
    *st.CLOSES, st.SocketClosed, st.Silence, st.PairingFailed, st.ServiceStarted, st.Claimed,
)  # fmt: skip


class Knowledge:
    """Completes stimuli."""

    def __init__(
        self,
        reader: Reader,
        dice: Dice,
        policy: dict[str, Any] | None,
        policies: dict[str, dict[str, Any]] | None,
    ) -> None:
        self._reader = reader
        self._dice = dice
        self._policy = overrides_of(policy_of(policy))
        self._policies = {
            name: overrides_of(policy_of(given)) for name, given in (policies or {}).items()
        }
        self._open: dict[str, int] = {}
        self._open_total = 0
        self._queued: dict[tuple[str, str], int] = {}

    def set_policy(self, name: str, policy: dict[str, Any]) -> None:
        """What differs for an account from the common policy, from its next claim or start on."""
        self._policies[name] = overrides_of(policy_of({**self._policy, **policy}))

    def complete(self, name: str, account: Account, stimulus: st.Stimulus) -> st.Stimulus:
        """The stimulus with everything that a decision on it may need."""
        policy = self._policies.get(name, self._policy)
        added: dict[str, Any] = {}
        if isinstance(stimulus, st.Claimed | st.ServiceStarted) and not stimulus.policy and policy:
            added["policy"] = policy
        if isinstance(stimulus, st.ReplySubmitted):
            elsewhere = self._open_total - self._open.get(name, 0)
            if elsewhere and not stimulus.held_elsewhere:
                added["held_elsewhere"] = elsewhere
            earlier = self._earlier(name, account, stimulus.reply)
            if earlier is not None:
                added["earlier"] = earlier
        if _may_draw(stimulus):
            given = policy_of(policy) if isinstance(stimulus, st.Claimed) else account.policy
            drawn = self._dice.jitter(float(given.jitter))
            if drawn:
                added["jitter"] = drawn
        return msgspec.structs.replace(stimulus, **added) if added else stimulus

    def _earlier(self, name: str, account: Account, reply: str) -> int | None:
        """The version of the reply's first submission, where the state no longer holds it."""
        if reply in (account.replies or {}):
            return None
        queued = self._queued.get((name, reply))
        if queued is not None:
            return queued
        of_reply = self._reader.of_reply(name, reply)
        submitted = (record.version for record in of_reply if record.type == "reply_submitted")
        return next(submitted, None)

    def note_open(self, name: str, account: Account) -> None:
        """Count the replies without an outcome that an account has."""
        count = len(account.replies or ())
        self._open_total += count - self._open.get(name, 0)
        self._open[name] = count

    def note_queued(self, name: str, stimulus: st.Stimulus, after: Account, version: int) -> None:
        """A decision is queued and not yet to be found in the log."""
        self.note_open(name, after)
        if isinstance(stimulus, st.ReplySubmitted) and stimulus.earlier is None:
            self._queued.setdefault((name, stimulus.reply), version)

    def note_committed(self, name: str, reply: str | None) -> None:
        """A record of this reply is in the log: from here on the log is asked."""
        if reply is not None:
            self._queued.pop((name, reply), None)

    def forget_queued(self, name: str) -> None:
        """What was queued for an account was not committed."""
        for key in [key for key in self._queued if key[0] == name]:
            del self._queued[key]


def _may_draw(stimulus: st.Stimulus) -> bool:
    """Whether a decision on it may need jitter."""
    if isinstance(stimulus, st.TimerFired):
        return stimulus.timer in _DRAWING_TIMERS
    return isinstance(stimulus, _DRAWING)
