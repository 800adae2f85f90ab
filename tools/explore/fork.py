"""What if: a fork of an incident, run closed loop, compared with what happened.

A stimulus is changed, or it is dropped or moved in time together with what it caused. Timers come
from the virtual clock, so a fork shows retries, deadlines and notices that the log does not have.
The world outside is not simulated: what an engine or a server said stays as it was recorded, also
where in the fork nobody asked for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, count
from typing import Any

import msgspec
from msgspec.structs import replace

from ...eventstore.bundle_format import Bundle
from ...statemachine.account import due_of, pending_timers
from ...statemachine.errors import InputError
from ...statemachine.outcome import Settled
from ...statemachine.policy import NS
from ...statemachine.stimuli import TimerFired
from .. import wording
from ..moments import clock, span_of
from ..replay.divergence import Divergence, Replayed, summed
from ..replay.replay import Step, compare, replay, run_closed
from .causes import read
from .edits import MOVED_S_MAX, edit
from .scene import Scene, fate

Firing = tuple[str, str | None, int, int]


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that is other in the fork: what it was then and is now, None where it is not.

    `note` says why, or that `now` lies behind the end of the run.
    """

    what: str
    then: Any
    now: Any
    note: str = ""


class Fork(msgspec.Struct, frozen=True):
    """A fork beside what happened; instants are UTC ns.

    `edits` is what was changed, in words. `already` counts the records that today's code decides
    otherwise without any change: then all else is compared with what it makes of the incident.
    `records` are the differing records, `timers` those that fire at another instant or in one of
    both only, `replies` those with another outcome in the end, `states` the way of the state, each
    with its instant.
    """

    edits: list[str]
    already: int
    records: Replayed
    timers: list[Change]
    replies: list[Change]
    states: Change


def fork(
    bundle: Bundle,
    sets: Sequence[str] = (),
    drops: Sequence[str] = (),
    delays: Sequence[str] = (),
    run_on: str | None = None,
) -> Fork:
    """Fork an incident: `sets` are `POS.field=value`, `drops` POS, `delays` `POS=+30s`.

    `run_on` is how long the clock goes on after the last stimulus, such as `10m`. Raises
    `InputError` for what is no place, no field or no span.
    """
    if not (sets or drops or delays):
        raise InputError("there is nothing to change", hint="give --set, --drop or --delay")
    stimuli, causes = read(bundle)
    feds, told = edit(stimuli, causes, sets, drops, delays)
    end = max(fed.stimulus.at for fed in chain(stimuli, feds))
    same_end = not feds or end == stimuli[-1].stimulus.at == feds[-1].stimulus.at
    until = (
        None if run_on is None and same_end else end + _run_on("0s" if run_on is None else run_on)
    )
    then, now = _numbered(
        list(run_closed(stimuli, bundle.before, until=until)),
        list(run_closed(feds, bundle.before, until=until)),
    )
    already = replay(bundle, closed=True).divergences
    return Fork(
        told,
        len(already),
        summed(len(stimuli), _in_time(compare(then, now).divergences, then)),
        _timers(then, now, end, run_on is not None),
        _replies(then, now),
        Change("state", _states(then), _states(now)),
    )


def _in_time(found: Iterable[Divergence], then: Sequence[Step]) -> list[Divergence]:
    """Differences in the order in which they happened, or now happen."""
    at = accumulate((step.stimulus.at for step in then), max)
    when = dict(zip((step.version for step in then), at, strict=True))
    return sorted(
        found, key=lambda one: one.now["at"] if one.kind == "extra" else when[one.version or 0]
    )


def _numbered(then: list[Step], now: list[Step]) -> tuple[list[Step], list[Step]]:
    """Number the timers that the log doesn't have; one that fires in both has one number.

    What fires in both at the same instant is the same, whichever of the log's it stood for.
    """
    last = max((step.version for step in then), default=0)
    added = count(last + 1)
    then = [step if step.version else replace(step, version=next(added)) for step in then]
    known = {firing: step for firing, step in zip(_firings(then), then, strict=True) if firing}
    firings = list(_firings(now))
    taken = {known[firing].version for firing in firings if firing in known}

    def number(step: Step, firing: Firing | None) -> Step:
        if firing is None:
            return step
        if firing in known:
            same = known[firing]
            return replace(step, version=same.version, position=same.position)
        return replace(step, version=0, position=0) if step.version in taken else step

    return then, [number(*pair) for pair in zip(now, firings, strict=True)]


