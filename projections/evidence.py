"""Evidence: what proves that a connection lives, and when each proof was last seen.

`connected` is a claim about the world. The proof behind it is a record, and its age is the honest
measure of how much the claim is worth; the caller brings the present to compare it with.
"""

from __future__ import annotations

import msgspec

from ..eventstore import Record
from ..statemachine.account import Account
from ..statemachine.lifecycle import State
from .content import Content

PROOFS = frozenset({"opened", "activity", "send_acked", "keepalive_restored", "identity_observed"})
"""The stimuli that can be a proof; whether one is, says its outcome."""


class Proof(msgspec.Struct, frozen=True, gc=False):
    """A proof: when it was observed (UTC ns), in which version, on which controller."""

    at: int
    version: int
    controller: str | None = None


class Evidence(msgspec.Struct, gc=False):
    """The newest proof of each kind, and which kind was seen last.

    Kinds are `opened`, `identity`, `activity:frame`, `activity:inbound`, `activity:ack`,
    `activity:probe`, `send_acked` and `keepalive_restored`.
    """

    proofs: dict[str, Proof] = {}
    newest: str | None = None

    def note(self, record: Record, content: Content) -> None:
        """Keep a record whose stimulus is one of `PROOFS`, if its outcome took it as a proof."""
        kind = record.type
        outcome = content.outcome
        if kind == "identity_observed":
            # It says who is there, and a frame that carried it was no proof of life by itself.
            if outcome.rule == "identity.proven":
                self.proofs["identity"] = Proof(
                    record.at, record.version, content.stimulus.controller
                )
            return
        if "proof" not in outcome.changes:
            return
        if kind == "activity":
            kind = f"activity:{content.stimulus.evidence or 'frame'}"
        self.proofs[kind] = Proof(record.at, record.version, content.stimulus.controller)
        self.newest = kind

    def proving(self, machine: Account) -> tuple[str, Proof] | None:
        """The kind and the newest proof that the open connection lives; None where none is open."""
        if machine.state is not State.CONNECTED or self.newest is None:
            return None
        return self.newest, self.proofs[self.newest]
