"""Records, states and numbers in words: what was observed, what it means, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..projections.timeline import Entry
from ..statemachine.lifecycle import State

_CELL_MAX = 48
_TELLING = (
    *("timer", "reply", "code", "signal", "exit_code"),
    *("tag", "by", "reason", "kind", "evidence"),
)
_NAMED = frozenset(("signal", "exit_code"))


def state(known: State | str | None) -> str:
    """A state as people read it: `reconnect-gap`; `unclaimed` where nobody has the account."""
    if known is None:
        return "unclaimed"
    return known.printed if isinstance(known, State) else known.replace("_", "-")


def count(number: int, word: str) -> str:
    """So many of something: `1 record`, `2,000 records`."""
    return f"1 {word}" if number == 1 else f"{number:,} {word}s"


def observed(stimulus: str, told: Mapping[str, Any], detail: bool = False) -> str:
    """What was observed, with what tells it apart: a code, a timer, a reply, a library's words.

    `told` is what the stimulus brought along, by its fields.
    """
    words = [stimulus]
    if "times" in told:
        words.append(f"×{told['times']}")
    for name in _TELLING:
        value = told.get(name)
        if value is not None:
            words.append(f"{name} {value}" if name in _NAMED else str(value))
    if "socket" in told:
        words.append(f"socket {told['socket']}")
    if detail and "detail" in told:
        words.append(f"({told['detail']})")
    return cut(" ".join(words))


def meaning(entry: Entry) -> str:
    """What was decided, and what the library or the driver said of it."""
    detail = entry.told.get("detail")
    return f"{entry.sentence} ({detail})" if detail else entry.sentence


def consequences(entry: Entry, of_reply: str | None = None) -> str:
    """What was asked for, and which replies got their outcome; of one reply only, if named."""
    said = [
        _effect(effect)
        for effect in entry.effects
        if of_reply is None or effect.get("reply") == of_reply
    ]
    for name, settled in entry.settled.items():
        if of_reply in (None, name):
            reason = f" ({settled['reason']})" if settled.get("reason") else ""
            said.append(f"{name} {settled['outcome']}{reason}")
    return cut(", ".join(said))


def _effect(effect: dict[str, Any]) -> str:
    kind = effect["effect"]
    if kind == "send":
        return f"send {effect['reply']} via {effect['controller']}"
    if kind == "claim":
        return f"claim ({effect['reason']})"
    if kind == "notify":
        return f"notify {effect['notice']}"
    socket = f" socket {effect['socket']}" if "socket" in effect else ""
    return f"{kind} {effect['controller']}{socket}"


def cut(text: str) -> str:
    return text if len(text) <= _CELL_MAX else text[: _CELL_MAX - 1] + "…"
