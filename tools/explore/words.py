"""The words of an expression: one that can never be so is an error and not a quiet `no`.

Checked is what is compared with a name of a fixed list of words, and what is asked of a value that
has fixed keys. An incident may hold words that this version doesn't know, by older or other code:
those are known too.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...projections.explanations import EXPLANATIONS
from ...statemachine.account import FIELDS, TIMERS
from ...statemachine.closes import CloseClass
from ...statemachine.errors import InputError
from ...statemachine.lifecycle import TABLE
from ...statemachine.outcome import Effect, ReplyOutcome
from ...statemachine.policy import NS, Policy
from ...statemachine.stimuli import KINDS
from ..moments import instant
from ..replay.replay import Step
from .scene import STRUCTS

_DAY = 86_400 * NS
DAYS = "the days"
"""Under this no name the words of an incident have the days on which it was."""


class ExpressionError(InputError):
    """The expression is not understood."""


def _literals(hint: Any) -> list[str]:
    """The words that a type allows, None beside; none for a type of other values."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return [word for one in get_args(hint) for word in _literals(one)]
    return [one.value for one in hint] if isinstance(hint, type) and issubclass(hint, Enum) else []


WORDS: dict[str, Collection[str]] = {
    "rule": {*EXPLANATIONS, *(row.rule for row in TABLE)},
    "stimulus": KINDS,
    "effects": [str(effect.__struct_config__.tag) for effect in get_args(Effect)],
    "changed": FIELDS,
    "timers": TIMERS,
    "cause": [*(one.value for one in CloseClass), "restart_requested"],
    "reason": ["pairing_failed", "gave_up", "stopped", "rejected", "forbidden"],
}
"""Names whose values are words of a fixed list: another word is a slip of the pen."""
for _struct in STRUCTS:
    for _name, _hint in get_type_hints(_struct).items():
        if _words := _literals(_hint):
            WORDS[_name] = sorted({*WORDS.get(_name, ()), *_words})
WORDS["outcome"] = [*get_args(ReplyOutcome), "held", "sending"]

LISTS = {"effects": "effect", "timers": "timer", "changed": "field", "replies": "reply"}
"""Names that hold several words, and what one of these is called."""

KEYS: dict[str, Collection[str]] = {
    "timers": TIMERS,
    "changes": FIELDS,
    "overrides": Policy.__struct_fields__,
    "policy": Policy.__struct_fields__,
}
"""Names that hold values by fixed keys."""


def words_of(steps: Iterable[Step]) -> dict[str, set[str]]:
    """The words of an incident, by the names whose values they are."""
    found: dict[str, set[str]] = {"rule": set(), "cause": set(), "reason": set(), "replies": set()}
    days: set[int] = set()
    for step in steps:
        days.add(step.stimulus.at // _DAY)
        for outcome in (step.decided, step.recorded):
            found["rule"] |= {outcome.rule} if outcome is not None else set()
        for account in (step.before, step.after):
            found["cause"] |= {account.cause} if account.cause is not None else set()
            found["reason"] |= {account.reason} if account.reason is not None else set()
            found["replies"] |= set(account.replies or ())
        found["replies"] |= set(step.decided.settled)
    return {**found, DAYS: {instant(day * _DAY)[:10] for day in days}}


def check(tree: ast.AST, seen: Mapping[str, Collection[str]]) -> None:
    """Refuse the words that can never be so; a state that is written as it prints is mended."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                for (left, right), op in zip(pairwise(sides), node.ops, strict=True):
                    _compared(left, right, op, seen)
            case ast.Subscript(value=holder, slice=ast.Constant(value=str(key)) as place):
                _key(holder, key, place, seen)
            case ast.Attribute(value=holder, attr=key):
                _key(holder, key, node, {})
            case ast.Call(func=ast.Name(id="reply"), args=[ast.Constant(value=str(key)) as place]):
                _key(ast.Name("replies"), key, place, seen)


def _key(holder: ast.expr, key: str, node: ast.expr, seen: Mapping[str, Collection[str]]) -> None:
    name = name_of(holder)
    known = KEYS.get(name or "", seen.get(name or "") if name == "replies" else None)
    if name is not None and known is not None and key not in known:
        raise unknown(LISTS.get(name, "field"), key, known, node)


def _compared(
    left: ast.expr, right: ast.expr, op: ast.cmpop, seen: Mapping[str, Collection[str]]
) -> None:
    within = isinstance(op, ast.In | ast.NotIn)
    for side, other in ((left, right), (right, left)):
        name = name_of(side)
        if name is None or (within and side is right and name not in LISTS):
            continue
        words = [one for one in _constants(other) if isinstance(one.value, str)]
        if words and name in LISTS and not (within and side is right):
            raise ExpressionError(
                f"{name} {where(side)} holds several words, and is never one",
                hint=f'write "{words[0].value[:40]}" in {name}',
            )
        known = WORDS.get(name)
        if known is None and name not in seen:
            continue
        for word in words:
            if name == "state":
                word.value = word.value.replace("-", "_")
            if word.value not in (all_known := {*(known or ()), *seen.get(name, ())}):
                raise unknown(LISTS.get(name, name), word.value, all_known, word)


def _constants(node: ast.expr) -> list[Any]:
    items = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [item for item in items if isinstance(item, ast.Constant)]


def name_of(side: ast.expr) -> str | None:
    """The name at the end of a side; the reason of anything but an account is free text."""
    match side:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="before"), attr=name):
            return name
        case ast.Attribute(attr=name):
            return name if name != "reason" else None
    return None


def unknown(what: str, given: str, known: Collection[str], node: ast.expr) -> ExpressionError:
    """The error of a word that is not known, with what may have been meant."""
    near = get_close_matches(given, list(known), 3, 0.6) or sorted(known)[:12]
    more = ", …" if len(near) == 12 and len(known) > 12 else ""
    return ExpressionError(
        f"there is no {what} {given[:40]!a} ({where(node)})",
        hint=f"did you mean {', '.join(near)}{more}" if near else "the incident has none",
    )


def where(node: ast.expr) -> str:
    """Where in the text a part stands."""
    return f"at character {node.col_offset + 1}"
