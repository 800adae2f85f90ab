"""`mermaid-state`: the states that were passed, how often and for how long, and what led on."""

from __future__ import annotations

from collections import Counter

from ...statemachine.lifecycle import ENDS, State
from ..moments import span
from .course import Course
from .plain_text import plain

RULES_MAX = 3
"""Rules that stand on one arrow."""

_ENDS = frozenset(state.value for state in (*ENDS, State.SUPERSEDED))


def states(course: Course) -> str:
    """The incident as a mermaid `stateDiagram-v2`."""
    passed, lasted = _stays(course)
    arrows = _arrows(course)
    known = [state for state in State if state.value in passed]
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state.printed}" as {state.value}' for state in known]
    for state in known:
        times = f"{passed[state.value]} time{'s' if passed[state.value] > 1 else ''}"
        # A controller that was superseded is watched no more, so no time is told.
        told = "" if state is State.SUPERSEDED else f", {span(lasted[state.value])} in all"
        lines.append(f"    {state.value} : {times}{told}")
    for (source, target), rules in arrows.items():
        told = ", ".join(f"{plain(rule)} ×{count}" for rule, count in rules.most_common(RULES_MAX))
        more = len(rules) - RULES_MAX
        lines.append(
            f"    {source} --> {target} : {told}" + (f" and {more} more" if more > 0 else "")
        )
    return "\n".join(lines) + "\n"


def _stays(course: Course) -> tuple[Counter[str], Counter[str]]:
    """How often each state was entered, and for how long (ns) it was so in all."""
    passed: Counter[str] = Counter()
    lasted: Counter[str] = Counter()
    before: tuple[str, str] | None = None
    for stay in course.lane("state"):
        # A phase and a proof are of the same stay.
        if (stay.owner, stay.fact.name) != before:
            passed[stay.fact.name] += 1
        lasted[stay.fact.name] += stay.end - stay.start
        before = (stay.owner, stay.fact.name)
    passed.update(life.state for life in course.lives if life.state == "superseded")
    return passed, lasted


def _arrows(course: Course) -> dict[tuple[str, str], Counter[str]]:
    """From which state to which the controllers went, and by which rules how often."""
    arrows: dict[tuple[str, str], Counter[str]] = {}

    def drawn(source: str, target: str, rule: str) -> None:
        arrows.setdefault((source, target), Counter())[rule] += 1

    first = course.lane("state")[:1]
    if first and not first[0].first:
        drawn("[*]", first[0].fact.name, "before the incident")
    for mark in course.marks:
        entry, decided = mark.entry, mark.decided
        if "controller" in decided.changes:
            # A claim ends one controller and begins the next.
            if entry.before is not None and entry.before not in _ENDS:
                drawn(entry.before, State.SUPERSEDED.value, entry.rule)
            drawn("[*]", str(entry.state), entry.rule)
        elif entry.moved:
            drawn(entry.before or "[*]", entry.state or "[*]", entry.rule)
    return arrows
