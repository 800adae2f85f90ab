"""Steps, states and forks in words for people. Names in a bundle come from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ...statemachine.account import TIMERS, Account, pending_timers
from ...statemachine.outcome import Effect
from ...statemachine.stimuli import Stimulus
from .. import wording
from ..moments import clock, instant, is_instant, relative
from ..replay.divergence import Divergence
from ..replay.replay import Step
from ..replay.telling import VALUE_CHARACTERS_MAX, harmless, tell_one
from .fork import Change, Fork

LINES_MAX = 30
"""Differences of a kind that a fork shows."""


def brought(stimulus: Stimulus) -> str:
    """What a stimulus brought along, as an expression names it: `controller=A code=440`."""
    fields: dict[str, Any] = msgspec.to_builtins(stimulus)
    return " ".join(
        f"{name}={_plain(_readable(name, value))}"
        for name, value in fields.items()
        if name not in ("stimulus", "at", "jitter")
    )


def line_of(step: Step) -> str:
    """A step in a line: where, when, what, and what was decided."""
    where = f"{step.position:>6}" if step.position else "     +"
    moved = ""
    if step.before.state is not step.after.state:
        moved = f"  {wording.state(step.before.state)} > {wording.state(step.after.state)}"
    when, told = clock(step.stimulus.at), msgspec.to_builtins(step.stimulus)
    what = wording.observed(told["stimulus"], told, detail=True)
    return harmless(f"{where}  {when}  {what}  {step.decided.rule}{moved}")


def effect_told(effect: Effect) -> str:
    """An effect with its fields: `dial controller=A socket=2`."""
    fields: dict[str, Any] = msgspec.to_builtins(effect)
    name = fields.pop("effect")
    return " ".join([name, *(f"{key}={_plain(value)}" for key, value in fields.items())])


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of plain data by their paths: `hold.until`, `replies.r1.chat`; instants as text.

    What is empty has no value.
    """
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif value not in (None, {}, []):
        yield path, _readable(path.rpartition(".")[2], value)


def account_told(account: Account, now: int) -> list[str]:
    """Everything that is so of an account, a line each; `now` is UTC ns."""
    due = {name if reply is None else f"replies.{reply}.{name}": at
           for (name, reply), at in pending_timers(account).items()}  # fmt: skip
    rows = []
    for path, value in leaves(msgspec.to_builtins(account)):
        timer = due.get(path.removesuffix("_at"))
        more = f" ({relative(timer, now)})" if timer is not None else ""
        rows.append(harmless(f"{path:<24} {_plain(value)}{more}"))
    return rows or ["nobody has claimed the account"]


def account_diff(was: Account, now: Account) -> list[str]:
    """Where two states of an account differ, a line each."""
    then, later = (dict(leaves(msgspec.to_builtins(one))) for one in (was, now))
    rows = [
        harmless(f"{path:<24} {_plain(then.get(path))} -> {_plain(later.get(path))}")
        for path in {**then, **later}
        if then.get(path) != later.get(path)
    ]
    return rows or ["nothing differs"]


def fork_told(fork: Fork, name: str) -> list[str]:
    """A fork beside what happened."""
    rows = [f"what if, of {name}:", *(f"  {edit}" for edit in fork.edits)]
    if fork.already:
        rows += [
            f"this code decides {fork.already} record{'s' * (fork.already > 1)} otherwise"
            " without any change;"
            " it is compared with itself"
        ]
    found = fork.records.divergences
    if not found:
        return [harmless(row) for row in [*rows, "nothing else differs: it would have been so"]]
    rows += [f"{len(found)} differ of {fork.records.records} records:"]
    rows += _listed([_record_told(one) for one in found])
    if fork.timers:
        rows += ["timers:", *_listed([_timer_told(change) for change in fork.timers])]
    if fork.replies:
        rows += ["replies:", *_listed([_changed(change) for change in fork.replies])]
    then, now = fork.states.then, fork.states.now
    if then == now:
        rows.append("states: the same way at the same times")
    else:
        dated = len({clock(at)[:10] for at, _ in [*then, *now]}) > 1
        rows += ["states:", f"  then  {_way(then, dated)}", f"  now   {_way(now, dated)}"]
    return [harmless(row) for row in rows]


def _listed(rows: list[str]) -> list[str]:
    more = [f"  … {len(rows) - LINES_MAX} more, all with --json"] if len(rows) > LINES_MAX else []
    return [*(f"  {row}" for row in rows[:LINES_MAX]), *more]


def _record_told(divergence: Divergence) -> str:
    one = divergence
    if one.kind == "missing":
        return f"position {one.position}: does not happen any more, then {one.rule}"
    if one.kind == "extra":
        return f"{clock(one.now['at'])}: happens only now, {one.rule_now}"
    return tell_one(one)


def _timer_told(change: Change) -> str:
    note = f" ({change.note})" if change.note else ""
    if change.now is None:
        return f"{change.what}: does not fire any more, then {clock(change.then)}{note}"
    if change.then is None:
        when = "is set now, for" if change.note else "fires only now,"
        return f"{change.what}: {when} {clock(change.now)}{note}"
    return f"{change.what}: {clock(change.then)} -> {clock(change.now)}{note}"


def _changed(change: Change) -> str:
    return f"{change.what}: {change.then or 'never submitted'} -> {change.now or 'never submitted'}"


def _way(path: list[list[Any]], dated: bool) -> str:
    """The states with their times, and with the day where it is another than before."""
    parts, day = [], "" if dated else None
    for state, at in ((state, clock(at)) for at, state in path):
        parts.append(f"{state} {at if day not in (None, at[:10]) else at[11:]}")
        day = at[:10] if dated else None
    if len(parts) > LINES_MAX:
        half = LINES_MAX // 2
        parts[half:-half] = [f"({len(parts) - LINES_MAX} more)"]
    return " > ".join(parts)


def value_told(value: Any) -> list[str]:
    """What an expression is, a line for each thing that it holds."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, bool):
        rows = ["yes" if plain else "no"]
    elif isinstance(plain, dict):
        rows = [f"{path:<24} {_plain(one)}" for path, one in leaves(plain)]
    elif isinstance(plain, list):
        rows = [effect_told(one) if isinstance(one, Effect) else _plain(one) for one in value]
    else:
        rows = [_plain(plain)]
    return [harmless(row) for row in rows] or ["none"]


def _readable(name: str, value: Any) -> Any:
    """A value as people write it: an instant is text."""
    if is_instant(name, value) or (name in TIMERS and type(value) is int):
        return instant(value) if value else None
    return value


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[:VALUE_CHARACTERS_MAX] + "…"
