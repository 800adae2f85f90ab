"""What if: a fork of an incident, run closed loop, compared with what happened.

A stimulus is changed, or it is dropped or moved in time together with what it caused. Timers come
from the virtual clock, so a fork shows retries, deadlines and notices that the log does not have.
The world outside is not simulated: what an engine or a server said stays as it was recorded, also
where in the fork nobody asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec

from ...eventstore.bundle import Bundle
from ...statemachine.errors import InputError
from ...statemachine.outcome import Settled
from ...statemachine.policy import NS
from ...statemachine.stimuli import TimerFired
from ..replay.divergence import Replayed
from ..replay.replay import Step, compare, replay, run_closed
from .causes import read
from .edits import edit, span_of
from .scene import Scene, fate

RUN_ON_S_MAX = 366 * 86_400
"""A line that is down dials every few minutes: what lies further ahead is more of the same."""


class Change(msgspec.Struct, frozen=True):
    """Something that is other in the fork: what it was then and is now, None where it is not."""

    what: str
    then: Any
    now: Any


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
    end = max((fed.stimulus.at for fed in chain(stimuli, feds)), default=0)
    same_end = not feds or end == stimuli[-1].stimulus.at == feds[-1].stimulus.at
    until = None if run_on is None and same_end else end + _run_on(run_on or "0s")
    then, now = _numbered(
        list(run_closed(stimuli, bundle.before, until=until)),
        list(run_closed(feds, bundle.before, until=until)),
    )
    already = replay(bundle, closed=True).divergences
    return Fork(
        told,
        len(already),
        msgspec.structs.replace(compare(then, now), records=len(stimuli)),
        _timers(then, now),
        _replies(then, now),
        Change("state", _states(then), _states(now)),
    )


def _numbered(then: list[Step], now: list[Step]) -> tuple[list[Step], list[Step]]:
    """Number the timers that the log doesn't have, so that one that fires in both is the same."""
    last = max((step.version for step in then), default=0)
    added = (step for step in then if not step.version)
    numbers = {_firing(step): last + count for count, step in enumerate(added, 1)}

    def number(step: Step) -> Step:
        version = step.version or numbers.get(_firing(step), 0)
        return msgspec.structs.replace(step, version=version)

    return [number(step) for step in then], [number(step) for step in now]


def _firing(step: Step) -> tuple[str, str | None, int] | None:
    fired = step.stimulus
    return (fired.timer, fired.reply, fired.at) if isinstance(fired, TimerFired) else None


def _run_on(text: str) -> int:
    ns = span_of(text)
    if not 0 <= ns <= RUN_ON_S_MAX * NS:
        raise InputError("the clock goes on for 0 s to 366 days", hint="--run-on 10m")
    return ns


def _timers(then: Iterable[Step], now: Iterable[Step]) -> list[Change]:
    """The timers that fire at another instant, or in one of both only, in the order of time."""
    was = {step.version: step for step in then if isinstance(step.stimulus, TimerFired)}
    changes: list[Change] = []
    for step in now:
        if isinstance(step.stimulus, TimerFired):
            old = was.pop(step.version, None)
            before = old.stimulus.at if old is not None else None
            if before != step.stimulus.at:
                changes.append(Change(_timer(step.stimulus), before, step.stimulus.at))
    for step in was.values():
        assert isinstance(step.stimulus, TimerFired)
        changes.append(Change(_timer(step.stimulus), step.stimulus.at, None))
    return sorted(changes, key=lambda change: (change.now or change.then, change.what))


def _timer(fired: TimerFired) -> str:
    return f"{fired.timer} of {fired.reply}" if fired.reply is not None else fired.timer


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
        state = step.after.state.printed if step.after.state is not None else "unclaimed"
        if not path or path[-1][1] != state:
            path.append([step.stimulus.at, state])
    return path
