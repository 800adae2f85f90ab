"""What a record holds: the stimulus, its outcome and what caused it. Written once."""

from __future__ import annotations

from typing import Any

import msgspec

from ..eventstore import NewRecord, encode
from ..statemachine.account import Account
from ..statemachine.outcome import Outcome
from ..statemachine.stimuli import Stimulus, name_of
from ..statemachine.version import SCHEMA, VERSION
from .dice import Dice


def write(
    dice: Dice,
    stimulus: Stimulus,
    outcome: Outcome,
    after: Account,
    cause: tuple[int, int] | None,
    commitments: dict[str, str],
) -> NewRecord:
    """The record of a decision; `cause` is the version that caused it, and that of the root."""
    content: dict[str, Any] = {
        "build": VERSION,
        "schema": SCHEMA,
        "epoch": after.epoch,
        "stimulus": msgspec.to_builtins(stimulus),
        "outcome": msgspec.to_builtins(outcome),
    }
    if cause is not None:
        content["causation"], content["correlation"] = cause
    if commitments:
        content["commitments"] = commitments
    return NewRecord(
        dice.record_id(stimulus.at),
        stimulus.at,
        name_of(stimulus),
        after.state.value if after.state is not None else None,
        getattr(stimulus, "reply", None),
        encode(content),
    )
