"""Gaps: the intervals in which an account that had a live controller has none.

A gap of length 0 is none. A library that replaced its socket unseen leaves a gap of unknown length:
it counts, with no seconds. What was sent to the account in the interval may have been lost: inbound
is uncertain from the last proof of life before a gap to the opening that ended it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..eventstore import Record
from ..statemachine.outcome import Dial
from .content import Decided

GAPS_MAX = 1_000
"""Ended gaps of an account that are kept one by one; counts and totals go on."""

_HOLDING = frozenset({"reply.held", "reply.resend"})
_CAUSES = {
    "claim.supersedes": "claimed",
    "opened.new_socket": "new_socket",
    "service.stopped": "service_stopped",
}


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
    started_position: int = 0

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
        self, record: Record, rule: str, fields: dict[str, Any], loser: str, proof: int
    ) -> str:
        """`loser` is live no more; `fields` is the account now, `proof` the last sign of life.

        Returns the cause.
        """
        waiting = sum(not reply.in_flight for reply in (fields["replies"] or {}).values())
        cause: str = _CAUSES.get(rule) or fields["reason"] or fields["cause"] or rule
        self.open = Gap(
            record.at, record.version, cause, rule, loser, uncertain_from=proof, held=waiting
        )
        self.open.started_position = record.position
        return cause

    def pass_unknown(self, record: Record, rule: str, controller: str, proof: int) -> None:
        """A new socket was opened unseen: nobody knows since when the old one was gone."""
        gap = Gap(record.at, record.version, "new_socket", rule, controller, uncertain_from=proof)
        gap.unknown, gap.started_position = True, record.position
        self._end(gap, record, controller, record.at)

    def end(self, record: Record, controller: str, opened_at: int) -> Gap | None:
        """`controller` is live, on a connection that was opened at `opened_at` (UTC ns).

        Returns the gap that this ended.
        """
        self.ever = True
        gap, self.open = self.open, None
        if gap is None or gap.started_at == record.at:
            return None
        self._end(gap, record, controller, opened_at)
        return gap

    def _end(self, gap: Gap, record: Record, controller: str, opened_at: int) -> None:
        gap.ended_at = record.at
        gap.ended_version = record.version
        gap.ended_by = controller
        gap.uncertain_until = opened_at
        self.count += 1
        self.total += gap.length(record.at)
        self.ended.append(gap)
        if len(self.ended) > GAPS_MAX:
            del self.ended[0]

    def tally(self, outcome: Decided) -> None:
        """Count what an outcome did while the gap is open."""
        gap, rule = self.open, outcome.rule
        if gap is None:
            return
        if rule in _HOLDING:
            gap.held += 1
        elif "cause" in outcome.changes and not gap.dials and rule.startswith("close.upgrade."):
            gap.cause = str(outcome.changes["cause"])
        if outcome.settled:
            outcomes = [settled.outcome for settled in outcome.settled.values()]
            gap.refused += outcomes.count("refused")
            gap.expired += outcomes.count("expired")
        for effect in outcome.effects:
            if type(effect) is Dial:
                gap.dials += 1

    def sums(self, now: int) -> tuple[int, int]:
        """How many gaps there were and their length in ns, an open one counted up to `now`."""
        open_length = self.open.length(now) if self.open is not None else 0
        return self.count + (open_length > 0), self.total + open_length

    def all(self) -> list[Gap]:
        """The gaps that are kept, oldest first, the open one last."""
        return [*self.ended, self.open] if self.open is not None else list(self.ended)
