"""The two readers of the table: the `transitions` machine that decides, and its compiled twin.

Both answer one question: which state follows, by which rule. The machine of `transitions` is one
for all accounts and is fired on a light cursor, since a machine for each account would cost 15 KiB.
The compiled table is a dict for a replay of millions of records; a test proves both equal for every
trigger in every state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transitions import Machine

from .errors import LinewardenError
from .lifecycle import TABLE, State

Lookup = Callable[[State, str], tuple[State, str]]
"""From a state and a trigger to the next state and the rule; raises `ImpossibleStep`."""


class ImpossibleStep(LinewardenError):
    """The table has no row for this trigger in this state: a fault of linewarden itself."""


class _Cursor:
    """Where the machine stands while it decides one stimulus."""

    __slots__ = ("state",)

    def __init__(self, state: State) -> None:
        self.state = state

    def trigger(self, name: str) -> bool:
        """Asked for by `transitions` of every model; the events are fired directly."""
        raise ImpossibleStep(name)


_RULES = {(row.trigger, source): row.rule for row in TABLE for source in row.sources}

COMPILED: dict[tuple[State, str], tuple[State, str]] = {
    (source, row.trigger): (row.target or source, row.rule)
    for row in TABLE
    for source in row.sources
}


def build_machine() -> Machine:
    """The lifecycle as a `transitions` machine; rows without a target are internal transitions."""
    machine = Machine(
        model=None,
        states=State,
        initial=State.CONNECTING,
        auto_transitions=False,
        model_override=True,
        send_event=False,
    )
    for row in TABLE:
        machine.add_transition(row.trigger, list(row.sources), row.target)
    return machine


_MACHINE = build_machine()
_EVENTS: dict[str, Any] = dict(_MACHINE.events)


def step(state: State, trigger: str) -> tuple[State, str]:
    """Decide by the `transitions` machine."""
    rule = _RULES.get((trigger, state))
    if rule is None:
        raise ImpossibleStep(f"no row for trigger {trigger} in state {state.value}")
    cursor = _Cursor(state)
    _EVENTS[trigger].trigger(cursor)
    return cursor.state, rule


def compiled_step(state: State, trigger: str) -> tuple[State, str]:
    """Decide by the compiled table."""
    try:
        return COMPILED[state, trigger]
    except KeyError:
        raise ImpossibleStep(f"no row for trigger {trigger} in state {state.value}") from None
