"""The replay of an incident: open loop and closed loop.

Open loop feeds every recorded stimulus to today's code and compares outcome with outcome. Closed
loop drops the timers that the log's own clock fired and lets a virtual clock fire those that
today's code has set, so a changed delay shows with all its consequences.

What a decision can't know is taken from the record in both: the dice (`jitter`), the policy, what
the service added, and how the host kept time. A host fires a timer when it gets to it, at its due
instant or later, and another stimulus may get in first. So in a closed loop a timer that is due at
an instant at which the log has it too keeps its recorded lateness and place; one that the log
doesn't have fires when it is due. The same code therefore never diverges, open or closed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ...eventstore import Record
from ...eventstore.bundle_format import Bundle
from ...statemachine.account import Account, due_of, pending_timers
from ...statemachine.decision import decide
from ...statemachine.errors import LinewardenError
from ...statemachine.machine import Lookup, compiled_step
from ...statemachine.outcome import Outcome
from ...statemachine.stimuli import Stimulus, TimerFired, TimerName, name_of
from . import sealed
from .divergence import Decision, Divergence, Replayed, compare_traces, differ, summed
from .raised import raised
from .reading import (
    Content,
    Fed,
    Unreadable,
    Waiting,
    content_of,
    evolved,
    outcome_of,
    stimuli_of,
)

FIRINGS_MAX = 1_000_000
"""Timers that a closed loop fires at most: code under trial may set one at once, for ever."""

_canonical = msgspec.json.Encoder(order="sorted").encode


class Step(msgspec.Struct, frozen=True, gc=False):
    """One record of a run. What a closed loop adds has version 0 and position 0."""

    version: int
    position: int
    stimulus: Stimulus
    recorded: Outcome | None
    decided: Outcome
    before: Account
    after: Account


def run(stimuli: Iterable[Fed], before: Account, step: Lookup = compiled_step) -> Iterator[Step]:
    """Open loop: each stimulus, on the state that today's code made of those before."""
    account = before
    for fed in stimuli:
        decided, after = _tried(account, fed.stimulus, step)
        yield Step(fed.version, fed.position, fed.stimulus, fed.recorded, decided, account, after)
        account = after


def run_closed(
    stimuli: Iterable[Fed],
    before: Account,
    *,
    until: int | None = None,
    step: Lookup = compiled_step,
) -> Iterator[Step]:
    """Closed loop: timers come from the virtual clock, all else is fed as it is given.

    After the last stimulus timers go on up to `until` (UTC ns), if it is given.
    """
    return _ClosedLoop(list(stimuli), before, step).steps(until)


def divergence_of(step: Step) -> Divergence | None:
    """Where a step is decided otherwise than it was recorded, if it was."""
    if step.recorded is None:
        return None
    return differ(_decision(step, step.recorded), _decision(step, step.decided))


def _decision(one: Fed | Step, outcome: Outcome) -> Decision:
    """An outcome as a line of a trace: plain data."""
    plain: dict[str, Any] = msgspec.to_builtins(outcome)
    plain |= {"version": one.version or None, "position": one.position or None}
    return Decision(name_of(one.stimulus), one.stimulus.at, **plain)


def trace(steps: Iterable[Step]) -> Iterator[Decision]:
    """What a run decided, as plain data."""
    for one in steps:
        yield _decision(one, one.decided)


def compare(was: Iterable[Step], now: Iterable[Step]) -> Replayed:
    """Compare what two runs decided, record by record."""
    return compare_traces(trace(was), trace(now))


def replay(bundle: Bundle, closed: bool = False, step: Lookup = compiled_step) -> Replayed:
    """Compare every recorded outcome with what today's code decides."""
    if not closed:
        return _replay_open(bundle, step)
    try:
        stimuli = list(stimuli_of(bundle))
    except Unreadable:
        return _replay_open(bundle, step)
    recorded = (_decision(fed, fed.recorded) for fed in stimuli)
    return compare_traces(recorded, trace(run_closed(stimuli, bundle.before, step=step)))


def _replay_open(bundle: Bundle, step: Lookup) -> Replayed:
    """Bytes are compared with bytes; only where they differ is the record taken apart."""
    account = said = bundle.before
    found: list[Divergence] = []
    for count, record in enumerate(bundle.records, 1):
        try:
            content = content_of(record)
            decided, after = _tried(account, content.stimulus, step)
            same = _canonical(decided) == bytes(content.outcome)
            if same and said is account:
                said = after
            else:
                recorded = outcome_of(record, content)
                said = evolved(record, said, recorded)
        except Unreadable as error:
            found.append(_schema(record, error))
            return summed(count, found, len(bundle.records) - count)
        if (contradiction := _contradiction(record, content, said)) is not None:
            found.append(contradiction)
        elif not same:
            numbers = record.version, record.position
            divergence = divergence_of(
                Step(*numbers, content.stimulus, recorded, decided, account, after)
            )
            found += [divergence] if divergence is not None else []
        account = after
    return summed(len(bundle.records), found)


