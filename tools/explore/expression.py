"""A small language for questions about a record: `state == "conflict" and attempt > 3`.

It has comparisons, `in`, `and`, `or`, `not`, and names for what a record decided and left behind.
A text is parsed by Python's parser and then compiled node by node from a short list; what is not on
it is refused, so nothing of an expression is ever executed. A name, a field, a state or a rule that
does not exist is an error and not an expression that is never true.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

import msgspec

from ..moments import instant
from .kinds import TIME, check_kinds, kinds_of
from .scene import ATTRIBUTES, NAMES, Scene, Value, fate, held
from .words import DAYS, ExpressionError, check, unknown, where

CHARACTERS_MAX = 1_000
NODES_MAX = 200
_NONE: Mapping[str, Collection[str]] = MappingProxyType({})


_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SPELLINGS = {"true": True, "false": False, "null": None, "none": None}
_LANGUAGE = "comparisons, in, and, or, not, names with fields, reply(…), len(…), text and numbers"


class Expression:
    """A question to be asked of any number of records; `names` are those that it asks about."""

    def __init__(self, text: str, seen: Mapping[str, Collection[str]] = _NONE) -> None:
        """Compile a text; raises `ExpressionError` that says what is wrong and where.

        `seen` are the words of the incident that it is asked about (`words.words_of`).
        """
        self.text = text.strip()
        tree = _parsed(self.text)
        check(tree, seen)
        check_kinds(tree, seen.get(DAYS, ()))
        self.names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        self._time = kinds_of(tree.body) == TIME
        self._ask = _compiled(tree.body)

    def __call__(self, scene: Scene) -> bool:
        """Whether it is true of a record; raises `ExpressionError` for what can't be ordered."""
        return bool(self._ask(scene))

    def value(self, scene: Scene) -> Any:
        """What it is at a record, for people: an instant is text."""
        value = self._ask(scene)
        return instant(value) if self._time and value is not None else value


def _parsed(text: str) -> ast.Expression:
    if not text:
        raise ExpressionError("the expression is empty", hint='for example: state == "conflict"')
    if len(text) > CHARACTERS_MAX:
        raise ExpressionError(f"the expression has more than {CHARACTERS_MAX} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ExpressionError(
            f"the expression can't be read at character {error.offset or 1}: {error.msg}",
            hint='for example: state == "conflict" and attempt > 3',
        ) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("the expression can't be read", hint=_LANGUAGE) from None
    if sum(isinstance(node, ast.expr) for node in ast.walk(tree)) > NODES_MAX:
        raise ExpressionError(f"the expression has more than {NODES_MAX} parts")
    spelled: ast.Expression = _Spelled().visit(tree)
    return spelled


class _Spelled(ast.NodeTransformer):
    """True, False and None as JSON and the stepper write them."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in _SPELLINGS:
            return node
        return ast.copy_location(ast.Constant(_SPELLINGS[node.id]), node)


def _compiled(node: ast.expr) -> Value:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            parts = [_compiled(one) for one in values]
            return lambda scene: all(part(scene) for part in parts)
        case ast.BoolOp(values=values):
            parts = [_compiled(one) for one in values]
            return lambda scene: any(part(scene) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            denied = _compiled(inner)
            return lambda scene: not denied(scene)
        case ast.Compare():
            return _comparison(node)
        case ast.Name(id=name):
            return _named(name, node)
        case ast.Attribute(value=holder, attr=name):
            return _attribute(_compiled(holder), name, node)
        case ast.Subscript(value=holder, slice=ast.Constant(value=str(key))):
            return _item(_compiled(holder), key)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
            return _call(name, argument, node)
    constant = _constant(node)
    return lambda _: constant


def _constant(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
            return [_constant(item) for item in items]
    what = type(node).__name__
    raise ExpressionError(f"{what} {where(node)} is not part of the language", hint=_LANGUAGE)


def _named(name: str, node: ast.expr) -> Value:
    if name not in NAMES:
        raise unknown("name", name, NAMES, node)
    found = NAMES[name]
    return lambda scene: held(name, found(scene))


def _attribute(holder: Value, name: str, node: ast.expr) -> Value:
    if name not in ATTRIBUTES:
        raise unknown("field", name, ATTRIBUTES, node)

    return _item(holder, name)


def _item(holder: Value, key: str) -> Value:
    def read(scene: Scene) -> Any:
        whole = holder(scene)
        if isinstance(whole, dict):
            return held(key, whole.get(key))
        known = isinstance(whole, msgspec.Struct) and key in ATTRIBUTES and hasattr(whole, key)
        return held(key, getattr(whole, key)) if known else None

    return read


def _call(name: str, argument: ast.expr, node: ast.expr) -> Value:
    if name == "reply":
        match argument:
            case ast.Constant(value=str(reply)):
                return lambda scene: fate(scene, reply)
        raise ExpressionError(f"reply {where(node)} takes an id", hint='reply("r1").outcome')
    if name != "len":
        raise unknown("function", name, ("reply", "len"), node)
    counted = _compiled(argument)

    def count(scene: Scene) -> int:
        whole = counted(scene)
        return len(whole) if isinstance(whole, list | tuple | dict | str) else 0

    return count


def _comparison(node: ast.Compare) -> Value:
    sides = [node.left, *node.comparators]
    values = [_compiled(side) for side in sides]
    tests = [_test(op, node) for op in node.ops]

    def compare(scene: Scene) -> bool:
        left = values[0](scene)
        for test, value in zip(tests, values[1:], strict=True):
            right = value(scene)
            if not test(left, right):
                return False
            left = right
        return True

    return compare


def _test(op: ast.cmpop, node: ast.expr) -> Callable[[Any, Any], bool]:
    if type(op) in _ORDERS:
        order = _ORDERS[type(op)]
        return lambda left, right: _ordered(order, left, right, node)
    match op:
        case ast.Eq() | ast.Is():
            return _equal
        case ast.NotEq() | ast.IsNot():
            return lambda left, right: not _equal(left, right)
        case ast.In():
            return _within
    return lambda left, right: not _within(left, right)


def _equal(left: Any, right: Any) -> bool:
    left, right = _alike(_word(left), _word(right))
    return bool(left == right)


def _ordered(order: Callable[[Any, Any], bool], left: Any, right: Any, node: ast.expr) -> bool:
    left, right = _alike(_word(left), _word(right))
    if left is None or right is None:
        return False
    try:
        return order(left, right)
    except TypeError:
        raise ExpressionError(
            f"{_kind(left)} and {_kind(right)} {where(node)} have no order",
            hint="compare numbers with numbers, and text with text",
        ) from None


def _within(left: Any, right: Any) -> bool:
    right = _word(right)
    if isinstance(right, str):
        return isinstance(word := _word(left), str) and word in right
    return isinstance(right, list | tuple | dict) and any(_equal(left, one) for one in right)


def _word(value: Any) -> Any:
    """What a value is compared as: a stimulus and an effect are their names."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, msgspec.Struct) and value.__struct_config__.tag is not None:
        return value.__struct_config__.tag
    return value


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Both as numbers where one of them is: records hold decimals, and some codes, as text."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int | float) and isinstance(other, str):
            try:
                number = float(other)
            except ValueError:
                break
            return (one, number) if one is left else (number, one)
    return left, right


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    return "a number" if isinstance(value, int | float) else "a list or an object"
