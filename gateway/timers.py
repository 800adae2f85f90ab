"""The timers that outcomes have set, of all accounts of a service, soonest first.

An outcome that replaces or cancels a timer leaves the old entry in the heap; it is dropped when it
comes up, because the account no longer waits for it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec

from ..statemachine.account import REPLY_TIMERS, TIMERS, Account, pending_timers
from ..statemachine.outcome import Outcome
from ..statemachine.stimuli import TimerFired, TimerName

_FIELDS: dict[str, TimerName] = {name + "_at": name for name in TIMERS}


class Timer(msgspec.Struct, order=True):
    """A timer of an account; `cause` is the version of the record that set it, and of its root."""

    due: int
    number: int
    account: str
    timer: TimerName
    reply: str | None
    cause: tuple[int, int]

    def fired(self, now: int, controller: str | None) -> TimerFired:
        """What is observed when it comes due."""
        return TimerFired(
            at=max(self.due, now),
            controller=controller,
            source="timer",
            timer=self.timer,
            reply=self.reply,
        )


class Timers:
    """A heap of timers; `is_set` tells whether an account still waits for one."""

    def __init__(self, is_set: Callable[[Timer], bool]) -> None:
        self._is_set = is_set
        self._heap: list[Timer] = []
        self._number = 0

    def next_due(self) -> int | None:
        """The instant (UTC ns) of the soonest timer that is still set."""
        while self._heap and not self._is_set(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def take(self) -> Timer:
        """Take the soonest timer out."""
        return heapq.heappop(self._heap)

    def set_changed(self, name: str, outcome: Outcome, cause: tuple[int, int]) -> None:
        """Set what an outcome sets."""
        for field, value in outcome.changes.items():
            timer = _FIELDS.get(field)
            if timer is not None and value is not None:
                self._set(name, timer, None, value, cause)
        for key, reply in (outcome.changes.get("replies") or {}).items():
            for timer in REPLY_TIMERS:
                due = getattr(reply, timer + "_at", None)
                if due is not None:
                    self._set(name, timer, key, due, cause)

    def set_all(self, name: str, account: Account, cause: tuple[int, int]) -> None:
        """Set everything that an account waits for, as read back from the log."""
        for (timer, reply), due in pending_timers(account).items():
            self._set(name, timer, reply, due, cause)

    def _set(
        self, name: str, timer: TimerName, reply: str | None, due: int, cause: tuple[int, int]
    ) -> None:
        self._number += 1
        heapq.heappush(self._heap, Timer(due, self._number, name, timer, reply, cause))
