"""The invariants of the design, §9, on the pure machine, along random lives of an account."""

from collections import Counter
from typing import Any

from hypothesis import given, settings

from linewarden.statemachine.account import Account
from linewarden.statemachine.invariants import INVARIANTS, Past
from linewarden.statemachine.lifecycle import Phase, State
from linewarden.statemachine.outcome import Dial

from .sequences import LIVES, Life, Move

LifeGiven = tuple[dict[str, Any], list[Move]]


def test_lives_reach_every_state_and_phase() -> None:
    """The random lives reach all states and phases, so the invariants below are put to the test."""
    seen: Counter[Any] = Counter()

    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    @given(LIVES)
    def look(given_life: LifeGiven) -> None:
        for step in Life(given_life[0]).live(given_life[1]):
            seen.update([step.after.state, step.after.phase])

    look()
    reachable = {*State, *Phase, None} - {State.SUPERSEDED}
    assert set(seen) == reachable


@settings(max_examples=600)
@given(LIVES)
def test_no_life_breaks_an_invariant(given_life: LifeGiven) -> None:
    """§9.1 to §9.14 hold at every step: no order of stimuli, sane or not, breaks one."""
    past = Past(Account())
    for step in Life(given_life[0]).live(given_life[1]):
        for name, judge in INVARIANTS.items():
            assert judge(step, past) is None, name
        past.take(step)


@given(LIVES)
def test_nothing_dials_inside_a_hold(given_life: LifeGiven) -> None:
    """§3.3: no dial before the end of a hold, but for the operator's release."""
    for step in Life(given_life[0]).live(given_life[1]):
        hold = step.before.hold
        if hold is not None and step.stimulus.at < hold.until:
            dials = [effect for effect in step.decided.effects if isinstance(effect, Dial)]
            assert not dials or step.decided.rule == "release.hold"
