"""What a projection reads of a record: decoded into typed changes, the rest skipped.

The bytes are decoded straight into the types that an account is made of, so nothing is converted
afterwards: folding a record this way takes less time than parsing it into plain dicts would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, get_type_hints

import msgspec

from ..eventstore import Record
from ..eventstore.errors import Corrupt
from ..statemachine.account import Account, Lingering, Reply
from ..statemachine.identity import Identity
from ..statemachine.outcome import Effect, Settled

_MAPS: dict[str, Any] = {
    "lingering": Lingering,
    "retired": Identity,
    "links": str,
    "replies": Reply,
}
MAPS = frozenset(_MAPS)
"""The fields of an account that change by key; a key with null is gone."""

if TYPE_CHECKING:
    Changes = dict[str, Any]
else:
    # Made from the fields of an account: a field that is added there can't be forgotten here.
    # In the order of canonical JSON each key is found where the decoder looks first.
    _HINTS = {name: hint | None for name, hint in get_type_hints(Account).items()} | {
        name: dict[str, kind | None] | None for name, kind in _MAPS.items()
    }
    _SORTED = dict(sorted(_HINTS.items()))
    Changes = TypedDict("Changes", _SORTED, total=False)


class Decided(msgspec.Struct, frozen=True, gc=False):
    """An outcome with its changes as an account holds them."""

    changes: Changes = {}
    effects: tuple[Effect, ...] = ()
    rule: str = ""
    settled: dict[str, Settled] = {}


class Seen(msgspec.Struct, frozen=True, gc=False):
    """As much of a stimulus as projections read."""

    captured_on: str | None = None
    chat: str | None = None
    evidence: str | None = None


class _WithOutcome(msgspec.Struct, frozen=True, gc=False):
    outcome: Decided


class _WithStimulus(msgspec.Struct, frozen=True, gc=False):
    stimulus: Seen


_stimulus = msgspec.json.Decoder(_WithStimulus).decode

read = msgspec.json.Decoder(_WithOutcome).decode
"""Reads a record's body; raises `msgspec.MsgspecError` where it holds no outcome of a decision."""


def seen(body: bytes) -> Seen:
    """Read the stimulus of a record's body. Few projections need it, so it is read apart."""
    return _stimulus(body).stimulus


def unreadable(record: Record) -> Corrupt:
    """The error for a record whose body no decision can have made."""
    return Corrupt(
        f"Record {record.position} holds no outcome that this version can read",
        hint="a newer linewarden may have written it; else run `linewarden verify`",
        position=record.position,
    )


def missing(record: Record, version: int) -> Corrupt:
    """The error for a record that came where version `version` of its account was due."""
    return Corrupt(
        f"Record {record.position} is version {record.version} of its account, where version "
        f"{version} is due",
        position=record.position,
    )


def merge(fields: dict[str, Any], changes: Changes) -> None:
    """Complete the changes of maps, which name only changed keys, from the fields before them."""
    for name in MAPS:
        changed = changes.get(name)
        if changed is None:
            continue
        merged = dict(fields[name] or ())
        for key, value in changed.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = value
        changes[name] = merged
