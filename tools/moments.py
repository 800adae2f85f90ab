"""Moments of a log: as an operator writes them, and as JSON and people read them.

Inside, an instant is a whole number of nanoseconds, UTC. Outside it is text: many readers of JSON
would round so large a number.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from ..statemachine.errors import InputError
from ..statemachine.policy import NS

_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_AGO = re.compile(r"-?\s*(\d{1,9})\s*([a-z]+)(?:\s+ago)?")
_INSTANT = re.compile(r"at|since|due|proven_at|gap_since|hold_until|\w+_at|uncertain_\w+")


class Moment(NamedTuple):
    """A place in a log: a position, or a time in UTC ns."""

    position: int | None = None
    at: int | None = None


def moment(text: str, now: int) -> Moment:
    """A moment as an operator writes it: `1234`, `2026-11-21T02:56`, `15m` (ago); UTC.

    `now` is UTC ns. Raises `InputError`.
    """
    bare = text.strip().lower()
    if bare.isascii() and bare.isdigit() and len(bare) <= 18:
        return Moment(position=int(bare))
    ago = _AGO.fullmatch(bare)
    if ago is not None and ago[2] in _UNITS_S:
        return Moment(at=now - int(ago[1]) * _UNITS_S[ago[2]] * NS)
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(
            f"{text[:40]!r} is neither a position nor a time",
            hint="a position such as 1234, a time such as 2026-11-21T02:56:00, or 15m (ago)",
        ) from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    seconds = int(time.replace(microsecond=0).timestamp())
    return Moment(at=seconds * NS + time.microsecond * 1_000)


def plain(answer: Any) -> Any:
    """An answer as JSON can hold it: instants as text, because many readers of JSON round them."""
    return _plain(msgspec.to_builtins(answer))


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        if name == "next_timer":
            return {"timer": value[0], "due": instant(value[1])}
        return [_plain(inner) for inner in value]
    if type(value) is int and value and _INSTANT.fullmatch(name):
        return instant(value)
    return value


def instant(at: int) -> str:
    """UTC ns as ISO 8601 text, to the nanosecond."""
    seconds, rest = divmod(at, NS)
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def clock(at: int) -> str:
    """UTC ns as the day and the time of it, to the millisecond."""
    seconds, rest = divmod(at, NS)
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{day:%Y-%m-%d %H:%M:%S}.{rest // 1_000_000:03d}"


def span(ns: int) -> str:
    """A span as people say it: `0.35 s`, `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`."""
    seconds = abs(ns) / NS
    if seconds < 10:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + " s"
    whole = round(seconds)
    for unit, smaller, size, rest in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60)):
        if whole >= size:
            more = whole % size // rest
            return f"{whole // size} {unit}" + (f" {more} {smaller}" if more else "")
    if whole >= 60:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole} s"


def relative(at: int, now: int) -> str:
    """An instant seen from `now`: `3 min 5 s ago` or `in 2 s`."""
    return f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"
