"""Canonical JSON: one content, one sequence of bytes.

Bytes are written once and hashed as stored, never serialised again. orjson would write NaN as null
and let a float through, whose shortest text differs between libraries: both are refused here.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from .errors import InvalidContent

_IN_ORDER = "in_order"
_PLAIN = frozenset((str, int, bool, type(None)))


def encode(content: dict[str, Any]) -> bytes:
    """Write content as canonical JSON: sorted keys, no spaces, UTF-8; no floats, only text keys."""
    if type(content) is not dict:
        raise InvalidContent("The content of a record is a dict")
    try:
        if not _is_writable(content):
            _refuse(content, "")
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise InvalidContent(f"The content can't be written as JSON: {error}") from None
    except RecursionError:
        raise InvalidContent("The content is nested too deep to be written as JSON") from None


def decode(body: bytes) -> dict[str, Any]:
    """Read the content of a record."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The text of the error names a place only; its attribute `doc` holds the body.
        raise InvalidContent(f"The body is not JSON: {error}") from None
    if type(content) is not dict:
        raise InvalidContent("The body of a record is one JSON object")
    return content


def is_canonical(body: bytes) -> bool:
    """Say whether bytes from elsewhere are what `encode` would have written.

    JSON from elsewhere may name a key twice, where the last one silently wins.
    """
    try:
        return orjson.dumps(_exact(body), option=orjson.OPT_SORT_KEYS) == body
    except (msgspec.MsgspecError, ValueError, RecursionError, orjson.JSONEncodeError):
        return False


def _inexact(number: str) -> None:
    raise ValueError("a record holds no floats")


_exact = msgspec.json.Decoder(dict[str, Any], float_hook=_inexact).decode


def in_order(value: Any) -> Any:
    """A struct as plain data whose maps keep their order, though `encode` sorts keys.

    A map whose keys don't stand sorted becomes `{"in_order": [[key, value], …]}`. What is held, and
    what is forgotten first, goes by the order of such maps, so a state is nothing without it.
    """
    return _ordered(value, msgspec.to_builtins(value))


def from_order(plain: Any) -> Any:
    """Plain data with the maps of `in_order` as they were."""
    if type(plain) is list:
        return [from_order(one) for one in plain]
    if type(plain) is not dict:
        return plain
    pairs = plain.get(_IN_ORDER)
    if type(pairs) is list and len(plain) == 1:
        if not all(type(one) is list and len(one) == 2 and type(one[0]) is str for one in pairs):
            raise InvalidContent(f"`{_IN_ORDER}` is a list of pairs")
        return {key: from_order(one) for key, one in pairs}
    return {key: from_order(one) for key, one in plain.items()}


def same(one: msgspec.Struct | None, other: msgspec.Struct | None) -> bool:
    """Whether two structs are equal, the order of their maps included, which `==` doesn't see."""
    return one == other and _keys(one) == _keys(other)


def _keys(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return [_keys(one) for one in msgspec.structs.astuple(value)]
    if isinstance(value, dict):
        return [*value, *map(_keys, value.values())]
    return [*map(_keys, value)] if isinstance(value, list | tuple) else None


def _ordered(value: Any, plain: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {key: _ordered(getattr(value, key, None), one) for key, one in plain.items()}
    if isinstance(value, dict):
        pairs = [
            [key, _ordered(one, plain[key])] for key, one in zip(plain, value.values(), strict=True)
        ]
        return dict(pairs) if list(plain) == sorted(plain) else {_IN_ORDER: pairs}
    if isinstance(value, list | tuple):
        return [_ordered(one, other) for one, other in zip(value, plain, strict=True)]
    return plain


def _is_writable(content: dict[str, Any]) -> bool:
    """Say whether all values, to any depth, are of the kinds that a record holds.

    Keys are left to orjson, which refuses those that are not text.
    """
    plain = _PLAIN
    pending: list[Iterable[Any]] = [content.values()]
    for values in pending:
        for value in values:
            kind = type(value)
            if kind in plain:
                continue
            if kind is dict:
                pending.append(value.values())
            elif kind is list:
                pending.append(value)
            else:
                return False
    return True


def _refuse(value: Any, path: str) -> None:
    """Name the place of the value that a record can't hold."""
    kind = type(value)
    if kind is dict:
        for key, inner in value.items():
            _refuse(inner, f"{path}.{key}")
    elif kind is list:
        for place, inner in enumerate(value):
            _refuse(inner, f"{path}[{place}]")
    elif kind not in _PLAIN:
        raise InvalidContent(
            f"The value at {path} is {kind.__name__}, which a record can't hold",
            hint="whole numbers in a named unit, text, true, false, null, lists and objects",
        )
