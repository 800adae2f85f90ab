"""`mermaid-sequence`: who told the lifecycle what, what it decided, and what it asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...statemachine.policy import NS
from ..moments import clock, span
from ..wording import observed
from .course import Course, Mark
from .plain_text import plain

MARKS_MAX = 120
"""Records that are drawn: mermaid refuses a text of more than 50,000 characters."""

IDLE_MAX = 2
"""Records of no consequence, in a row, that are drawn one by one."""

QUIET_NS = 10 * NS
"""A pause that is told: longer than what belongs together takes, such as a dial and its answer."""

EFFECTS_MAX = 6
"""Effects and outcomes of one record: more only where many replies are freed at once."""

CONTROLLERS_MAX = 8
"""Participants in a row that a screen is wide enough for; the others share one."""

SOURCES_MAX = 12
"""More than there are kinds of sources: only a bundle that was made to do harm names others."""


def sequence(course: Course) -> str:
    """The incident as a mermaid `sequenceDiagram`."""
    runs = _runs(course.marks)
    cut = len(runs) - MARKS_MAX
    if cut > 0:
        half = MARKS_MAX // 2
        middle = [mark for run in runs[half:-half] for mark in run]
        runs = [*runs[:half], middle, *runs[-half:]]
    return "\n".join(["sequenceDiagram", *_Drawing(course, runs).lines()]) + "\n"


def _runs(marks: Iterable[Mark]) -> list[list[Mark]]:
    """The records, one alone or several of no consequence together."""
    runs: list[list[Mark]] = []
    for mark in marks:
        if mark.idle and runs and runs[-1][-1].idle:
            runs[-1].append(mark)
        else:
            runs.append([mark])
    drawn: list[list[Mark]] = []
    for run in runs:
        drawn += [run] if len(run) > IDLE_MAX else [[mark] for mark in run]
    return drawn


class _Drawing:
    """The participants by the ids that mermaid knows them by, in the order of their first word."""

    def __init__(self, course: Course, runs: list[list[Mark]]) -> None:
        self.runs, self.account = runs, course.header.account
        self.sources: dict[str, str] = {}
        self.controllers: dict[str, str] = {}
        self.epochs = {life.controller: life.epoch for life in course.lives}

    def lines(self) -> list[str]:
        body: list[str] = []
        last = self.runs[0][0].at
        for run in self.runs:
            at = run[0].at
            if at - last >= QUIET_NS:
                body.append(self._note(f"{span(at - last)} later"))
            body += self._mark(run[0]) if len(run) == 1 else [self._note(_left_out(run))]
            last = run[-1].at
        first = self.runs[0][0]
        return [
            *(f"    participant {one} as {plain(name)}" for name, one in self.sources.items()),
            f"    participant L as {plain(self.account)}",
            *(f"    participant {one} as {self._name(name)}"
              for name, one in self.controllers.items()),
            f"    Note over L: from {clock(first.at)} UTC",
            *body,
        ]  # fmt: skip

    def _note(self, text: str) -> str:
        return f"    Note over L: {text}"

    def _source(self, name: str) -> str:
        return _participant(self.sources, name, "S", SOURCES_MAX, "other sources")

    def _controller(self, name: str) -> str:
        return _participant(self.controllers, name, "C", CONTROLLERS_MAX, "later controllers")

    def _name(self, name: str) -> str:
        epoch = self.epochs.get(name)
        return plain(name) + (f" (epoch {epoch})" if epoch is not None else "")

    def _mark(self, mark: Mark) -> list[str]:
        entry = mark.entry
        of = f" ({entry.controller})" if entry.controller is not None else ""
        state = f" → {plain(str(entry.state).replace('_', '-'))}" if entry.moved else ""
        seen = observed(entry.stimulus, entry.told)
        lines = [
            f"    {self._source(entry.source)}->>L: {entry.position} {plain(seen + of)}",
            self._note(plain(entry.rule) + state),
        ]
        asked = [*map(self._effect, entry.effects), *map(self._settled, entry.settled.items())]
        lines += asked[:EFFECTS_MAX]
        if len(asked) > EFFECTS_MAX:
            lines.append(self._note(f"and {len(asked) - EFFECTS_MAX} more effects and outcomes"))
        return lines

    def _effect(self, effect: dict[str, object]) -> str:
        kind = effect["effect"]
        if kind == "notify":
            return f"    L->>{self._source('operator')}: notify {plain(effect['notice'])}"
        if kind == "claim":
            return f"    L->>{self._source('gateway')}: claim ({plain(effect['reason'])})"
        target = self._controller(str(effect["controller"]))
        what = effect.get("reply", f"socket {effect['socket']}" if "socket" in effect else "")
        return f"    L->>{target}: {kind} {plain(what)}".rstrip()

    def _settled(self, settled: tuple[str, dict[str, object]]) -> str:
        reply, how = settled
        reason = f" ({how['reason']})" if how.get("reason") else ""
        said = plain(f"{reply} {how['outcome']}{reason}")
        return f"    L-->>{self._source('gateway')}: reply {said}"


def _participant(known: dict[str, str], name: str, kind: str, most: int, others: str) -> str:
    if name not in known and len(known) >= most:
        name = others
    return known.setdefault(name, f"{kind}{len(known) + 1}")


def _left_out(run: list[Mark]) -> str:
    rules: Counter[str] = Counter()
    for mark in run:
        rules[mark.entry.rule] += mark.times
    told = ", ".join(f"{plain(rule)} ×{count}" for rule, count in rules.most_common(3))
    what = "of no consequence" if all(mark.idle for mark in run) else "left out"
    return f"{len(run)} records {what} in {span(run[-1].at - run[0].at)} ({told})"
