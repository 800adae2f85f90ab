"""Moments of a log: as an operator writes them, and as JSON and people read them.

Inside, an instant is a whole number of nanoseconds, UTC. Outside it is text: many readers of JSON
would round so large a number.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from ..statemachine.errors import InputError
from ..statemachine.policy import NS

_DAY_S = 86_400
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": _DAY_S * 1_000}
_SPAN = re.compile(r"([+-]?)\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min|m|h|d)(\s+ago)?", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_FRACTION = re.compile(r"[.,](\d{1,9})", re.ASCII)
_INSTANT = re.compile(
    r"at|due|since|until|proof|late_opening|\w+_(at|since|until)|uncertain_\w+", re.ASCII
)


class Moment(NamedTuple):
    """A place in a log: a position, or a time in UTC ns."""

    position: int | None = None
    at: int | None = None


def moment(text: str, now: int) -> Moment:
    """A moment as an operator writes it: `1234`, `2026-11-21T02:56`, `03:00`, `15m` (ago); UTC.

    `now` is UTC ns. A bare time of the clock is the last one that was: at most a day ago. Raises
    `InputError`.
    """
    bare = text.strip().lower()
    if bare.isascii() and bare.isdigit() and len(bare) <= 18:
        return Moment(position=int(bare))
    ago = _SPAN.fullmatch(bare)
    if ago is not None and ago[1] != "+":
        return Moment(at=now - abs(_ns(ago)))
    said = _CLOCK.fullmatch(bare)
    if said is not None:
        hour, minute, second = (int(part or 0) for part in said.groups())
        passed = (now // NS - hour * 3_600 - minute * 60 - second) % _DAY_S
        return Moment(at=(now // NS - passed) * NS)
    at = time_of(text)
    if at is None:
        raise InputError(
            f"{text[:40]!r} is neither a position nor a time",
            hint="a position such as 1234, a UTC time such as 2026-11-21T02:56:00 or 03:00 "
            "(the last one that was), or 15m (ago)",
        )
    return Moment(at=at)


def time_of(text: str) -> int | None:
    """UTC ns of a day with or without a time, to the nanosecond; None for anything else."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    fraction = _FRACTION.search(text)
    ns = int(fraction[1].ljust(9, "0")) if fraction is not None else 0
    return int(time.replace(microsecond=0).timestamp()) * NS + ns


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
    if value and is_instant(name, value):
        return instant(value)
    return value


def is_instant(path: str, value: Any) -> bool:
    """Whether a value is an instant, by the name of its field, the last of its path.

    A timer that is unset, and so null, is none.
    """
    return type(value) is int and _INSTANT.fullmatch(path.rpartition(".")[2]) is not None


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


def span_of(text: str) -> int:
    """A span in ns as an operator writes it: `30s`, `-2s`, `1.5h`, `250ms`.

    Raises `InputError`.
    """
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None or found[4]:
        raise InputError("that is no span of time", hint="for example +30s, -2s, 5m, 250ms")
    return _ns(found)


def _ns(found: re.Match[str]) -> int:
    ns = int(Fraction(found[2]) * _UNITS_MS[found[3]] * (NS // 1_000))
    return -ns if found[1] == "-" else ns


def relative(at: int, now: int) -> str:
    """An instant seen from `now`: `3 min 5 s ago` or `in 2 s`."""
    return f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"
