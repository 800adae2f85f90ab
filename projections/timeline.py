"""The timeline of an account: its records between two moments, each with what it did and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ..eventstore import Reader, Record, decode
from .archived import beginning
from .explanations import explain

_HEAD = frozenset({"stimulus", "at", "controller", "source", "jitter", "policy"})


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record as people read it; `at` is UTC ns.

    `told` is what the stimulus brought along, `state` the state of the newest controller after it,
    `before` the one before where it changed. `effects` and `settled` are as in the record.
    """

    account: str
    position: int
    version: int
    at: int
    stimulus: str
    controller: str | None
    source: str
    rule: str
    sentence: str
    state: str | None = None
    before: str | None = None
    reply: str | None = None
    told: dict[str, Any] = {}
    effects: list[dict[str, Any]] = []
    settled: dict[str, dict[str, Any]] = {}

    @property
    def moved(self) -> bool:
        """Whether the state changed."""
        return self.state != self.before


def timeline(
    reader: Reader,
    account: str | None = None,
    *,
    after_position: int = 0,
    upto_position: int | None = None,
    from_at: int | None = None,
    upto_at: int | None = None,
) -> Iterator[Entry]:
    """The entries of an account, or of all, in order; bounds by position and by time (UTC ns).

    Times are compared one by one, since a clock may have been set back in between.
    """
    states: dict[str, str | None] = {}
    records = reader.read_all() if account is None else reader.read_stream(account)
    for record in records:
        if upto_position is not None and record.position > upto_position:
            return
        if record.version > 1 and record.stream not in states:
            states[record.stream] = _state_before(reader, record.stream)
        before = states.get(record.stream)
        states[record.stream] = record.state
        inside = (
            record.position > after_position
            and (from_at is None or record.at >= from_at)
            and (upto_at is None or record.at <= upto_at)
        )
        if inside:
            yield entry(record, before)


def _state_before(reader: Reader, account: str) -> str | None:
    """The state before the first record that the log still has of an account."""
    state = beginning(reader, account).machine.state
    return state.value if state is not None else None


def entry(record: Record, before: str | None = None) -> Entry:
    """A record as an entry; `before` is the state before it."""
    content = decode(record.body)
    stimulus: dict[str, Any] = content.get("stimulus") or {}
    outcome: dict[str, Any] = content.get("outcome") or {}
    rule = str(outcome.get("rule") or record.type)
    return Entry(
        account=record.stream,
        position=record.position,
        version=record.version,
        at=record.at,
        stimulus=record.type,
        controller=stimulus.get("controller"),
        source=stimulus.get("source", "gateway"),
        rule=rule,
        sentence=explain(rule),
        state=record.state,
        before=before,
        reply=record.reply,
        told={name: value for name, value in stimulus.items() if name not in _HEAD},
        effects=outcome.get("effects") or [],
        settled=outcome.get("settled") or {},
    )
