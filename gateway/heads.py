"""The state of each account after everything that is decided, committed or still queued."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..eventstore import Append
from ..projections.projections import Projections
from ..statemachine.account import Account
from .clock import Clock


class Head(msgspec.Struct):
    """Where the next decision on an account starts; a reload begins a new generation.

    `queued` is the newest request that was queued on it, which the next one follows.
    """

    account: Account
    version: int
    generation: int = 0
    queued: Append | None = None


class Heads:
    """Loads heads when an account is first asked for; `loaded(name, head)` is told of each."""

    def __init__(
        self, projections: Projections, clock: Clock, loaded: Callable[[str, Head], None]
    ) -> None:
        self._projections = projections
        self._clock = clock
        self._loaded = loaded
        self._heads: dict[str, Head] = {}
        self._ahead = 0

    def now(self) -> int:
        """UTC ns, never before a record that is in the log.

        Where the last run had a clock that was ahead, this one goes on from there: timers would
        else wait for the difference to pass.
        """
        return self._clock.now() + self._ahead

    def names(self) -> list[str]:
        """The accounts that are loaded."""
        return list(self._heads)

    def of(self, name: str) -> Head:
        """The head of an account."""
        head = self._heads.get(name)
        return head if head is not None else self._load(name, 0)

    def reload(self, name: str) -> Head:
        """Forget what was queued and read the head back from the log."""
        self._projections.forget(name)
        return self._load(name, self._heads[name].generation + 1)

    def _load(self, name: str, generation: int) -> Head:
        view = self._projections.account(name)
        if view is None:
            head = Head(Account(), 0, generation)
        else:
            head = Head(view.machine, view.version, generation)
            self._ahead = max(self._ahead, view.at - self._clock.now())
        self._heads[name] = head
        self._loaded(name, head)
        return head
