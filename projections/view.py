"""The view of one account: every projection of its stream, folded in one pass.

A record is decoded once and touches only what it changes, so the fold costs little more than the
reading. All of it is one function of the stream: caught up from anywhere equals rebuilt from zero.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..eventstore import Record
from ..eventstore.errors import Corrupt
from ..statemachine.account import Account
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
from .content import Content, advance, content_of
from .evidence import PROOFS, Evidence
from .gaps import Gaps
from .replies import Replies

_LIVENESS = frozenset({"state", "identity", "controller"})


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
        folded again. A `machine` that was read from the view before stays as it was.
        """
        if machine is None:
            self.machine = msgspec.structs.replace(self.machine)
        self.take(record, machine)

    def fold(self, records: Iterable[Record]) -> None:
        """Take in the next records of the account, faster than one by one."""
        self.machine = msgspec.structs.replace(self.machine)
        for record in records:
            self.take(record)

    def take(self, record: Record, after: Account | None = None) -> None:
        """Take in the next record in place: only for a view that nobody else has seen yet."""
        if record.version != self.version + 1:
            raise Corrupt(
                f"Record {record.position} is version {record.version} of its account, after "
                f"version {self.version}",
                position=record.position,
            )
        content = content_of(record)
        changes = content.outcome.changes
        before = self.machine
        if changes:
            if _LIVENESS.isdisjoint(changes):
                if after is None:
                    advance(before, changes)
                else:
                    self.machine = after
            else:
                self._turn(record, content, after)
        elif after is not None:
            self.machine = after
        if record.type in PROOFS:
            self.evidence.note(record, content)
        outcome = content.outcome
        if record.reply is not None or outcome.settled or "replies" in changes:
            self.replies.apply(record, content)
        if self.gaps.open is not None:
            self.gaps.tally(outcome)
        self.version = record.version
        self.position = record.position
        self.at = record.at
        self.chain = record.chain

    def _turn(self, record: Record, content: Content, after: Account | None) -> None:
        """Take in changes that may begin or end a live controller, or bring a new one."""
        outcome, machine = content.outcome, self.machine
        was_live, name, proof = machine.live, machine.controller, machine.proof
        if name is not None and "controller" in outcome.changes:
            self.retired[name] = retired(machine, record.at)
            if len(self.retired) > CONTROLLERS_MAX:
                del self.retired[next(iter(self.retired))]
        if after is None:
            advance(machine, outcome.changes)
        else:
            self.machine = machine = after
        if outcome.rule == "opened.new_socket":
            self.gaps.pass_unknown(record, outcome, machine, proof)
        live = machine.state is State.CONNECTED and machine.identity is not None
        if live:
            if not was_live:
                self.gaps.end(record, machine)
        elif was_live:
            self.gaps.begin(record, outcome, machine, name, proof)
