"""Edits of an incident's stimuli: fields changed, stimuli dropped or moved in time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ...statemachine.errors import InputError
from ...statemachine.parsing import check, parse
from ...statemachine.policy import NS, span
from ...statemachine.stimuli import TimerFired, name_of
from ..replay.reading import Fed
from .causes import Causes, caused_by
from .places import Numbered, place_of

_SET = re.compile(r"\s*(v?\d{1,18})\.([a-z_]+(?:\.[A-Za-z0-9_]+)*)\s*=(.*)", re.DOTALL)
_DELAY = re.compile(r"\s*(v?\d{1,18})\s*=\s*(.+)")
_SPAN = re.compile(r"([+-]?)\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min|m|h|d)")
_UNITS_S = {"ms": "0.001", "s": "1", "m": "60", "min": "60", "h": "3600", "d": "86400"}


def edit(
    stimuli: Sequence[Fed],
    causes: Causes,
    sets: Iterable[str],
    drops: Iterable[str],
    delays: Iterable[str],
) -> tuple[list[Fed], list[str]]:
    """The stimuli as edited, and the edits in words; raises `InputError`."""
    told: list[str] = []
    edited: list[Fed | None] = list(_set(stimuli, sets, told))
    for text in drops:
        _drop(edited, stimuli, causes, text, told)
    moved: list[Fed] = []
    for text in delays:
        moved += _delay(edited, stimuli, causes, text, told)
    return _merged([fed for fed in edited if fed is not None], moved), told


def _set(stimuli: Sequence[Fed], sets: Iterable[str], told: list[str]) -> list[Fed]:
    """The stimuli with fields changed; all changes of one stimulus are checked together."""
    plain: dict[int, dict[str, Any]] = {}
    for text in sets:
        found = _SET.fullmatch(text)
        if found is None:
            raise InputError("--set is POS.field=value", hint="for example --set 45.code=428")
        place = place_of(found[1], stimuli)
        _refuse_timer(stimuli[place], "set")
        if found[2] in ("at", "jitter"):
            raise InputError(
                f"{found[2]} is no field to set", hint="--delay POS=+30s moves a stimulus in time"
            )
        fields = plain.setdefault(place, msgspec.to_builtins(stimuli[place].stimulus))
        told.append(f"{_name(stimuli[place])}: {_assign(fields, found[2], found[3])}")
    changed = list(stimuli)
    for place, fields in plain.items():
        changed[place] = replace(stimuli[place], stimulus=parse(fields))
    return changed


def _assign(fields: dict[str, Any], path: str, text: str) -> str:
    """Give a field, or one inside a field, its value: JSON, or else text; null is to leave out."""
    *outer, name = path.split(".")
    holder = fields
    for part in outer:
        holder = holder.setdefault(part, {})
        if not isinstance(holder, dict):
            raise InputError(f"{part} has nothing inside it", hint="--set POS.field=value")
    was = holder.pop(name, None)
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = text.strip()
    if value is not None:
        holder[name] = value
    was, now = (msgspec.json.encode(one).decode() for one in (was, value))
    return f"{path} {was} -> {now}"


def _drop(
    edited: list[Fed | None], stimuli: Sequence[Fed], causes: Causes, text: str, told: list[str]
) -> None:
    place = place_of(text, stimuli)
    _refuse_timer(stimuli[place], "dropped")
    along = caused_by({place}, causes)
    for one in along:
        edited[one] = None
    told.append(f"{_name(stimuli[place])}: dropped{_along(stimuli, along)}")


def _delay(
    edited: list[Fed | None], stimuli: Sequence[Fed], causes: Causes, text: str, told: list[str]
) -> list[Fed]:
    """Take a stimulus and what it caused out of the row; returns them as they are moved."""
    found = _DELAY.fullmatch(text)
    if found is None:
        raise InputError("--delay is POS=SPAN", hint="for example --delay 45=+30s")
    place, later = place_of(found[1], stimuli), span_of(found[2])
    fed = edited[place]
    if fed is None:
        raise InputError(
            f"{_name(stimuli[place])} is dropped or moved already", hint="name it once"
        )
    if fed.late is not None:
        _wait(edited, place, later)
    along = caused_by({place}, causes)
    told.append(f"{_name(fed)}: {_sign(later)}{later / NS:g} s{_along(stimuli, along)}")
    moved = []
    for one in sorted(along):
        if (fed := edited[one]) is not None:
            moved.append(_later(fed, later, one == place))
            edited[one] = None
    return moved


def _later(fed: Fed, later: int, named: bool) -> Fed:
    """A stimulus so much later; a timer that was named keeps its due instant and is so late."""
    stimulus = replace(fed.stimulus, at=fed.stimulus.at + later)
    if stimulus.last_at is not None:
        stimulus = replace(stimulus, last_at=stimulus.last_at + later)
    check(stimulus)
    if fed.late is None or not isinstance(stimulus, TimerFired):
        return replace(fed, stimulus=stimulus, waiting=frozenset())
    late = fed.late + later if named else fed.late
    itself = (stimulus.timer, stimulus.reply, stimulus.at - late)
    return replace(fed, stimulus=stimulus, late=late, waiting=frozenset([itself]))


def _wait(edited: list[Fed | None], place: int, later: int) -> None:
    """Let the clock keep a timer waiting: it fires later after it was due than it did."""
    fed = edited[place]
    assert fed is not None and isinstance(fed.stimulus, TimerFired) and fed.late is not None
    if fed.late + later < 0:
        raise InputError(
            f"{_name(fed)} was due only {fed.late / NS:g} s before", hint="a timer is never early"
        )
    timer = (fed.stimulus.timer, fed.stimulus.reply, fed.stimulus.at - fed.late)
    for one in range(place + 1, len(edited)):
        other = edited[one]
        if other is not None and other.stimulus.at <= fed.stimulus.at + later:
            edited[one] = replace(other, waiting=other.waiting | {timer})


def _merged(rest: Sequence[Fed], moved: Iterable[Fed]) -> list[Fed]:
    """Put what was moved where it belongs by its instant; the others keep their order."""
    waiting = sorted(moved, key=lambda fed: fed.stimulus.at)
    merged: list[Fed] = []
    for fed in rest:
        while waiting and waiting[0].stimulus.at < fed.stimulus.at:
            merged.append(waiting.pop(0))
        merged.append(fed)
    return merged + waiting


def _refuse_timer(fed: Fed, done: str) -> None:
    if fed.late is not None:
        raise InputError(
            f"{_name(fed)} is a timer, and in a fork the clock fires it: it can't be {done}",
            hint="change the stimulus that set it, or its policy; --delay makes it late",
        )


def span_of(text: str) -> int:
    """A span in ns: `+30s`, `-2s`, `1.5h`, `250ms`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InputError("that is no span of time", hint="for example +30s, -2s, 5m, 250ms")
    sign = -1 if found[1] == "-" else 1
    return sign * span(found[2]) * span(_UNITS_S[found[3]]) // NS


def _sign(later: int) -> str:
    return "+" if later >= 0 else ""


def _name(fed: Numbered) -> str:
    return f"{fed.position} {name_of(fed.stimulus)}"


def _along(stimuli: Sequence[Fed], places: set[int]) -> str:
    others = [_name(stimuli[place]) for place in sorted(places)[1:]]
    shown = ", ".join(others[:8]) + (f" and {len(others) - 8} more" if len(others) > 8 else "")
    return f", with what it caused: {shown}" if others else ""
