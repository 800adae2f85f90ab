"""Where time comes from: the only reading of a clock in the package, injected everywhere."""

from __future__ import annotations

import time
from typing import Protocol

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Counts through a suspended machine where the system has such a clock."""


class Clock(Protocol):
    """Tells the time of the world, or of a test."""

    def now(self) -> int:
        """UTC in nanoseconds; never less than what it said before."""
        ...


class SystemClock:
    """UTC as it was at the start, carried on by a steady clock.

    Someone who sets the system's clock while the service runs changes no decision: a timer would
    else fire early, never, or be taken for stale.
    """

    def __init__(self) -> None:
        self._origin = time.time_ns() - time.clock_gettime_ns(_STEADY)

    def now(self) -> int:
        """UTC in nanoseconds, steady since this clock was made."""
        return self._origin + time.clock_gettime_ns(_STEADY)


class VirtualClock:
    """A clock that stands until it is told to go on: for scenarios, tests and replays."""

    def __init__(self, start: int = 1_700_000_000_000_000_000) -> None:
        self._now = start

    def now(self) -> int:
        """UTC in nanoseconds."""
        return self._now

    def advance_to(self, instant: int) -> None:
        """Go on to an instant (UTC ns); it never goes back."""
        self._now = max(self._now, instant)