def _firings(steps: Iterable[Step]) -> Iterator[Firing | None]:
    """Of each step that is a timer: which one, when, and the how manieth at that instant."""
    seen: Counter[tuple[str, str | None, int]] = Counter()
    for step in steps:
        fired = step.stimulus
        if isinstance(fired, TimerFired):
            itself = (fired.timer, fired.reply, fired.at)
            seen[itself] += 1
            yield *itself, seen[itself]
        else:
            yield None


def _run_on(text: str) -> int:
    ns = span_of(text)
    if not 0 <= ns <= MOVED_S_MAX * NS:
        raise InputError("the clock goes on for 0 s to 31 days", hint="--run-on 10m")
    return ns


def _timers(then: Sequence[Step], now: Sequence[Step], end: int, whole: bool) -> list[Change]:
    """The timers that fire at another instant, or in one of both only, in the order of time.

    Those that the fork still has at its `end` (UTC ns) would fire later; `whole` leaves out the
    ones that never fired.
    """
    was = {step.version: step for step in then if isinstance(step.stimulus, TimerFired)}
    changes: list[Change] = []
    for step in now:
        if isinstance(step.stimulus, TimerFired):
            old = was.pop(step.version, None)
            before = old.stimulus.at if old is not None else None
            if before != step.stimulus.at:
                changes.append(Change(_timer(step.stimulus), before, step.stimulus.at))
    pending = pending_timers(now[-1].after) if now else {}
    cancelled = _cancelled(now) if was else {}
    for step in was.values():
        fired = step.stimulus
        assert isinstance(fired, TimerFired)
        timer = (fired.timer, fired.reply)
        due = pending.pop(timer, None)
        by = cancelled.get((*timer, due_of(step.before, *timer)))
        note = _later(due, end) if due is not None else by or "not set for that instant"
        changes.append(Change(_timer(fired), fired.at, due, note))
    if not whole:
        known = pending_timers(then[-1].after) if then else {}
        changes += [
            Change(_timer_of(*timer), None, due, _later(due, end))
            for timer, due in pending.items()
            if timer not in known
        ]
    return sorted(changes, key=lambda change: (change.now or change.then, change.what))


def _later(due: int, end: int) -> str:
    minutes = max(1, -((end - due) // (60 * NS)))
    return f"after the end: --run-on {minutes}m"


def _cancelled(steps: Iterable[Step]) -> dict[tuple[str, str | None, int | None], str]:
    """What took away each timer that was set, by the instant it was due at."""
    found: dict[tuple[str, str | None, int | None], str] = {}
    for step in steps:
        where = f"position {step.position}" if step.position else clock(step.stimulus.at)
        gone = pending_timers(step.before).items() - pending_timers(step.after).items()
        for (timer, reply), due in gone:
            found[timer, reply, due] = f"{where}, {step.decided.rule}, took it away"
    return found


def _timer(fired: TimerFired) -> str:
    return _timer_of(fired.timer, fired.reply)


def _timer_of(timer: str, reply: str | None) -> str:
    return timer if reply is None else f"{timer} of {reply}"


def _replies(then: Sequence[Step], now: Sequence[Step]) -> list[Change]:
    was, became = _fates(then), _fates(now)
    names = {**was, **became}
    return [
        Change(name, was.get(name), became.get(name))
        for name in names
        if was.get(name) != became.get(name)
    ]


def _fates(steps: Sequence[Step]) -> dict[str, str]:
    """What became of each reply by the end: `sent`, `refused (conflict)`, `held`."""
    settled: dict[str, Settled] = {}
    for step in steps:
        settled.update(step.decided.settled)
    if not steps:
        return {}
    scene = Scene(steps[-1], settled.get)
    fates = {name: fate(scene, name) for name in [*settled, *(steps[-1].after.replies or ())]}
    return {
        name: f"{one.outcome} ({one.reason})" if one.reason else str(one.outcome)
        for name, one in fates.items()
    }


def _states(steps: Iterable[Step]) -> list[list[Any]]:
    path: list[list[Any]] = []
    for step in steps:
        state = wording.state(step.after.state)
        if not path or path[-1][1] != state:
            path.append([step.stimulus.at, state])
    return path
