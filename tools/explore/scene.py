"""What an expression can name: a record's decision, and the account as it left it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, get_args

import msgspec

from ...projections.explanations import EXPLANATIONS
from ...statemachine import account as states
from ...statemachine.account import Account, pending_timers
from ...statemachine.identity import Identity
from ...statemachine.lifecycle import TABLE, Phase, State
from ...statemachine.outcome import Effect, Outcome, ReplyOutcome, Settled
from ...statemachine.policy import Policy
from ...statemachine.stimuli import KINDS, TimerName
from ..moments import instant
from ..replay.divergence import differ
from ..replay.reading import decision_of
from ..replay.replay import Step


class Scene(NamedTuple):
    """What an expression is asked about: a step, and how to ask for a reply's outcome up to it."""

    step: Step
    settled: Callable[[str], Settled | None]


class Fate(msgspec.Struct, frozen=True):
    """What became of a reply so far: an outcome, `held`, `sending`, or None for one unknown."""

    outcome: str | None = None
    reason: str | None = None
    chat: str | None = None
    via: str | None = None


Value = Callable[[Scene], Any]


def fate(scene: Scene, name: str) -> Fate:
    """What became of a reply up to a step."""
    pending = (scene.step.after.replies or {}).get(name)
    if pending is not None:
        return Fate("sending" if pending.in_flight else "held", None, pending.chat, pending.via)
    settled = scene.settled(name)
    return Fate() if settled is None else Fate(settled.outcome, settled.reason)


def diverges(step: Step) -> bool:
    """Whether today's code decides otherwise than it was recorded."""
    if step.recorded is None:
        return False
    was, now = (decision_of(step.stimulus, one, 1, 1) for one in (step.recorded, step.decided))
    return differ(was, now) is not None


def _timers(account: Account) -> dict[str, int]:
    return {name: due for (name, reply), due in pending_timers(account).items() if reply is None}


def _field(name: str) -> Value:
    return lambda scene: getattr(scene.step.after, name)


NAMES: dict[str, Value] = {
    "stimulus": lambda scene: scene.step.stimulus,
    "rule": lambda scene: scene.step.decided.rule,
    "effects": lambda scene: scene.step.decided.effects,
    "changed": lambda scene: list(scene.step.decided.changes),
    "settled": lambda scene: scene.step.decided.settled,
    "at": lambda scene: scene.step.stimulus.at,
    "position": lambda scene: scene.step.position,
    "version": lambda scene: scene.step.version,
    "before": lambda scene: scene.step.before,
    "recorded": lambda scene: scene.step.recorded,
    "diverges": lambda scene: diverges(scene.step),
    "timers": lambda scene: _timers(scene.step.after),
    **{name: _field(name) for name in (*states.FIELDS, "live", "policy")},
}
"""What an expression can name. Fields of the account are as the record left them."""

_STRUCTS: tuple[Any, ...] = (
    *(Account, states.Hold, states.Close, states.AskedClaim, states.PairingWindow),
    *(states.Lingering, states.Reply, Identity, Policy, Outcome, Settled, Fate),
    *(*KINDS.values(), *get_args(Effect)),
)
ATTRIBUTES = {
    *(name for struct in _STRUCTS for name in struct.__struct_fields__),
    *("live", "policy"),
    *states.TIMERS,
}
"""Everything that may stand behind a dot; what a value does not have is None."""

_RULES = {*EXPLANATIONS, *(row.rule for row in TABLE)}
WORDS: dict[str, Collection[str]] = {
    "state": [state.value for state in State],
    "phase": [phase.value for phase in Phase],
    "stimulus": KINDS,
    "rule": _RULES,
    "effects": [str(effect.__struct_config__.tag) for effect in get_args(Effect)],
    "timer": get_args(TimerName),
    "timers": states.TIMERS,
    "outcome": [*get_args(ReplyOutcome), "held", "sending"],
}
"""Names whose values are words of a fixed list: another word is a slip of the pen."""

LISTS = {"effects": "effect", "timers": "timer"}
"""Those of them that hold several words, and what one of these is called."""

_INSTANTS = {"at", "since", "until", "proof", "late_opening", "gap_since"}


def readable(name: str, value: Any) -> Any:
    """A value as people write it: an instant is text, so that a time can be compared with it."""
    if type(value) is int and (name in _INSTANTS or name.endswith("_at") or name in states.TIMERS):
        return instant(value) if value else None
    return value
