"""`perfetto`: the incident as Chrome's trace events, which ui.perfetto.dev and others open.

Times are microseconds since the first record, to the nanosecond. On one track nothing overlaps:
stretches that do stand on several.
"""

from __future__ import annotations

from typing import Any

import orjson

from ...statemachine.version import VERSION
from .. import wording
from ..moments import instant
from .course import Course, Stretch, rows_of

PROCESS = 1
Event = dict[str, Any]


def perfetto(course: Course) -> bytes:
    """The incident as one JSON object of trace events."""
    header = course.header
    trace = {
        "traceEvents": _Trace(course).events,
        "displayTimeUnit": "ms",
        "otherData": {
            "account": header.account,
            "log": header.log,
            "versions": f"{header.first} to {header.last}",
            "start": instant(course.start),
            "linewarden": VERSION,
        },
    }
    return orjson.dumps(trace, option=orjson.OPT_INDENT_2) + b"\n"


class _Trace:
    """The events, track by track in the order of their numbers."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.events: list[Event] = []
        self.tracks = 0
        self._name("process_name", 0, f"linewarden {course.header.account}")
        stays: dict[str, list[Stretch]] = {}
        for stretch in course.lane("state"):
            stays.setdefault(stretch.owner, []).append(stretch)
        for life in course.lives:
            name = f"state of {life.controller} (epoch {life.epoch})"
            self._track(name, stays.get(life.controller, []))
        self._rows("sockets", course.lane("socket"))
        timers = course.lane("timer")
        for timer in dict.fromkeys(stretch.what for stretch in timers):
            self._rows(f"timer {timer}", [stretch for stretch in timers if stretch.what == timer])
        self._rows("replies", course.lane("reply"))
        self._gaps()
        self._records()
        self._counters()

    def _name(self, kind: str, track: int, name: str) -> None:
        event = {"ph": "M", "pid": PROCESS, "tid": track, "name": kind, "args": {"name": name}}
        self.events.append(event)

    def _begin(self, name: str) -> int:
        self.tracks += 1
        self._name("thread_name", self.tracks, name)
        order = {"sort_index": self.tracks}
        self.events.append(
            {"ph": "M", "pid": PROCESS, "tid": self.tracks, "name": "thread_sort_index",
             "args": order}
        )  # fmt: skip
        return self.tracks

    def _rows(self, name: str, stretches: list[Stretch]) -> None:
        rows = rows_of(stretches)
        for number, row in enumerate(rows, 1):
            self._track(f"{name} {number}" if len(rows) > 1 else name, row)

    def _track(self, name: str, stretches: list[Stretch]) -> None:
        track = self._begin(name)
        for stretch in stretches:
            self._span(
                track, _title(stretch), stretch.lane, stretch.start, stretch.end, _facts(stretch)
            )

    def _span(
        self, track: int, name: str, kind: str, start: int, end: int, facts: dict[str, Any]
    ) -> None:
        self.events.append(
            {
                "ph": "X",
                "pid": PROCESS,
                "tid": track,
                "ts": self._us(start),
                "dur": (end - start) / 1_000,
                "name": name,
                "cat": kind,
                "args": facts,
            }
        )

    def _us(self, at: int) -> float:
        return (max(at, self.course.start) - self.course.start) / 1_000

    def _gaps(self) -> None:
        if not self.course.gaps:
            return
        track = self._begin("gaps")
        for gap in self.course.gaps:
            end = self.course.end if gap.ended_at is None else gap.ended_at
            start = min(max(gap.started_at, self.course.start), end)
            facts = {"cause": gap.cause, "lost": gap.controller, "dials": gap.dials}
            self._span(track, f"gap ({gap.cause})", "gap", start, end, facts)

    def _records(self) -> None:
        track = self._begin("records")
        for mark in self.course.marks:
            entry = mark.entry
            self.events.append(
                {
                    "ph": "i",
                    "s": "t",
                    "pid": PROCESS,
                    "tid": track,
                    "ts": self._us(mark.at),
                    "name": entry.rule,
                    "cat": "record",
                    "args": {
                        "position": entry.position,
                        "stimulus": entry.stimulus,
                        "source": entry.source,
                        "sentence": entry.sentence,
                        "told": _texts(entry.told),
                        "effects": [_texts(effect) for effect in entry.effects],
                    },
                }
            )

    def _counters(self) -> None:
        for mark in self.course.marks:
            attempt = mark.decided.changes.get("attempt")
            if attempt is not None:
                self.events.append(
                    {"ph": "C", "pid": PROCESS, "tid": 0, "ts": self._us(mark.at),
                     "name": "attempt", "args": {"attempt": attempt}}
                )  # fmt: skip


def _title(stretch: Stretch) -> str:
    fact = stretch.fact
    if stretch.lane == "state":
        name = wording.state(fact.name)
        more = fact.more or ("degraded" if fact.degraded else "live" if fact.live else None)
        return f"{name} ({more})" if more else name
    if stretch.lane == "socket":
        return f"{stretch.owner} socket {stretch.what} {fact.name}"
    if stretch.lane == "reply":
        return f"{stretch.owner} {fact.name}" + (f" via {fact.more}" if fact.more else "")
    return f"{stretch.what} {stretch.owner}".rstrip()


def _facts(stretch: Stretch) -> dict[str, Any]:
    facts: dict[str, Any] = {"from version": stretch.first, "to version": stretch.last}
    if stretch.fact.due is not None:
        facts |= {"due": instant(stretch.fact.due), "ended": stretch.end_by}
    return facts


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Values as texts: a number of nanoseconds is rounded by what reads JSON as JavaScript does."""
    return {name: str(value) for name, value in values.items()}
