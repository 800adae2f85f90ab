"""Divergences: where today's decisions differ from those of a trace, and what that comes to.

A trace is a row of `Decision`s. Two are compared record by record, by version. Of each record the
first differing field is told, the rule first:

* `decision`: the rule, the changes of state or a reply's outcome differ,
* `effect`: only the effects differ,
* `timing`: only instants differ; the same was decided, at or for another time,
* `missing`, `extra`: decided in one trace only. Only a closed loop has them, for timers,
* `schema`: today's code can't read the record,
* `self`: the record contradicts itself, so that no code could agree with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec

Kind = Literal["decision", "effect", "timing", "missing", "extra", "schema", "self"]

_INSTANTS = frozenset({"at", "since", "until", "gap_since", "late_opening"})
_ABSENT = "(nothing)"


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a trace. A timer that the log doesn't have has neither version nor position."""

    stimulus: str
    at: int
    rule: str
    version: int | None = None
    position: int | None = None
    changes: dict[str, Any] = {}
    effects: list[Any] = []
    settled: dict[str, Any] = {}


class Divergence(msgspec.Struct, frozen=True):
    """Where two traces differ: `recorded` and `now` are the values of `field` then and now."""

    kind: Kind
    version: int | None
    position: int | None
    rule: str | None
    rule_now: str | None
    field: str
    recorded: Any = None
    now: Any = None


class Replayed(msgspec.Struct, frozen=True):
    """What a replay found: how many records it read, and the differences in their order.

    `first` is the first of them; `downstream` counts the later records that differ too.
    """

    records: int
    divergences: list[Divergence]
    first: Divergence | None = None
    downstream: int = 0


def summed(records: int, divergences: list[Divergence], unread: int = 0) -> Replayed:
    """The result of a replay that found these; `unread` records came after it had to stop."""
    first = divergences[0] if divergences else None
    return Replayed(records, divergences, first, max(0, len(divergences) - 1) + unread)


def compare_traces(was: Iterable[Decision], now: Iterable[Decision]) -> Replayed:
    """Compare two traces of the same incident by the versions of its records."""
    then = {decision.version: decision for decision in was}
    found: list[tuple[float, Divergence]] = []
    seen: set[int | None] = set()
    place = 0.0
    for decision in now:
        recorded = then.get(decision.version) if decision.version is not None else None
        if recorded is None:
            place += 2**-20  # it stands after the record before it
            found.append((place, _only("extra", decision)))
            continue
        place = float(decision.version or 0)
        seen.add(decision.version)
        divergence = differ(recorded, decision)
        if divergence is not None:
            found.append((place, divergence))
    for version, decision in then.items():
        if version not in seen:
            found.append((float(version or 0), _only("missing", decision)))
    found.sort(key=lambda pair: pair[0])
    return summed(len(then), [divergence for _, divergence in found])


def _only(kind: Literal["missing", "extra"], decision: Decision) -> Divergence:
    told = {"stimulus": decision.stimulus, "at": decision.at}
    was, now = (decision.rule, told), (None, None)
    (rule, recorded), (rule_now, decided) = (was, now) if kind == "missing" else (now, was)
    numbers = decision.version, decision.position
    return Divergence(kind, *numbers, rule, rule_now, "stimulus", recorded, decided)


def differ(was: Decision, now: Decision) -> Divergence | None:
    """The first difference of two decisions on one record, the most telling kind first."""
    timing: tuple[str, Any, Any] | None = None
    for kind, field, recorded, decided in _differences(was, now):
        if kind != "timing":
            return Divergence(
                kind, was.version, was.position, was.rule, now.rule, field, recorded, decided
            )
        timing = timing or (field, recorded, decided)
    if timing is None:
        return None
    return Divergence("timing", was.version, was.position, was.rule, now.rule, *timing)


def _differences(was: Decision, now: Decision) -> Iterator[tuple[Kind, str, Any, Any]]:
    if was.rule != now.rule:
        yield "decision", "rule", was.rule, now.rule
    decided = chain(
        _paths("changes", was.changes, now.changes), _paths("settled", was.settled, now.settled)
    )
    for path, recorded, value in decided:
        yield "timing" if _is_later(path, recorded, value) else "decision", path, recorded, value
    for path, recorded, value in _paths("effects", was.effects, now.effects):
        yield "effect", path, recorded, value
    if was.at != now.at:
        yield "timing", "at", was.at, now.at


def _is_later(path: str, was: Any, now: Any) -> bool:
    """Whether only the instant is another one: a timer that is set or not is no matter of time."""
    name = path.rpartition(".")[2]
    instant = name in _INSTANTS or name.endswith("_at")
    return instant and type(was) is int and type(now) is int


def _paths(path: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every differing value of two pieces of plain data, by its path, in the order of the paths."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            yield from _paths(f"{path}.{key}", was.get(key, _ABSENT), now.get(key, _ABSENT))
    elif isinstance(was, list) and isinstance(now, list):
        for place in range(max(len(was), len(now))):
            yield from _paths(f"{path}[{place}]", _item(was, place), _item(now, place))
    elif was != now or type(was) is not type(now):
        yield path, was, now


def _item(items: Sequence[Any], place: int) -> Any:
    return items[place] if place < len(items) else _ABSENT
