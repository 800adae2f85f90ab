"""Scenario files: behaviour, executable. Read whole or refused with file, line and field."""

from __future__ import annotations

import itertools
import os
from typing import Any, Literal

import msgspec
import orjson

from ..eventstore.records import check_stream
from ..gateway.tokens import Tokens
from ..statemachine.errors import InputError, shown
from ..statemachine.identity import normalise
from ..statemachine.parsing import is_name, parse
from ..statemachine.policy import SPAN_S_MAX, policy_of

Answer = str | list[str | float | int]
_DIALS = ("open", "fail", "none")
_SENDS = ("acked", "not_sent", "unknown", "rejected", "silent")
EXPECT_KEYS = (
    "states path reason cause live epoch attempt dials claims purges notices degraded "
    "next_timer_s replies refused_requests echoes gaps verify"
).split()


class ScenarioError(InputError):
    """The file is not a scenario."""


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must hold after everything due at `t` (seconds)."""

    t: float | int
    expect: dict[str, Any]


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a scenario; FORMAT.md beside the scenarios says what its fields mean."""

    scenario: str
    what: str
    ref: str
    timing: Literal["exact", "partial", "none"]
    expect: dict[str, Any]
    note: str | None = None
    policy: dict[str, Any] = {}
    identity: dict[str, dict[str, str]] = {}
    dials: dict[str, list[str]] = {}
    sends: dict[str, list[Answer]] = {}
    close_confirm_s: float | int | None = 0
    until: float | int | None = None
    checkpoints: list[Checkpoint] = []


class Line(msgspec.Struct, frozen=True):
    """One stimulus, or a crash, at `t` seconds."""

    number: int
    t: float | int
    account: str
    fields: dict[str, Any]

    @property
    def is_crash(self) -> bool:
        """Whether the process dies here."""
        return bool(self.fields["stimulus"] == "crash")


class Scenario(msgspec.Struct, frozen=True):
    """A scenario as read from its file."""

    path: str
    header: Header
    lines: list[Line]

    @property
    def until(self) -> float | int:
        """When the run is judged, in seconds."""
        return self.header.until if self.header.until is not None else self.lines[-1].t


def read_scenario(path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario; raises `ScenarioError` that names file, line and field."""
    shown = os.fspath(path)
    try:
        with open(path, "rb") as file:
            rows = file.read().split(b"\n")
    except OSError as error:
        raise ScenarioError(f"{shown}: {error.strerror}", hint="give a .jsonl file") from None
    if rows and not rows[-1].strip():
        rows.pop()
    objects = [_object(shown, number, row) for number, row in enumerate(rows, 1)]
    if not objects:
        raise ScenarioError(f"{shown}, line 1: the file is empty", hint="a header comes first")
    header = _header(shown, objects[0])
    lines = [_line(shown, number, fields) for number, fields in enumerate(objects[1:], 2)]
    if not lines:
        raise ScenarioError(
            f"{shown}, line 2: no stimulus", hint="a first line claims a controller"
        )
    _check_order(shown, lines)
    return Scenario(shown, header, lines)


def _object(path: str, number: int, row: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(row)
    except orjson.JSONDecodeError as error:
        raise ScenarioError(
            f"{path}, line {number}: no JSON: {error.msg} at column {error.colno}",
            hint="one JSON object a line; a file that was cut ends in half a line",
        ) from None
    if not isinstance(value, dict):
        raise ScenarioError(f"{path}, line {number}: no JSON object", hint="one object a line")
    return value


def _header(path: str, fields: dict[str, Any]) -> Header:
    where = f"{path}, line 1"
    try:
        header = msgspec.convert(fields, Header)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{where}: {shown(str(error))}", hint="see FORMAT.md, Header") from None
    try:
        policy_of(header.policy)
    except InputError as error:
        raise ScenarioError(f"{where}: {error.message}", hint=error.hint) from None
    for checked in (header.expect, *(point.expect for point in header.checkpoints)):
        unknown = sorted(set(checked) - set(EXPECT_KEYS))
        if unknown:
            raise ScenarioError(
                f"{where}: expect has unknown key {unknown[0]!r}",
                hint="known are " + ", ".join(EXPECT_KEYS),
            )
    _check_answers(where, "dials", header.dials, _DIALS, delayed=False)
    _check_answers(where, "sends", header.sends, _SENDS, delayed=True)
    for name, forms in header.identity.items():
        try:
            normalise(forms)
        except InputError as error:
            raise ScenarioError(
                f"{where}: identity of {_shown(name)}: {error.message}", hint=error.hint
            ) from None
    for field, seconds in (("until", header.until), ("close_confirm_s", header.close_confirm_s)):
        _check_seconds(f"{where}: {field}", seconds or 0)
    for point in header.checkpoints:
        _check_seconds(f"{where}: t of a checkpoint", point.t)
    return header


def _check_answers(
    where: str, field: str, answers: dict[str, Any], known: tuple[str, ...], *, delayed: bool
) -> None:
    for name, row in answers.items():
        for answer in row:
            plain = isinstance(answer, str) and answer in known
            if not plain and not (delayed and _is_delayed(answer, known)):
                raise ScenarioError(
                    f"{where}: {field} of {_shown(name)} has an unknown answer",
                    hint="known are " + ", ".join(known) + ("; or [answer, s]" if delayed else ""),
                )


def _is_delayed(answer: Any, known: tuple[str, ...]) -> bool:
    if not isinstance(answer, list) or len(answer) != 2 or answer[0] not in known:
        return False
    return type(answer[1]) in (int, float) and 0 <= answer[1] <= SPAN_S_MAX


def _check_seconds(what: str, seconds: Any) -> None:
    if type(seconds) not in (int, float) or not 0 <= seconds <= SPAN_S_MAX:
        raise ScenarioError(
            f"{what} is no number of seconds", hint=f'such as "t": 12.5, at most {SPAN_S_MAX}'
        )


def _shown(name: str) -> str:
    """A controller's or a reply's name, unless it is none."""
    return name if is_name(name) else "(not a plain name)"


def _line(path: str, number: int, fields: dict[str, Any]) -> Line:
    where = f"{path}, line {number}"
    rest = dict(fields)
    t = rest.pop("t", None)
    account = rest.pop("account", "main")
    _check_seconds(f"{where}: t", t)
    if not isinstance(account, str):
        raise ScenarioError(f"{where}: account is no text", hint="leave it out for `main`")
    if rest.get("stimulus") != "crash":
        try:
            check_stream(account)
            parse(rest)
            Tokens.check(rest)
        except InputError as error:
            raise ScenarioError(f"{where}: {error.message}", hint=error.hint) from None
    return Line(number, t, account, rest)


def _check_order(path: str, lines: list[Line]) -> None:
    for before, line in itertools.pairwise(lines):
        if line.t < before.t:
            raise ScenarioError(
                f"{path}, line {line.number}: t falls from {before.t} to {line.t}",
                hint="lines stand in order of time",
            )
