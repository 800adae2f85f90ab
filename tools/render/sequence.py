"""`mermaid-sequence`: who told the lifecycle what, what it decided, and what it asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ...statemachine.policy import NS
from ..moments import clock, span
from ..wording import observed
from .course import Course, Step
from .plain_text import plain

STEPS_MAX = 120
"""Records that are drawn: mermaid refuses a text of more than 50,000 characters."""

IDLE_MAX = 2
"""Records of no consequence, in a row, that are drawn one by one."""

QUIET_NS = 10 * NS
EFFECTS_MAX = 6
CONTROLLERS_MAX = 8
SOURCES_MAX = 12


def sequence(course: Course) -> str:
    """The incident as a mermaid `sequenceDiagram`."""
    runs = _runs(course.steps)
    cut = len(runs) - STEPS_MAX
    if cut > 0:
        half = STEPS_MAX // 2
        middle = [step for run in runs[half:-half] for step in run]
        runs = [*runs[:half], middle, *runs[-half:]]
    return "\n".join(["sequenceDiagram", *_Drawing(course, runs).lines()]) + "\n"


def _runs(steps: Iterable[Step]) -> list[list[Step]]:
    """The records, one alone or several of no consequence together."""
    runs: list[list[Step]] = []
    for step in steps:
        if step.idle and runs and runs[-1][-1].idle:
            runs[-1].append(step)
        else:
            runs.append([step])
    drawn: list[list[Step]] = []
    for run in runs:
        drawn += [run] if len(run) > IDLE_MAX else [[step] for step in run]
    return drawn


class _Drawing:
    """The participants by the ids that mermaid knows them by, in the order of their first word."""

    def __init__(self, course: Course, runs: list[list[Step]]) -> None:
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
            body += self._step(run[0]) if len(run) == 1 else [self._note(_left_out(run))]
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

    def _step(self, step: Step) -> list[str]:
        entry = step.entry
        of = f" ({entry.controller})" if entry.controller is not None else ""
        state = f" → {plain(str(entry.state).replace('_', '-'))}" if entry.moved else ""
        lines = [
            f"    {self._source(entry.source)}->>L: {entry.position} {plain(observed(entry) + of)}",
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


def _left_out(run: list[Step]) -> str:
    rules = Counter(step.entry.rule for step in run).most_common(3)
    told = ", ".join(f"{plain(rule)} ×{count}" for rule, count in rules)
    what = "of no consequence" if all(step.idle for step in run) else "left out"
    return f"{len(run)} records {what} in {span(run[-1].at - run[0].at)} ({told})"
