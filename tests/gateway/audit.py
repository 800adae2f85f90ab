"""The invariants of the design, §9, read off the log record by record as an auditor would."""

from collections import Counter
from typing import Any

import msgspec

from linewarden.eventstore import Record, Store, decode, encode
from linewarden.eventstore.codec import same
from linewarden.statemachine.account import Account, evolve
from linewarden.statemachine.decision import decide
from linewarden.statemachine.invariants import INVARIANTS, Past
from linewarden.statemachine.machine import compiled_step
from linewarden.statemachine.outcome import Outcome
from linewarden.statemachine.stimuli import KINDS, Stimulus


class Step(msgspec.Struct, frozen=True):
    """A record as the judges of the invariants see it."""

    before: Account
    stimulus: Stimulus
    decided: Outcome
    after: Account


class Audit:
    """Folds the log anew as it grows, and checks every record against what was before it."""

    def __init__(self, seen: Counter[str]) -> None:
        self.seen = seen
        self.position = 0
        self.accounts: dict[str, Account] = {}
        self.versions: Counter[str] = Counter()
        self.pasts: dict[str, Past] = {}
        self.settled: dict[tuple[str, str], str] = {}
        self.submitted: list[tuple[str, str]] = []

    def take(self, store: Store) -> None:
        """Check what the log has got since the last time."""
        for record in store.read_all(self.position):
            self.position += 1
            assert record.position == self.position
            self.versions[record.stream] += 1
            assert record.version == self.versions[record.stream]  # §9.15
            self._check(record, decode(record.body))

    def _check(self, record: Record, content: dict[str, Any]) -> None:
        before = self.accounts.get(record.stream, Account())
        named = content["stimulus"]
        stimulus = msgspec.convert(named, KINDS[named["stimulus"]])
        outcome = content["outcome"]
        again, decided = decide(before, stimulus, compiled_step)
        assert encode(msgspec.to_builtins(again)) == encode(outcome)  # §9.20
        after = evolve(before, outcome.get("changes", {}))
        assert same(after, decided)  # §9.16
        assert content["epoch"] == after.epoch
        assert record.state == (after.state.value if after.state else None)
        self.accounts[record.stream] = after
        self.seen[f"rule {outcome['rule']}"] += 1
        self.seen.update(f"effect {one['effect']}" for one in outcome.get("effects", ()))
        self.seen[f"state {after.state.value if after.state else None}"] += 1
        self.seen[f"phase {after.phase.value if after.phase else None}"] += 1
        if after.claim is not None:
            self.seen[f"claim asked {after.claim.reason}"] += 1
        if outcome["rule"] == "claim.supersedes":
            self.seen["state superseded"] += 1
        self._judge(record.stream, Step(before, stimulus, again, after))
        self._check_replies(record, again, after)

    def _judge(self, stream: str, step: Step) -> None:
        """§9.1 to §9.14, but for what is counted over all accounts."""
        past = self.pasts.setdefault(stream, Past(Account()))
        for name, judge in INVARIANTS.items():
            assert judge(step, past) is None, name
        past.take(step)

    def _check_replies(self, record: Record, outcome: Outcome, after: Account) -> None:
        """§9.11 and §9.13: which replies ended how, and that all accounts hold only so many."""
        stream, rule = record.stream, outcome.rule
        if record.type == "reply_submitted" and rule != "reply.repeated":
            assert record.reply is not None
            self.submitted.append((stream, record.reply))
        for reply, settled in outcome.settled.items():
            assert (stream, reply) not in self.settled
            self.settled[stream, reply] = settled.outcome
            self.seen[f"outcome {settled.outcome}"] += 1
            self.seen[f"reason {settled.reason}"] += 1
        if rule in ("reply.held", "reply.sending"):
            held = sum(len(one.replies or ()) for one in self.accounts.values())
            assert held <= after.policy.held_max_total

    def in_flight(self) -> list[tuple[str, str]]:
        """The replies whose send was asked for and has no answer."""
        return [
            (name, reply)
            for name, account in self.accounts.items()
            for reply, one in (account.replies or {}).items()
            if one.in_flight
        ]

    def pending(self) -> list[tuple[str, str]]:
        """The replies that have no outcome yet."""
        return [key for key in self.submitted if key not in self.settled]
