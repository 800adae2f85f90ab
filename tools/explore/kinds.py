"""The kinds of an expression's parts: what can never be so is an error and not a quiet `no`.

Kinds are read off the types of what an expression can name. Where one side of a comparison is an
instant, text on the others is a time, and they are compared to the nanosecond.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Collection
from enum import Enum
from itertools import pairwise
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ...statemachine.account import Account
from ...statemachine.outcome import Outcome
from ...statemachine.policy import NS, Policy
from ..moments import is_instant, time_of
from ..replay.replay import Step
from .scene import STRUCTS
from .words import KEYS, LISTS, ExpressionError, name_of, where

Kinds = frozenset[str]
TEXT, NUMBER, TIME = frozenset({"text"}), frozenset({"a number"}), frozenset({"a time"})
TRUTH, SEVERAL = frozenset({"yes or no"}), frozenset({"a list or a map"})
OBJECT = frozenset({"an object with fields"})
ANY = TEXT | NUMBER | TIME | TRUTH | SEVERAL | OBJECT
_NONE: Kinds = frozenset()
_PLAIN: dict[Any, Kinds] = {
    str: TEXT, Literal: TEXT, int: NUMBER, float: NUMBER, bool: TRUTH,
    dict: SEVERAL, list: SEVERAL, types.NoneType: _NONE, Any: ANY,
}  # fmt: skip


class Instant(int):
    """A time in an expression, UTC ns."""


def _kinds(name: str, hint: Any) -> Kinds:
    """What a value of a name and type may be; None may be anything."""
    if is_instant(name, NS):
        return TIME
    origin = get_origin(hint) or hint
    if origin in (Union, types.UnionType):
        return _NONE.union(*(_kinds(name, one) for one in get_args(hint)))
    if origin in _PLAIN:
        return _PLAIN[origin]
    if issubclass(origin, Enum):
        return TEXT
    named = issubclass(origin, msgspec.Struct) and origin.__struct_config__.tag is not None
    return TEXT if named else OBJECT


_MADE = {"live": bool, "policy": Policy}
_HINTS = get_type_hints(Outcome) | get_type_hints(Step) | get_type_hints(Account) | _MADE
_HINTS |= {"at": int, "changed": list, "timers": dict, "diverges": bool}
NAMED = {name: _kinds(name, hint) for name, hint in _HINTS.items()}
"""The kinds of a name."""

FIELDS: dict[str, Kinds] = {name: _kinds(name, hint) for name, hint in _MADE.items()}
"""The kinds of what stands behind a dot."""
for _struct in STRUCTS:
    for _name, _hint in get_type_hints(_struct).items():
        FIELDS[_name] = FIELDS.get(_name, _NONE) | _kinds(_name, _hint)


def kinds_of(node: ast.expr) -> Kinds:
    """What a part may be."""
    match node:
        case ast.Constant(value=Instant()):
            return TIME
        case ast.Constant(value=bool()) | ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return TRUTH
        case ast.Constant(value=int() | float()) | ast.UnaryOp() | ast.Call(func=ast.Name("len")):
            return NUMBER
        case ast.Constant(value=str(text)):
            return TEXT | NUMBER if _is_number(text) else TEXT
        case ast.Tuple() | ast.List() | ast.Set():
            return SEVERAL
        case ast.Name(id=name):
            return NAMED.get(name, ANY)
        case ast.Attribute(value=holder, attr=key):
            return TIME if name_of(holder) == "timers" else FIELDS.get(key, ANY)
        case ast.Subscript(value=holder, slice=ast.Constant(value=str(key))):
            if name_of(holder) == "timers":
                return TIME
            keyed = name_of(holder) in KEYS or kinds_of(holder) != SEVERAL
            return FIELDS.get(key, ANY) if keyed else ANY
    return ANY


def _is_number(text: str) -> bool:
    """Whether text may stand for a number: records hold decimals, and some codes, as text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_kinds(tree: ast.AST, days: Collection[str]) -> None:
    """Refuse what is compared with another kind; times as text become `Instant`s.

    `days` are those of the incident: a time without a day is one of the only one.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                if any(kinds_of(side) == TIME for side in sides):
                    for side in sides:
                        _timed(side, days)
                for (left, right), op in zip(pairwise(sides), node.ops, strict=True):
                    _compared(left, right, isinstance(op, ast.In | ast.NotIn))
            case ast.Call(func=ast.Name("len"), args=[counted]):
                _fit(counted, SEVERAL | TEXT)


def _timed(side: ast.expr, days: Collection[str]) -> None:
    for word in _items(side):
        if isinstance(word, ast.Constant) and isinstance(word.value, str):
            at = time_of(word.value)
            if at is None and len(days) == 1 and ":" in word.value:
                at = time_of(f"{next(iter(days))} {word.value}")
            if at is None:
                raise ExpressionError(
                    f"{word.value[:40]!a} ({where(word)}) is no time",
                    hint='for example "2026-11-21 02:56:08.578"; "02:56" alone is on the day of '
                    "the incident, if all of it is on one; UTC",
                )
            word.value = Instant(at)


def _items(side: ast.expr) -> list[ast.expr]:
    return side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]


def _compared(left: ast.expr, right: ast.expr, within: bool) -> None:
    if not within:
        sides = (right, left) if isinstance(left, ast.Constant) else (left, right)
        _fit(sides[0], kinds_of(sides[1]))
    elif isinstance(right, ast.Tuple | ast.List | ast.Set):
        for item in right.elts:
            _fit(left, kinds_of(item))
    elif isinstance(right, ast.Constant):
        raise ExpressionError(
            f"{str(right.value)[:40]!a} ({where(right)}) is no list",
            hint='write == "connected", or in ("connected", "conflict")',
        )
    else:
        _fit(right, SEVERAL | TEXT)
        if kinds_of(right) == TEXT or name_of(right) in LISTS:
            _fit(left, TEXT)


def _fit(part: ast.expr, wanted: Kinds) -> None:
    kinds = kinds_of(part)
    if not kinds & wanted:
        found, never = (" or ".join(sorted(one)) for one in (kinds, wanted))
        raise ExpressionError(
            f"{ast.unparse(part)[:40]!a} ({where(part)}) is {found}, and never {never}",
            hint="text is compared with text, a number with a number, a time with a time; a yes "
            "or no is asked for by its name: live, not live",
        )
