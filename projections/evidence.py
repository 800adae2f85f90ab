"""Evidence: what proves that a connection lives, and when each proof was last seen.

`connected` is a claim about the world. The proof behind it is a record, and its age is the honest
measure of how much the claim is worth; the caller brings the present to compare it with.
"""

from __future__ import annotations

import msgspec

from ..eventstore import Record
from ..statemachine.account import Account
from ..statemachine.lifecycle import State
from .content import Decided, seen

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

    def note(self, record: Record, outcome: Decided, controller: str | None) -> None:
        """Keep a record whose stimulus is one of `PROOFS`, if its outcome took it as a proof."""
        kind = record.type
        if kind == "identity_observed":
            # It says who is there; that the connection lives was proven by its opening.
            if outcome.rule == "identity.proven":
                self.proofs["identity"] = Proof(record.at, record.version, controller)
            return
        if "proof" not in outcome.changes:
            return
        if kind == "activity":
            kind = _activity(record.body)
        self.proofs[kind] = Proof(record.at, record.version, controller)
        self.newest = kind

    def proving(self, machine: Account) -> tuple[str, Proof] | None:
        """The kind and the newest proof that the open connection lives; None where none is open."""
        if machine.state is not State.CONNECTED or self.newest is None:
            return None
        return self.newest, self.proofs[self.newest]


def _activity(body: bytes) -> str:
    """The kind of an activity. A record leaves out what is the default, and most are a frame."""
    evidence = seen(body).evidence if b'"evidence":' in body else None
    return f"activity:{evidence}" if evidence is not None else "activity:frame"
