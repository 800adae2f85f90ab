"""The least of an incident that still shows something: delta debugging of its stimuli.

Stimuli are left out, in halves first and one by one in the end, as long as what is to be kept is
still so; whatever a stimulus caused goes with it. All runs are open loop by today's code, so time
stands where it stood: the row only gets thinner. In the end nothing more can be left out.

What is kept is one of three: a divergence, an invariant that today's code breaks, an expression
that comes true. For a divergence the other code is not at hand, and what it would make of a thinner
row can't be known. So it counts as the same only where the same record diverges, and today's code
decides at every place that differed as it did in the whole incident: a counter, a delay or a state
that is part of the difference keeps all that led to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from ...eventstore.bundle_format import Bundle
from ...statemachine.account import Account
from ...statemachine.errors import InputError
from ...statemachine.invariants import INVARIANTS, Judge, Past
from ...statemachine.outcome import Outcome, Settled
from ..replay.reading import Fed
from ..replay.replay import Step, divergence_of, run
from .causes import Causes, closed, read
from .expression import Expression
from .scene import Scene
from .words import ExpressionError, words_of


class Minimised(msgspec.Struct, frozen=True):
    """The least: the steps that are left, in order, and how it was found.

    `keep` is what was asked for, `told` what of it there is at the last step, `stimuli` how many
    there were, `trials` how many rows were tried.
    """

    keep: str
    told: str
    stimuli: int
    trials: int
    steps: list[Step]


Kept = Callable[[Account], Callable[[Step], str | None]]
"""Begins a run, and is then asked of each step in turn what there is of what is to be kept."""


def minimise(bundle: Bundle, keep: str) -> Minimised:
    """The least sequence of an incident's stimuli of which `keep` is still so.

    `keep` is `diverges`, `invariant:NAME` or an expression. Raises `InputError` where it is not so
    of the whole incident.
    """
    stimuli, causes = read(bundle)
    before = bundle.before
    kept = _kept(keep.strip(), stimuli, before)
    trials = 0

    def needed(places: Sequence[int]) -> list[int] | None:
        """So many of some places as it takes to the first step at which it is there."""
        nonlocal trials
        trials += 1
        shows = kept(before)
        for count, step in enumerate(run((stimuli[place] for place in places), before), 1):
            if shows(step) is not None:
                return list(places[:count])
        return None

    whole = needed(range(len(stimuli)))
    if whole is None:
        raise InputError(
            f"of this incident it is not so, with this code: {keep.strip()[:80]!a}",
            hint="`linewarden step` shows what is; --keep diverges needs code that differs",
        )
    least = _least(whole, causes, needed)
    steps = list(run((stimuli[place] for place in least), before))
    shows = kept(before)
    told = [shows(step) for step in steps][-1]
    return Minimised(keep.strip(), told or "", len(stimuli), trials, steps)


def _least(
    whole: list[int], causes: Causes, needed: Callable[[Sequence[int]], list[int] | None]
) -> list[int]:
    """Leave out ever smaller pieces, the last ones first, until no single one can go."""
    least, size = whole, max(1, len(whole) // 2)
    while True:
        found = False
        end = len(least)
        while end > 0:
            start = max(0, end - size)
            thinner = closed([*least[:start], *least[end:]], causes)
            shorter = needed(thinner) if thinner else None
            if shorter is not None:
                least, found = shorter, True
            end = min(start, len(least))
        if size > 1:
            size = max(1, min(size, len(least)) // 2)
        elif not found:
            return least


def parts_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain data by its parts: rule, effects, each changed field, each reply."""
    plain = msgspec.to_builtins(outcome)
    return {
        "rule": plain["rule"],
        "effects": plain.get("effects", []),
        **{f"changes.{name}": value for name, value in plain.get("changes", {}).items()},
        **{f"settled.{name}": value for name, value in plain.get("settled", {}).items()},
    }


_NOTHING = object()


def differing_parts(step: Step) -> dict[str, Any]:
    """The parts of a step that differ from the record, as today's code decides them."""
    assert step.recorded is not None
    was, now = parts_of(step.recorded), parts_of(step.decided)
    return {
        part: now.get(part, _NOTHING)
        for part in was.keys() | now.keys()
        if was.get(part, _NOTHING) != now.get(part, _NOTHING)
    }


def _kept(keep: str, stimuli: Sequence[Fed], before: Account) -> Kept:
    if keep == "diverges":
        return _divergence(stimuli, before)
    kind, _, name = keep.partition(":")
    if kind == "invariant":
        return _invariant(name.strip())
    expression = Expression(keep, words_of(run(stimuli, before)))
    if expression.names & {"recorded", "diverges"}:
        raise ExpressionError(
            "what was recorded says nothing of a thinner row, so it can't be kept",
            hint="--keep diverges, or an expression of what is decided",
        )
    return _truth(expression)


def _divergence(stimuli: Sequence[Fed], before: Account) -> Kept:
    for first in run(stimuli, before):
        found = divergence_of(first)
        if found is not None:
            break
    else:
        raise InputError(
            "the incident replays as it was recorded, so there is no divergence to keep",
            hint="--keep invariant:NAME, or an expression such as 'state == \"conflict\"'",
        )
    told, parts = f"rule {found.rule} -> {found.rule_now}", differing_parts(first)

    def shows(step: Step) -> str | None:
        if step.version != first.version:
            return None
        now = parts_of(step.decided)
        same = all(now.get(part, _NOTHING) == value for part, value in parts.items())
        return told if same else None

    return lambda _: shows


def _invariant(name: str) -> Kept:
    judge = judge_of(name)

    def begin(before: Account) -> Callable[[Step], str | None]:
        past = Past(before)

        def broken(step: Step) -> str | None:
            told = judge(step, past)
            past.take(step)
            return told

        return broken

    return begin


def _truth(expression: Expression) -> Kept:
    def begin(_: Account) -> Callable[[Step], str | None]:
        settled: dict[str, Settled] = {}

        def true(step: Step) -> str | None:
            settled.update(step.decided.settled)
            return expression.text if expression(Scene(step, settled.get)) else None

        return true

    return begin


def judge_of(name: str) -> Judge:
    """The judge of an invariant, by its name or its number; raises `InputError`."""
    names = list(INVARIANTS)
    if name.isascii() and name.isdigit() and 1 <= int(name[:3]) <= len(names):
        return INVARIANTS[names[int(name) - 1]]
    if name not in INVARIANTS:
        near = get_close_matches(name, names, 3, 0.5) or names
        raise InputError(
            "there is no invariant of this name",
            hint=f"did you mean {', '.join(near)}; or a number from 1 to {len(names)}",
        )
    return INVARIANTS[name]
