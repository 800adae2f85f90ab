"""What a replay reads of a record: the stimulus as today's code takes it, the outcome as it stands.

Older schemas are lifted to today's first (`eventstore.upcast`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from ...eventstore import Record, codec
from ...eventstore.bundle_format import Bundle, FutureSchema
from ...eventstore.upcast import upcast_record
from ...projections.content import Decided
from ...statemachine.account import Account, due_of, evolve, pending_timers
from ...statemachine.outcome import Outcome
from ...statemachine.stimuli import KINDS, Stimulus, TimerFired, TimerName
from ...statemachine.version import SCHEMA

if TYPE_CHECKING:
    AnyStimulus = Stimulus
else:
    AnyStimulus = reduce(or_, KINDS.values())

Waiting = frozenset[tuple[TimerName, str | None, int]]
"""Timers that are set, each with its reply and when it is due (UTC ns)."""


class Unreadable(FutureSchema):
    """A record of the bundle can't be read by this version of linewarden."""


class Content(msgspec.Struct, frozen=True, gc=False):
    """The body of a record: its outcome is kept as the bytes that were hashed."""

    stimulus: AnyStimulus
    outcome: msgspec.Raw
    causation: int | None = None
    epoch: int = 0
    schema: int = 1


class Fed(msgspec.Struct, frozen=True, gc=False):
    """A recorded stimulus, on its way into a run.

    `late` is how long (ns) after it was due a timer fired; None for all that no clock of ours made,
    a stale timer too. `waiting` are the timers that were due and had not fired yet.
    """

    version: int
    position: int
    stimulus: Stimulus
    recorded: Outcome
    late: int | None = None
    waiting: Waiting = frozenset()


_decode = msgspec.json.Decoder(Content).decode
_outcome = msgspec.json.Decoder(Outcome).decode
_typed = msgspec.json.Decoder(Decided).decode


def content_of(record: Record) -> Content:
    """Read a record's body; raises `Unreadable` naming its position."""
    try:
        content = _decode(record.body)
        if content.schema == SCHEMA:
            return content
    except msgspec.MsgspecError as error:
        fault = error
    else:
        fault = msgspec.MsgspecError(f"its schema is {content.schema}")
    try:
        plain = codec.decode(record.body)
        if plain.get("schema", 1) < SCHEMA:
            return _decode(codec.encode(upcast_record(plain, SCHEMA)))
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
        fault = msgspec.MsgspecError(f"it can't be lifted to schema {SCHEMA}: {type(error)}")
    raise _unreadable(record, fault)


def outcome_of(record: Record, content: Content) -> Outcome:
    """The outcome as it was recorded, its changes as plain data; of the right types at least."""
    try:
        _typed(content.outcome)
        return _outcome(content.outcome)
    except msgspec.MsgspecError as error:
        raise _unreadable(record, error) from None


def evolved(record: Record, said: Account, outcome: Outcome) -> Account:
    """The state after a recorded outcome, by the record."""
    try:
        return evolve(said, outcome.changes)
    except (msgspec.MsgspecError, AttributeError, TypeError) as error:
        raise _unreadable(record, error) from None


def _unreadable(record: Record, error: Exception) -> Unreadable:
    return Unreadable(
        f"record {record.position} can't be read by this version: {type(error).__name__}",
        hint="a newer linewarden may have written it; `linewarden verify` tells of damage",
        position=record.position,
    )


def stimuli_of(bundle: Bundle) -> Iterator[Fed]:
    """The recorded stimuli in order, with what the recording says of the timers of each."""
    said = bundle.before
    for record in bundle.records:
        content = content_of(record)
        stimulus: Stimulus = content.stimulus
        outcome = outcome_of(record, content)
        due = pending_timers(said)
        waiting = frozenset(
            (timer, reply, at) for (timer, reply), at in due.items() if at <= stimulus.at
        )
        late = _lateness(said, stimulus)
        yield Fed(record.version, record.position, stimulus, outcome, late, waiting)
        said = evolved(record, said, outcome)


def _lateness(said: Account, stimulus: Stimulus) -> int | None:
    if not isinstance(stimulus, TimerFired) or stimulus.controller != said.controller:
        return None
    due = due_of(said, stimulus.timer, stimulus.reply)
    return stimulus.at - due if due is not None and due <= stimulus.at else None
