"""Gaps: the intervals in which an account that had a live controller has none.

A gap of length 0 is none. A library that replaced its socket unseen leaves a gap of unknown length:
it counts, with no seconds. What was sent to the account in the interval may have been lost: inbound
is uncertain from the last proof of life before a gap to the opening that ended it.
"""

from __future__ import annotations

import msgspec

from ..eventstore import Record
from ..statemachine.account import Account
from ..statemachine.outcome import Dial
from .content import Decided

GAPS_MAX = 1_000
"""Ended gaps of an account that are kept one by one; counts and totals go on."""


class Gap(msgspec.Struct, omit_defaults=True, gc=False):
    """An interval without a live controller. Instants are UTC ns; `ended_at` None is open.

    `uncertain_from` and `uncertain_until` bound what inbound may be missing. `dials` are those that
    were asked for in it; `held`, `refused` and `expired` are counts of replies.
    """

    started_at: int
    started_version: int
    cause: str
    rule: str
    controller: str | None
    uncertain_from: int
    ended_at: int | None = None
    ended_version: int | None = None
    ended_by: str | None = None
    uncertain_until: int | None = None
    unknown: bool = False
    dials: int = 0
    held: int = 0
    refused: int = 0
    expired: int = 0

    def length(self, now: int) -> int:
        """Nanoseconds, an open one counted up to `now`; a clock that was set back makes it 0."""
        return max(0, (now if self.ended_at is None else self.ended_at) - self.started_at)


class Gaps(msgspec.Struct, gc=False):
    """All gaps of an account: the open one, the latest, and the sums over all that ended."""

    ever: bool = False
    open: Gap | None = None
    ended: list[Gap] = []
    count: int = 0
    total: int = 0

    def begin(
        self, record: Record, outcome: Decided, machine: Account, loser: str | None, proof: int
    ) -> None:
        """`loser` is live no more, and nobody else is; `proof` was its last sign of life."""
        waiting = sum(not reply.in_flight for reply in (machine.replies or {}).values())
        self.open = Gap(
            record.at,
            record.version,
            _cause(outcome.rule, machine),
            outcome.rule,
            loser,
            proof,
            held=waiting,
        )

    def pass_unknown(self, record: Record, outcome: Decided, machine: Account, proof: int) -> None:
        """A new socket was opened unseen: nobody knows since when the old one was gone."""
        if not self.ever:
            return
        gap = Gap(
            record.at,
            record.version,
            "new_socket",
            outcome.rule,
            machine.controller,
            proof,
            ended_at=record.at,
            ended_version=record.version,
            ended_by=machine.controller,
            uncertain_until=record.at,
            unknown=True,
        )
        self._keep(gap)

    def end(self, record: Record, machine: Account) -> None:
        """A controller is live."""
        self.ever = True
        gap, self.open = self.open, None
        if gap is None or gap.started_at == record.at:
            return
        gap.ended_at = record.at
        gap.ended_version = record.version
        gap.ended_by = machine.controller
        gap.uncertain_until = machine.opened_at
        self._keep(gap)

    def tally(self, outcome: Decided) -> None:
        """Count what an outcome did while the gap is open."""
        gap = self.open
        if gap is None:
            return
        rule = outcome.rule
        if rule in ("reply.held", "reply.resend"):
            gap.held += 1
        elif rule.startswith("close.upgrade.") and not gap.dials:
            gap.cause = str(outcome.changes.get("cause") or gap.cause)
        for settled in outcome.settled.values():
            gap.refused += settled.outcome == "refused"
            gap.expired += settled.outcome == "expired"
        for effect in outcome.effects:
            gap.dials += type(effect) is Dial

    def sums(self, now: int) -> tuple[int, int]:
        """How many gaps there were and their length in ns, an open one counted up to `now`."""
        open_length = self.open.length(now) if self.open is not None else 0
        return self.count + (open_length > 0), self.total + open_length

    def all(self) -> list[Gap]:
        """The gaps that are kept, oldest first, the open one last."""
        return [*self.ended, self.open] if self.open is not None else list(self.ended)

    def _keep(self, gap: Gap) -> None:
        self.count += 1
        self.total += 0 if gap.ended_at is None else gap.length(gap.ended_at)
        self.ended.append(gap)
        if len(self.ended) > GAPS_MAX:
            del self.ended[0]


def _cause(rule: str, machine: Account) -> str:
    """Why the live controller was lost, in one word."""
    if rule == "claim.supersedes":
        return "claimed"
    if rule == "service.stopped":
        return "service_stopped"
    return machine.reason or machine.cause or rule
