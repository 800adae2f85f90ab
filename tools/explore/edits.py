"""Edits of an incident's stimuli: fields changed, stimuli dropped or moved in time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ...statemachine.errors import InputError
from ...statemachine.parsing import parse
from ...statemachine.policy import NS
from ...statemachine.stimuli import TimerFired, name_of
from ..moments import span_of
from ..replay.reading import Fed
from .causes import Causes, caused_by
from .places import Numbered, place_of

_SET = re.compile(r"\s*(v?\d{1,18})\.([a-z_]+(?:\.[A-Za-z0-9_]+)*)\s*=(.*)", re.DOTALL)
_DELAY = re.compile(r"\s*(v?\d{1,18})\s*=\s*(.+)")

_NOT_TO_SET = ("at", "jitter", "times", "last_at")
MOVED_S_MAX = 31 * 86_400
"""A line that is down dials every few minutes: what lies further away is more of the same."""


def edit(
    stimuli: Sequence[Fed],
    causes: Causes,
    sets: Iterable[str],
    drops: Iterable[str],
    delays: Iterable[str],
) -> tuple[list[Fed], list[str]]:
    """The stimuli as edited, and the edits in words.

    Raises `InputError`, also for an edit that changes nothing or contradicts another one.
    """
    told: list[str] = []
    edited: list[Fed | None] = list(stimuli)
    for place in sorted(place_of(text, stimuli) for text in drops):
        _drop(edited, stimuli, causes, place, told)
    for place, fed in _set(stimuli, sets, told).items():
        if edited[place] is None:
            raise _gone(stimuli[place])
        edited[place] = fed
    moved: list[Fed] = []
    for place, text in sorted(_delays(stimuli, delays)):
        moved += _delay(edited, stimuli, causes, place, text, told)
    return _merged([fed for fed in edited if fed is not None], moved), told


def _set(stimuli: Sequence[Fed], sets: Iterable[str], told: list[str]) -> dict[int, Fed]:
    """Stimuli with fields changed, by place; all changes of one are checked together."""
    plain: dict[int, dict[str, Any]] = {}
    paths: dict[int, list[str]] = {}
    for text in sets:
        found = _SET.fullmatch(text)
        if found is None:
            raise InputError("--set is POS.field=value", hint="for example --set 45.code=428")
        place = place_of(found[1], stimuli)
        _refuse_timer(stimuli[place], "set")
        if found[2] in _NOT_TO_SET:
            raise InputError(
                f"{found[2]} is no field to set", hint="--delay POS=+30s moves a stimulus in time"
            )
        known = [one for one in stimuli[place].stimulus.__struct_fields__ if one not in _NOT_TO_SET]
        if (field := found[2].split(".")[0]) not in known:
            raise InputError(
                f"{_name(stimuli[place])} has no field {field[:40]}",
                hint=f"it has {', '.join(known)}",
            )
        if any(_within(found[2], one) for one in paths.setdefault(place, [])):
            raise InputError(
                f"{found[2]} of {_name(stimuli[place])} is set twice", hint="name it once"
            )
        paths[place].append(found[2])
        fields = plain.setdefault(place, msgspec.to_builtins(stimuli[place].stimulus))
        told.append(f"{_name(stimuli[place])}: {_assign(fields, found[2], found[3])}")
    changed = {}
    for place, fields in plain.items():
        changed[place] = replace(stimuli[place], stimulus=parse(fields))
        if changed[place] == stimuli[place]:
            raise InputError(
                f"{_name(stimuli[place])} has these values already: {', '.join(paths[place])}",
                hint="an edit changes something; `linewarden step` shows what is so",
            )
    return changed


def _within(path: str, other: str) -> bool:
    """Whether one of two paths is the other, or inside it."""
    shorter, longer = sorted((path + ".", other + "."), key=len)
    return longer.startswith(shorter)


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
    if value == was:
        raise InputError(
            f"{path} has that value already",
            hint="an edit changes something; `linewarden step` shows what is so",
        )
    was, now = (
        "none" if one is None else msgspec.json.encode(one).decode() for one in (was, value)
    )
    return f"{path} {was} -> {now}"


def _drop(
    edited: list[Fed | None], stimuli: Sequence[Fed], causes: Causes, place: int, told: list[str]
) -> None:
    """Take a stimulus and what it caused out of the row.

    A timer stays: the clock fires it where it is set all the same, and else it does not fire.
    """
    _refuse_timer(stimuli[place], "dropped")
    if edited[place] is None:
        raise _gone(stimuli[place])
    along = {one for one in caused_by({place}, causes) if stimuli[one].late is None}
    for one in along:
        edited[one] = None
    told.append(f"{_name(stimuli[place])}: dropped{_along(stimuli, along)}")


def _delays(stimuli: Sequence[Fed], delays: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The place of each stimulus that is to be moved, with the span as it was given."""
    for text in delays:
        found = _DELAY.fullmatch(text)
        if found is None:
            raise InputError("--delay is POS=SPAN", hint="for example --delay 45=+30s")
        yield place_of(found[1], stimuli), found[2]


def _delay(
    edited: list[Fed | None],
    stimuli: Sequence[Fed],
    causes: Causes,
    place: int,
    text: str,
    told: list[str],
) -> list[Fed]:
    """Take a stimulus and what it caused out of the row; returns them as they are moved."""
    later = span_of(text)
    fed = edited[place]
    if fed is None:
        raise _gone(stimuli[place])
    if not later:
        raise InputError(
            f"{_name(fed)} is moved by nothing", hint="for example --delay 45=+30s, or 45=-2s"
        )
    if abs(later) > MOVED_S_MAX * NS:
        raise InputError(f"{_name(fed)} is moved by more than 31 days", hint="move it by less")
    if fed.late is not None:
        _wait(edited, place, later)
    along = caused_by({place}, causes)
    moved_by = text.strip() if text[0] in "+-" else f"+{text.strip()}"
    told.append(f"{_name(fed)}: {moved_by}{_along(stimuli, along)}")
    moved = []
    for one in sorted(along):
        if (fed := edited[one]) is not None:
            moved.append(_later(fed, later, one == place))
            edited[one] = None
    return moved


def _later(fed: Fed, later: int, named: bool) -> Fed:
    """A stimulus so much later; a timer that was named keeps its due instant and is so late."""
    stimulus = replace(fed.stimulus, at=fed.stimulus.at + later)
    if stimulus.at < 0:
        raise InputError(f"{_name(fed)} would be before 1970", hint="move it by less")
    if stimulus.last_at is not None:
        stimulus = replace(stimulus, last_at=stimulus.last_at + later)
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


def _gone(fed: Numbered) -> InputError:
    return InputError(
        f"{_name(fed)} is dropped or moved already, by itself or with what caused it",
        hint="name it once; what a stimulus caused goes along with it",
    )


def _name(fed: Numbered) -> str:
    return f"{fed.position} {name_of(fed.stimulus)}"


def _along(stimuli: Sequence[Fed], places: set[int]) -> str:
    others = [_name(stimuli[place]) for place in sorted(places)[1:]]
    shown = ", ".join(others[:8]) + (f" and {len(others) - 8} more" if len(others) > 8 else "")
    return f", with what it caused: {shown}" if others else ""
