"""Divergences: where today's decisions differ from those of a trace, and what that comes to.

A trace is a row of `Decision`s. Two are compared record by record, by version. Of each record both
rules are told, and the most telling of the other fields that differ, the state first:

* `decision`: the rule, the changes of state or a reply's outcome differ,
* `effect`: only the effects differ,
* `timing`: only instants differ; the same was decided, at or for another time,
* `missing`, `extra`: decided in one trace only. Only a closed loop has them, for timers,
* `schema`: today's code can't read the record,
* `self`: the record contradicts itself, so that no code could agree with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import msgspec

from ...statemachine.account import FIELDS, TIMERS
from ..moments import is_instant

Kind = Literal["decision", "effect", "timing", "missing", "extra", "schema", "self"]

ABSENT = "(nothing)"
"""Stands for a value that one side does not have at all; null is a value."""

_FIRST = ("state", "phase", "reason", "cause", "controller", "epoch", "attempt", "settled")
_ORDER = dict.fromkeys((*_FIRST, *(timer + "_at" for timer in TIMERS), *FIELDS))
_RANKS = {name: rank for rank, name in enumerate(_ORDER)}
"""What tells most of a decision comes first: where the account is, then which timers are set."""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of a trace. A timer that the log doesn't have has neither version nor position.

    `raised` is what the code raised and where, if it did (`raised.Raised`).
    """

    stimulus: str
    at: int
    rule: str
    version: int | None = None
    position: int | None = None
    changes: dict[str, Any] = {}
    effects: list[Any] = []
    settled: dict[str, Any] = {}
    raised: str | None = None


class Divergence(msgspec.Struct, frozen=True):
    """Where two traces differ: `recorded` and `now` are the values of `field` then and now.

    The field is `rule` where no other differs, or where code raised: then the rule says which
    class, and the value all.
    `decided` is all that is decided now; other fields of it may differ too.
    """

    kind: Kind
    version: int | None
    position: int | None
    rule: str | None
    rule_now: str | None
    field: str
    recorded: Any = None
    now: Any = None
    decided: Decision | None = None

    @property
    def raises(self) -> bool:
        """Whether the code of now decides nothing here, but raises."""
        return (self.rule_now or "").startswith("(raised ")


class Replayed(msgspec.Struct, frozen=True):
    """What a replay found: how many records it read, and the differences in their order.

    `first` is the first of them; `downstream` counts the later records that differ too.
    """

    records: int
    divergences: list[Divergence]
    first: Divergence | None = None
    downstream: int = 0

    @property
    def verdict(self) -> int:
        """The exit code: 0 the same, 1 decided otherwise, 3 a schema that is not understood."""
        if self.first is None:
            return 0
        return 3 if any(one.kind == "schema" for one in self.divergences) else 1


def summed(records: int, divergences: list[Divergence], unread: int = 0) -> Replayed:
    """The result of a replay that found these; `unread` records came after it had to stop."""
    first = divergences[0] if divergences else None
    return Replayed(records, divergences, first, max(0, len(divergences) - 1) + unread)


def compare_traces(
    was: Iterable[Decision], now: Iterable[Decision], records: int | None = None
) -> Replayed:
    """Compare two traces of the same incident by the versions of its records.

    `records` is how many it has, where `was` is not a line for each.
    """
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
    count = len(then) if records is None else records
    return summed(count, [divergence for _, divergence in found])


def _only(kind: Literal["missing", "extra"], decision: Decision) -> Divergence:
    told: dict[str, Any] = {"stimulus": decision.stimulus, "at": decision.at}
    if decision.raised is not None:
        told["raised"] = decision.raised
    numbers = decision.version, decision.position
    if kind == "missing":
        return Divergence(kind, *numbers, decision.rule, None, "stimulus", told, None)
    return Divergence(kind, *numbers, None, decision.rule, "stimulus", None, told, decision)


def differ(was: Decision, now: Decision) -> Divergence | None:
    """The first difference of two decisions on one record, the most telling kind first."""
    found = list(_differences(was, now))
    if was.raised or now.raised or (was.rule != now.rule and not found):
        found = [("decision", "rule", was.raised or was.rule, now.raised or now.rule)]
    if not found:
        return None
    kind, field, recorded, value = min(found, key=lambda one: one[0] == "timing")
    kind = kind if was.rule == now.rule else "decision"
    numbers, rules = (was.version, was.position), (was.rule, now.rule)
    return Divergence(kind, *numbers, *rules, field, recorded, value, now)


def _differences(was: Decision, now: Decision) -> Iterator[tuple[Kind, str, Any, Any]]:
    decided = [
        *_paths("changes", was.changes, now.changes),
        *_paths("settled", was.settled, now.settled),
    ]
    for path, recorded, value in sorted(decided, key=_rank):
        later = is_instant(path, recorded) and is_instant(path, value)
        yield "timing" if later else "decision", path, recorded, value
    for path, recorded, value in _paths("effects", was.effects, now.effects):
        yield "effect", path, recorded, value
    if was.at != now.at:
        yield "timing", "at", was.at, now.at


def _rank(difference: tuple[str, Any, Any]) -> int:
    home, name = (*difference[0].split("."), "")[:2]
    return _RANKS.get(name if home == "changes" else home, len(_RANKS))


def _paths(path: str, was: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """Every differing value of two pieces of plain data, by its path, in the order of the paths."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            yield from _paths(f"{path}.{key}", was.get(key, ABSENT), now.get(key, ABSENT))
    elif isinstance(was, list) and isinstance(now, list):
        for place in range(max(len(was), len(now))):
            yield from _paths(f"{path}[{place}]", _item(was, place), _item(now, place))
    elif was != now or type(was) is not type(now):
        yield path, was, now


def _item(items: Sequence[Any], place: int) -> Any:
    return items[place] if place < len(items) else ABSENT
