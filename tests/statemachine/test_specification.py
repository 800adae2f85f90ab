"""The whole lifecycle against its specification: every state and phase, every stimulus."""

import re
from collections.abc import Iterator

import pytest

from linewarden.statemachine.lifecycle import TABLE, UNCLAIMED, State
from linewarden.statemachine.machine import Lookup, compiled_step, step
from linewarden.statemachine.stimuli import KINDS

from .observations import OBSERVATIONS, RARE
from .situations import NOW_S, STORIES, feed, play
from .specification import GROUPS, SPECIFICATION

Cell = tuple[str, str]


def spelled_out(words: str) -> list[str]:
    """The situations that these words name."""
    return [
        situation
        for word in words.split()
        for situation in (spelled_out(GROUPS[word]) if word in GROUPS else [word])
    ]


def specified() -> Iterator[tuple[str, str, Cell]]:
    """Every cell of the specification: the situation, the stimulus, the rule and the next state."""
    observed = ""
    for text in SPECIFICATION.strip().splitlines():
        if not text.startswith(" "):
            observed = text.strip()
            continue
        rule, state, words = text.split(maxsplit=2)
        for situation in spelled_out(words):
            yield situation, observed, (rule, state)
    for text in RARE.strip().splitlines():
        situation, observed, rule, state = re.split(r"\s{2,}", text.strip())
        yield situation, observed, (rule, state)


def happens(situation: str, observed: str, reader: Lookup = step) -> Cell:
    """What the machine makes of the stimulus in the situation."""
    before = play(*STORIES[situation])
    name = observed.split(maxsplit=1)[0]
    outcome, after = feed(before, NOW_S, name, reader, **OBSERVATIONS[observed])
    moved = after.state is not before.state or after.epoch != before.epoch
    return outcome.rule, after.state.value if moved and after.state else "="


CELLS = list(specified())
EVERYWHERE = [*spelled_out("newest"), "superseded"]


@pytest.mark.parametrize("situation", sorted({situation for situation, *_ in CELLS}))
def test_every_stimulus_does_what_is_specified(situation: str) -> None:
    """In each situation every stimulus has the rule and the next state of the specification."""
    expected = {observed: cell for where, observed, cell in CELLS if where == situation}
    assert {observed: happens(situation, observed) for observed in expected} == expected


def test_the_specification_is_complete() -> None:
    """The specification says for each state and phase, once, what each stimulus does."""
    common = [(situation, observed) for situation, observed, _ in CELLS if situation in EVERYWHERE]
    assert len(common) == len(set(common))
    variants = {observed for observed in OBSERVATIONS if observed != "service_started last"}
    assert set(common) == {(one, observed) for one in EVERYWHERE for observed in variants}
    assert {observed.split()[0] for observed in variants} == set(KINDS)


@pytest.mark.parametrize("observed", OBSERVATIONS)
def test_nothing_happens_before_the_first_claim(observed: str) -> None:
    """An account that nobody has claimed ignores everything but a claim."""
    claim = observed.startswith("claimed")
    expected = ("claim.first", State.CONNECTING.value) if claim else (UNCLAIMED, "=")
    assert happens("unclaimed", observed) == expected


def test_every_row_is_specified() -> None:
    """Every row of the table decides a stimulus of the specification, so that none can rot."""
    used: set[tuple[str, State]] = set()

    def noting(state: State, trigger: str) -> tuple[State, str]:
        used.add((trigger, state))
        return step(state, trigger)

    for situation, observed, _ in CELLS:
        happens(situation, observed, noting)
    unused = {
        row.rule for row in TABLE if not any((row.trigger, state) in used for state in row.sources)
    }
    assert not unused


def test_the_compiled_table_decides_the_same() -> None:
    """A replay by the compiled table comes to the same rule and state in every situation."""
    for situation, observed, cell in CELLS:
        assert happens(situation, observed, compiled_step) == cell
