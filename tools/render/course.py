"""The course of an incident: its records, and what was so for how long. All pictures are of it.

A bundle comes from elsewhere. What stands in a course has the types that it says, and any text in
it may be anything: whoever draws it escapes it. Instants are UTC ns and never go back: where a
clock was set back, what follows is drawn at the latest instant before, and keeps its own time in
its entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from ...eventstore.bundle_format import Header, Trailer
from ...projections.content import Decided
from ...projections.gaps import Gap
from ...projections.timeline import Entry

LIFE = frozenset({"active", "proof", "silence_at"})
"""What a mere sign of life changes."""

Key = tuple[str, str, str]
"""What a stretch is of: its lane, its owner, and what tells it apart from others there."""


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is so: a state, what a socket does, a timer that is set, where a reply is.

    `more` is the phase of a state or the controller that sends a reply; `live` and `degraded` are
    of the state `connected`; `due` is of a timer.
    """

    name: str
    more: str | None = None
    live: bool = False
    degraded: bool = False
    due: int | None = None


class Stretch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch of time in which a fact was so.

    `first` is the version that began it, 0 where that was before the incident; `last` the one that
    ended it, None where it is still so at the end. `end_by` says how a timer ended. `owner` is a
    controller; of timers and replies it is the reply, if any.
    """

    lane: Literal["state", "socket", "timer", "reply"]
    owner: str
    what: str
    fact: Fact
    start: int
    end: int
    first: int
    last: int | None = None
    end_by: Literal["fired", "set anew", "cancelled"] | None = None


class Life(msgspec.Struct):
    """A controller from its claim to its end, as far as the incident holds it; as in `Stretch`."""

    controller: str
    epoch: int
    holder: str | None
    start: int
    end: int
    first: int
    last: int | None = None
    state: str = ""
    reason: str | None = None


class Fate(msgspec.Struct):
    """What became of a reply; as in `Stretch`. `sends` are versions, each with the controller."""

    reply: str
    first: int
    start: int
    end: int
    chat: str | None = None
    captured_on: str | None = None
    outcome: str = "held"
    reason: str | None = None
    last: int | None = None
    sends: list[tuple[int, str]] = []


class Mark(msgspec.Struct, frozen=True):
    """A record in its course: where it is drawn, its entry, and its outcome as plain data.

    It stands for so many stimuli (`times`).
    """

    at: int
    entry: Entry
    changes: dict[str, Any]
    decided: Decided
    body: bytes
    chain: str
    times: int = 1

    @property
    def idle(self) -> bool:
        """Whether it had no consequence, but that a sign of life is known."""
        entry = self.entry
        return not (entry.moved or entry.effects or entry.settled or self.changes.keys() - LIFE)


class Course(msgspec.Struct):
    """All that a picture shows."""

    header: Header
    trailer: Trailer
    marks: list[Mark]
    stretches: list[Stretch]
    lives: list[Life]
    replies: list[Fate]
    gaps: list[Gap]

    @property
    def start(self) -> int:
        """The instant of the first record."""
        return self.marks[0].at

    @property
    def end(self) -> int:
        """The latest instant of all records."""
        return self.marks[-1].at

    def lane(self, name: str) -> list[Stretch]:
        """The stretches of a lane, by their beginnings."""
        return [stretch for stretch in self.stretches if stretch.lane == name]


def rows_of(stretches: Iterable[Stretch]) -> list[list[Stretch]]:
    """Spans in as few rows as it takes that none overlaps another in its row."""
    rows: list[list[Stretch]] = []
    for stretch in stretches:
        row = next((row for row in rows if row[-1].end <= stretch.start), None)
        if row is None:
            rows.append(row := [])
        row.append(stretch)
    return rows
