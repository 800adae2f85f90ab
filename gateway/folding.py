"""Storms stay small: what is observed again at once and changes nothing shares one record.

The first of a storm is written as ever, so a lone stimulus waits for nothing. Those like it that
follow within a second are decided each at its own time, on the same state, and held back; where
they came to the same nothing, one record stands for all of them, with how many they were and when
the last one was. It says what each of them would have said, so a replay decides it once.

Whatever else is decided of the account first writes what is held back. Nobody is told of a stimulus
before its record is on disk, so a crash loses only what was not acknowledged. Where somebody waits
for that, the pump holds it back for less (`HURRY_S`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..statemachine import stimuli as st
from ..statemachine.account import Account
from ..statemachine.outcome import Outcome
from ..statemachine.policy import NS
from .ticket import Ticket

FOLD_NS = NS
"""How far apart stimuli may be that share a record, and how long one is held back at most."""

_KEEPING = (st.SubjectErased, st.Archived)
"""Their records do more than they say."""

Write = Callable[[Ticket, st.Stimulus, Outcome, Account], None]


class Ignored(msgspec.Struct):
    """A stimulus that was ignored: what the next one is compared with. `like` tells it apart."""

    ticket: Ticket
    stimulus: st.Stimulus
    outcome: Outcome
    after: Account
    like: st.Stimulus
    last_at: int

    def same(self, other: Ignored) -> bool:
        """Whether the other is the same stimulus of the same cause, ignored by the same rule."""
        return (
            self.like == other.like
            and self.outcome == other.outcome
            and self.ticket.cause == other.ticket.cause
        )


class Folding:
    """Holds back what may share a record; `write` gets everything else, and it, in order."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._newest: dict[str, Ignored] = {}
        self._held: dict[str, list[Ignored]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def take(self, ticket: Ticket, stimulus: st.Stimulus, outcome: Outcome, after: Account) -> None:
        """Take the newest decision on an account: held back, or written behind what was held."""
        name = ticket.account
        decision = _ignored(ticket, stimulus, outcome, after)
        held = self._held.get(name)
        if decision is not None and held is not None and _joins(decision, held):
            held.append(decision)
            return
        if held is not None:
            self.release(name)
        newest = self._newest.get(name)
        if decision is not None and newest is not None and _follows(decision, newest):
            self._held[name] = [decision]
            return
        if decision is not None:
            self._newest[name] = decision
        elif newest is not None:
            del self._newest[name]
        self._write(ticket, stimulus, outcome, after)

    def release(self, name: str) -> None:
        """Write what is held back of an account."""
        held = self._held.pop(name, None)
        if held is None:
            return
        first, last = held[0], held[-1]
        if len(held) > 1:
            times = sum(one.stimulus.times for one in held)
            first.stimulus = msgspec.structs.replace(
                first.stimulus, times=times, last_at=last.last_at
            )
            first.ticket = msgspec.structs.replace(
                first.ticket, then=None, folded=[one.ticket for one in held]
            )
        try:
            self._write(first.ticket, first.stimulus, first.outcome, first.after)
            self._newest[name] = last
        except Exception as error:  # noqa: BLE001 - it's theirs, not of whoever came after them
            for one in held:
                one.ticket.tell(error)

    def release_all(self) -> None:
        """Write what is held back of all accounts."""
        for name in list(self._held):
            self.release(name)

    def forget(self, name: str) -> None:
        """What an account's queue holds is not in the log and will be decided anew.

        What is held back goes behind it in the queue, to fail in its turn and be decided after it.
        """
        self.release(name)
        self._newest.pop(name, None)


def _ignored(
    ticket: Ticket, stimulus: st.Stimulus, outcome: Outcome, after: Account
) -> Ignored | None:
    """The decision, if it changed nothing, asked for nothing and settled nothing."""
    if outcome.changes or outcome.effects or outcome.settled or isinstance(stimulus, _KEEPING):
        return None
    like = msgspec.structs.replace(stimulus, at=0, jitter=0, times=1, last_at=None)
    return Ignored(ticket, stimulus, outcome, after, like, stimulus.last_at or stimulus.at)


def _joins(decision: Ignored, held: list[Ignored]) -> bool:
    first, last = held[0], held[-1]
    return (
        decision.same(first)
        and last.last_at <= decision.stimulus.at
        and (decision.last_at < first.stimulus.at + FOLD_NS)
    )


def _follows(decision: Ignored, newest: Ignored) -> bool:
    gap = decision.stimulus.at - newest.last_at
    return decision.same(newest) and 0 <= gap < FOLD_NS
