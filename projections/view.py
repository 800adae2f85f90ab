"""The view of one account: every projection of its stream, folded in one pass.

A record is decoded once and touches only what it changes, so the fold costs little more than the
reading. All of it is one function of the stream: caught up from anywhere equals rebuilt from zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from ..eventstore import Record
from ..statemachine.account import FIELDS, Account, AskedClaim
from ..statemachine.lifecycle import State
from .connections import (
    CONTROLLERS_MAX,
    Connection,
    Controller,
    Live,
    connection_of,
    live_of,
    retired,
)
from .content import MAPS, Decided, merge, missing, read, unreadable
from .evidence import PROOFS, Evidence
from .gaps import Gaps
from .incidents import KINDS, Incidents
from .replies import Replies

_TURNING = frozenset({"identity", "controller", "opened_at"})
"""Only these fields can begin or end a live controller: whoever stops being connected loses the
proof of its identity in the same record."""

_SPECIAL = _TURNING | MAPS


class AccountView(msgspec.Struct, gc=False):
    """What is known of an account after its record `version`.

    `position` and `at` (UTC ns) are of that record, `chain` is its link. `machine` is the state
    that the next decision depends on; `retired` are the controllers before the newest, by name.
    """

    account: str
    version: int = 0
    position: int = 0
    at: int = 0
    chain: bytes = b""
    machine: Account = msgspec.field(default_factory=Account)
    retired: dict[str, Controller] = {}
    evidence: Evidence = msgspec.field(default_factory=Evidence)
    gaps: Gaps = msgspec.field(default_factory=Gaps)
    replies: Replies = msgspec.field(default_factory=Replies)
    incidents: Incidents = msgspec.field(default_factory=Incidents)

    @property
    def connection(self) -> Connection | None:
        """The newest controller; None before the first claim."""
        return connection_of(self.machine)

    @property
    def live(self) -> Live | None:
        """The live controller; None where there is none."""
        return live_of(self.account, self.machine)

    @property
    def controllers(self) -> dict[str, Controller]:
        """Every controller that is remembered, by name, the newest last."""
        machine = self.machine
        if machine.controller is None or machine.state is None:
            return dict(self.retired)
        newest = Controller(
            machine.epoch,
            machine.holder,
            machine.state,
            machine.since,
            machine.cause,
            machine.reason,
        )
        return {**self.retired, machine.controller: newest}

    def apply(self, record: Record, machine: Account | None = None) -> None:
        """Take in the next record of the account.

        `machine` is the state after it, where the caller has just decided it and need not have it
        folded again.
        """
        self.fold((record,), machine)

    def fold(self, records: Iterable[Record], after: Account | None = None) -> None:
        """Take in the next records of the account; raise `Corrupt` where one is missing.

        A `machine` that was read from the view before stays as it was. `after` is the state after
        the one record that there is, if the caller has it.
        """
        fields = unpacked(self.machine)
        try:
            self.fold_into(fields, records)
        finally:
            self.machine = Account(*fields.values()) if after is None else after

    def fold_into(self, fields: dict[str, Any], records: Iterable[Record]) -> None:
        """Take in records as `fold` does, but leave the fields of `machine` to the caller.

        The account that the fields make is `Account(*fields.values())`.
        """
        gaps, replies, evidence = self.gaps, self.replies, self.evidence
        version = self.version
        last: Record | None = None
        try:
            for record in records:
                version += 1
                if record.version != version:
                    raise missing(record, version)
                outcome = read(record.body).outcome
                changes = outcome.changes
                if _SPECIAL.isdisjoint(changes):
                    fields.update(changes)
                else:
                    self._turn(record, outcome, fields)
                if record.type in PROOFS:
                    evidence.note(record, outcome, fields["controller"])
                elif outcome.rule in KINDS:
                    self.incidents.note(KINDS[outcome.rule], record, outcome.rule)
                if record.reply is not None or outcome.settled or "replies" in changes:
                    replies.apply(record, outcome)
                    if outcome.settled:
                        self.incidents.settle(record, outcome.settled)
                if gaps.open is not None:
                    gaps.tally(outcome)
                last = record
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(record) from error
        finally:
            if last is not None:
                self.position, self.version = last.position, last.version
                self.at, self.chain = last.at, last.chain

    def _turn(self, record: Record, outcome: Decided, fields: dict[str, Any]) -> None:
        """Take in changes of maps, and those that may begin or end a live controller."""
        changes, gaps, incidents = outcome.changes, self.gaps, self.incidents
        merge(fields, changes)
        if _TURNING.isdisjoint(changes):
            fields.update(changes)
            return
        was_live = fields["state"] is State.CONNECTED and fields["identity"] is not None
        name, proof = fields["controller"], fields["proof"]
        if name is not None and "controller" in changes:
            self.retired[name] = retired(fields, record.at)
            if len(self.retired) > CONTROLLERS_MAX:
                del self.retired[next(iter(self.retired))]
        if outcome.rule == "claim.supersedes" and not _asked(fields["claim"], record.at):
            incidents.note("restart_fight", record, outcome.rule)
        fields.update(changes)
        if outcome.rule == "opened.new_socket" and gaps.ever:
            gaps.pass_unknown(record, outcome.rule, name, proof)
        if fields["state"] is State.CONNECTED and fields["identity"] is not None:
            if not was_live:
                gap = gaps.end(record, fields["controller"], fields["opened_at"])
                if gap is not None:
                    incidents.end_gap(gap, record)
        elif was_live:
            cause = gaps.begin(record, outcome.rule, fields, name, proof)
            incidents.note("flap_storm", record, cause)


def _asked(claim: AskedClaim | None, at: int) -> bool:
    """Whether a claim at `at` (UTC ns) answers a request: the request was counted already."""
    return claim is not None and at <= claim.until


def unpacked(machine: Account) -> dict[str, Any]:
    """The fields of an account by name, in their order."""
    return dict(zip(FIELDS, msgspec.structs.astuple(machine), strict=True))