def _tried(account: Account, stimulus: Stimulus, step: Lookup) -> tuple[Outcome, Account]:
    """What is decided; `Raised` where the code under trial raises."""
    sealed.deciding = True
    try:
        return decide(account, stimulus, step)
    except Exception as error:  # noqa: BLE001 - whatever code under trial raises is a finding
        return raised(error), account
    finally:
        sealed.deciding = False


def _schema(record: Record, error: Unreadable) -> Divergence:
    numbers = record.version, record.position
    return Divergence("schema", *numbers, None, None, "body", None, error.message)


def _contradiction(record: Record, content: Content, said: Account) -> Divergence | None:
    """Where a record's own outcome leads to another state or epoch than it says itself."""
    state = said.state.value if said.state is not None else None
    if record.state == state and content.epoch == said.epoch:
        return None
    rule = outcome_of(record, content).rule
    field, written, folded = "epoch", content.epoch, said.epoch
    values = (field, written, folded) if record.state == state else ("state", record.state, state)
    return Divergence("self", record.version, record.position, rule, None, *values)


class _ClosedLoop:
    """One run; `_at` is the virtual clock (UTC ns)."""

    def __init__(self, stimuli: list[Fed], before: Account, step: Lookup) -> None:
        self._stimuli = stimuli
        self._account = before
        self._step = step
        self._at = 0
        self._fired: Counter[tuple[TimerName, str | None]] = Counter()
        self._taken: set[int] = set()
        self._spent: set[tuple[TimerName, str | None, int]] = set()
        self._firings: dict[tuple[TimerName, str | None], list[Fed]] = defaultdict(list)
        for fed in stimuli:
            if fed.late is not None and isinstance(fed.stimulus, TimerFired):
                self._firings[fed.stimulus.timer, fed.stimulus.reply].append(fed)

    def steps(self, until: int | None) -> Iterator[Step]:
        """Every step of the run, in order."""
        for fed in self._stimuli:
            yield from self._fire_due(fed.stimulus.at, fed.waiting)
            self._at = max(self._at, fed.stimulus.at)
            if fed.late is None:
                yield self._take(fed.version, fed.position, fed.stimulus, fed.recorded)
            elif isinstance(fed.stimulus, TimerFired) and self._is_same(fed, fed.stimulus):
                # In a fork the account may have another controller than in the record.
                fired = msgspec.structs.replace(fed.stimulus, controller=self._account.controller)
                yield self._fire(fired, self._claim(fed))
        if until is not None:
            yield from self._fire_due(until, frozenset())

    def _is_same(self, fed: Fed, fired: TimerFired) -> bool:
        """Whether today's code waits for the very timer that fired here, due at that instant."""
        due = due_of(self._account, fired.timer, fired.reply)
        return due is not None and due == fired.at - (fed.late or 0)

    def _fire_due(self, upto: int, waiting: Waiting) -> Iterator[Step]:
        """Fire what is due by now, in order of (due, name, reply), but for what still waited.

        A host lets each timer fire once, even where the decision on it leaves it set.
        """
        while True:
            due = {
                (timer, reply, at)
                for (timer, reply), at in pending_timers(self._account).items()
                if at <= upto and (timer, reply, at) not in self._spent
            }
            due -= waiting
            if not due:
                return
            timer, reply, at = min(due, key=lambda one: (one[2], one[0], one[1] or ""))
            self._at = max(self._at, at)
            self._spent.add((timer, reply, at))
            firings = self._firings[timer, reply]
            number = self._fired[timer, reply]
            known = firings[number] if number < len(firings) else None
            jitter = known.stimulus.jitter if known is not None else 0
            yield self._fire(
                TimerFired(
                    at=self._at,
                    controller=self._account.controller,
                    source="timer",
                    jitter=jitter,
                    timer=timer,
                    reply=reply,
                ),
                self._claim(known),
            )

    def _claim(self, known: Fed | None) -> Fed | None:
        """The recorded firing that a firing stands for; each stands for one only."""
        if known is None or known.version in self._taken:
            return None
        self._taken.add(known.version)
        return known

    def _fire(self, fired: TimerFired, known: Fed | None) -> Step:
        self._fired[fired.timer, fired.reply] += 1
        if self._fired.total() > FIRINGS_MAX:
            raise LinewardenError(
                f"the closed loop fired {FIRINGS_MAX} timers and has not come to its end",
                hint="the code under trial sets a timer again and again; replay the open loop",
            )
        if known is None:
            return self._take(0, 0, fired, None)
        return self._take(known.version, known.position, fired, known.recorded)

    def _take(
        self, version: int, position: int, stimulus: Stimulus, recorded: Outcome | None
    ) -> Step:
        before = self._account
        decided, self._account = _tried(before, stimulus, self._step)
        return Step(version, position, stimulus, recorded, decided, before, self._account)
