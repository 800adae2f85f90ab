"""Connections: the newest controller of an account as people ask for it, and the ones before."""

from __future__ import annotations

from typing import Any

import msgspec

from ..statemachine.account import Account
from ..statemachine.identity import Identity
from ..statemachine.lifecycle import ENDS, Phase, State

CONTROLLERS_MAX = 1_000
"""Older controllers of an account that are kept; the log has all of them."""

NEXT_TIMERS = ("retry", "hold", "handover", "connect_deadline", "pairing", "silence")
"""The timers that move a connection; the others only count or tell."""


class Controller(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A controller at its end, or the newest one as it is. `since` is UTC ns."""

    epoch: int
    holder: str | None
    state: State
    since: int
    cause: str | None = None
    reason: str | None = None


class Connection(msgspec.Struct, frozen=True):
    """The newest controller of an account.

    Instants are UTC ns. `next_timer` names the timer that will move the connection next, with the
    instant at which it is due; `hold_until` is the end of the patience that the server asked for.
    """

    controller: str
    epoch: int
    holder: str | None
    state: State
    phase: Phase | None
    since: int
    live: bool
    degraded: bool
    attempt: int
    cause: str | None
    reason: str | None
    socket: int
    next_timer: tuple[str, int] | None
    hold_until: int | None
    asked_claim: str | None


class Live(msgspec.Struct, frozen=True):
    """A live controller: the newest of its account, connected, its identity proven.

    `identity` holds tokens; `since` (UTC ns) is when it was connected.
    """

    account: str
    controller: str
    epoch: int
    identity: Identity
    since: int


def connection_of(machine: Account) -> Connection | None:
    """The newest controller as the decision state has it; None before the first claim."""
    if machine.controller is None or machine.state is None:
        return None
    due = [
        (at, name)
        for name in NEXT_TIMERS
        for at in [getattr(machine, name + "_at")]
        if at is not None
    ]
    first = min(due, default=None)
    return Connection(
        controller=machine.controller,
        epoch=machine.epoch,
        holder=machine.holder,
        state=machine.state,
        phase=machine.phase,
        since=machine.since,
        live=machine.live,
        degraded=machine.degraded,
        attempt=machine.attempt,
        cause=machine.cause,
        reason=machine.reason,
        socket=machine.socket,
        next_timer=(first[1], first[0]) if first is not None else None,
        hold_until=machine.hold.until if machine.hold is not None else None,
        asked_claim=machine.claim.reason if machine.claim is not None else None,
    )


def live_of(account: str, machine: Account) -> Live | None:
    """The live controller, if the newest one is."""
    if machine.state is not State.CONNECTED or machine.identity is None:
        return None
    assert machine.controller is not None
    return Live(account, machine.controller, machine.epoch, machine.identity, machine.since)


def retired(fields: dict[str, Any], at: int) -> Controller:
    """What a claim (`at`, UTC ns) leaves of the newest controller: superseded, if it had not ended.

    `fields` are those of the account before the claim.
    """
    state = fields["state"]
    ended = state in ENDS
    return Controller(
        fields["epoch"],
        fields["holder"],
        state if ended else State.SUPERSEDED,
        fields["since"] if ended else at,
        fields["cause"],
        fields["reason"],
    )
