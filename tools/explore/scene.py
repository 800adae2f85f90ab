"""What an expression can name: a record's decision, and the account as it left it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import msgspec

from ...statemachine import account as states
from ...statemachine.account import Account, pending_timers
from ...statemachine.identity import Identity
from ...statemachine.outcome import Effect, Outcome, Settled
from ...statemachine.policy import Policy
from ...statemachine.stimuli import KINDS
from ..moments import is_instant
from ..replay.replay import Step, divergence_of


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
    "diverges": lambda scene: divergence_of(scene.step) is not None,
    "timers": lambda scene: _timers(scene.step.after),
    **{name: _field(name) for name in (*states.FIELDS, "live", "policy")},
}
"""What an expression can name. Fields of the account are as the record left them."""

STRUCTS: tuple[Any, ...] = (
    *(Account, states.Hold, states.Close, states.AskedClaim, states.PairingWindow),
    *(states.Lingering, states.Reply, Identity, Policy, Outcome, Settled, Fate),
    *(*KINDS.values(), *get_args(Effect)),
)
"""What is a value, or has values, in an expression."""

ATTRIBUTES = {
    *(name for struct in STRUCTS for name in struct.__struct_fields__),
    *("live", "policy"),
    *states.TIMERS,
}
"""Everything that may stand behind a dot; what a value does not have is None."""


def held(name: str, value: Any) -> Any:
    """A value as it is compared: an instant is UTC ns, and one of 0 never was."""
    return None if value == 0 and is_instant(name, value) else value
