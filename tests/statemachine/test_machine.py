"""The two readers of the table: the machine of `transitions` and its compiled twin."""

import pytest
from hypothesis import given

from linewarden.statemachine.decision import decide
from linewarden.statemachine.lifecycle import ENDS, TABLE, State
from linewarden.statemachine.machine import (
    COMPILED,
    ImpossibleStep,
    build_machine,
    compiled_step,
    step,
)

from .sequences import LIVES, Life

TRIGGERS = sorted({row.trigger for row in TABLE})


@pytest.mark.parametrize("state", State)
def test_both_readers_agree_on_every_trigger(state: State) -> None:
    """In each state a trigger leads both readers to one state by one rule, or raises in both."""
    for trigger in TRIGGERS:
        if (state, trigger) in COMPILED:
            assert step(state, trigger) == compiled_step(state, trigger)
            continue
        with pytest.raises(ImpossibleStep) as told:
            step(state, trigger)
        with pytest.raises(ImpossibleStep) as compiled:
            compiled_step(state, trigger)
        assert str(told.value) == str(compiled.value)


@pytest.mark.parametrize("read", [step, compiled_step])
def test_an_unknown_trigger_is_a_fault_of_linewarden(read) -> None:
    """A trigger that no row knows raises, and names trigger and state."""
    with pytest.raises(ImpossibleStep, match="no row for trigger gone in state connected"):
        read(State.CONNECTED, "gone")


def test_no_trigger_has_two_rows_in_one_state() -> None:
    """One row for one trigger in one state: the table holds no conditions."""
    cells = [(state, row.trigger) for row in TABLE for state in row.sources]
    assert len(cells) == len(set(cells))


def test_the_machine_has_the_rows_of_the_table_and_no_more() -> None:
    """`transitions` adds no trigger of its own, so what it draws is the table."""
    machine = build_machine()
    drawn = {
        (State[source], name, State[one.dest] if one.dest else State[source])
        for name, event in machine.events.items()
        for source, some in event.transitions.items()
        for one in some
    }
    assert drawn == {(state, name, target) for (state, name), (target, _) in COMPILED.items()}


def test_the_table_leaves_an_end_by_an_upgrade_only() -> None:
    """No row leads out of an end but an upgrade to another end; nothing leaves `superseded`."""
    for (state, trigger), (target, _) in COMPILED.items():
        if state is State.SUPERSEDED:
            assert target is state
        elif state in ENDS and target is not state:
            assert trigger.startswith("upgrade.")
            assert target in ENDS
            assert state is not State.LOGGED_OUT


@given(LIVES)
def test_a_life_by_either_reader_is_the_same(given_life) -> None:
    """A life decided by the machine has the same outcomes when decided by the compiled table."""
    life = Life(given_life[0])
    for one in life.live(given_life[1]):
        assert decide(one.before, one.stimulus, compiled_step) == (one.decided, one.after)
