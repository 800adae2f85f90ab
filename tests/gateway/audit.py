"""The invariants of the design, §9, read off the log record by record as an auditor would."""

from collections import Counter
from typing import Any

import msgspec

from linewarden.eventstore import Record, Store, decode, encode
from linewarden.statemachine.account import Account, evolve
from linewarden.statemachine.closes import CloseClass, classify
from linewarden.statemachine.decision import decide
from linewarden.statemachine.lifecycle import ENDS, Phase, State
from linewarden.statemachine.machine import compiled_step
from linewarden.statemachine.policy import NS
from linewarden.statemachine.stimuli import CLOSES, KINDS, Claimed, Stimulus

CLAIMS = ("claim.first", "claim.supersedes", "claim.after_end")
RESETS = (
    *("stability.reset", "claim.after_end", "restart.granted", "relink.granted"),
    *("release.hold", "release.conflict", "stop.closed", "stop.ended"),
)


class Audit:
    """Folds the log anew as it grows, and checks every record against what was before it."""

    def __init__(self, seen: Counter[str]) -> None:
        self.seen = seen
        self.position = 0
        self.accounts: dict[str, Account] = {}
        self.versions: Counter[str] = Counter()
        self.purges: Counter[tuple[str, str]] = Counter()
        self.settled: dict[tuple[str, str], str] = {}
        self.sends: Counter[tuple[str, str]] = Counter()
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
        assert after == decided  # §9.16
        assert content["epoch"] == after.epoch
        assert record.state == (after.state.value if after.state else None)
        self.accounts[record.stream] = after
        self.seen[f"rule {outcome['rule']}"] += 1
        self.seen[f"state {after.state.value if after.state else None}"] += 1
        self.seen[f"phase {after.phase.value if after.phase else None}"] += 1
        if after.claim is not None:
            self.seen[f"claim asked {after.claim.reason}"] += 1
        if outcome["rule"] == "claim.supersedes":
            self.seen["state superseded"] += 1
        self._check_claims(before, after, outcome, stimulus)
        self._check_effects(record, after, outcome)
        self._check_ladder(before, after, outcome["rule"], stimulus)
        self._check_replies(record, before, after, outcome, stimulus)

    def _check_claims(
        self, before: Account, after: Account, outcome: dict[str, Any], stimulus: Stimulus
    ) -> None:
        """§9.2 and §9.4: each claim the next epoch, and an end is left by a claim or an upgrade."""
        taken = outcome["rule"] in CLAIMS
        assert after.epoch == before.epoch + taken
        assert not taken or isinstance(stimulus, Claimed)
        assert after.identity is None or after.state is State.CONNECTED  # §9.1
        if before.state in ENDS and not taken:
            assert not any(one["effect"] in ("dial", "send") for one in outcome.get("effects", ()))
            if (before.state, before.reason) != (after.state, after.reason):
                assert outcome["rule"].startswith("close.upgrade.")
                assert after.state in ENDS
                assert before.state is not State.LOGGED_OUT
                assert before.reason != "stopped"

    def _check_effects(self, record: Record, after: Account, outcome: dict[str, Any]) -> None:
        """§9.3 and §9.6: an older controller is only closed; purge after a logout, once."""
        for effect in outcome.get("effects", ()):
            self.seen[f"effect {effect['effect']}"] += 1
            controller = effect.get("controller", after.controller)
            assert controller == after.controller or effect["effect"] == "close_socket"
            if effect["effect"] == "purge":
                assert after.state is State.LOGGED_OUT
                again = outcome["rule"].startswith("service.started")
                assert not self.purges[record.stream, controller] or again
                self.purges[record.stream, controller] += 1

    def _check_ladder(self, before: Account, after: Account, rule: str, stimulus: Stimulus) -> None:
        """§9.7 and §9.8: `replaced` sets no retry; attempts and delays stay in their bounds."""
        policy = after.policy
        fresh = after.retry_at not in (None, before.retry_at)
        if fresh:
            assert after.retry_at is not None
            longest = max(policy.max_s * (1 + policy.jitter), policy.probe_s, policy.handover_s)
            assert 0 <= after.retry_at - stimulus.at <= longest * NS
        if isinstance(stimulus, CLOSES) and classify(stimulus) is CloseClass.REPLACED and fresh:
            assert after.own_doing and not before.own_doing
        if rule.startswith("close.upgrade."):
            assert before.attempt - 1 <= after.attempt <= before.attempt + 1
        elif after.attempt < before.attempt:
            assert after.attempt == 0
            assert rule in RESETS
        assert after.attempt <= before.attempt + 1

    def _check_replies(
        self,
        record: Record,
        before: Account,
        after: Account,
        outcome: dict[str, Any],
        stimulus: Stimulus,
    ) -> None:
        """§9.11 to §9.14: one outcome each, `sent` by its ack, bounds, and order in a chat."""
        stream, rule = record.stream, outcome["rule"]
        if record.type == "reply_submitted" and rule != "reply.repeated":
            assert record.reply is not None
            self.submitted.append((stream, record.reply))
        for reply, settled in outcome.get("settled", {}).items():
            assert (stream, reply) not in self.settled
            self.settled[stream, reply] = settled["outcome"]
            self.seen[f"outcome {settled['outcome']}"] += 1
            self.seen[f"reason {settled.get('reason')}"] += 1
            acked = record.type == "send_acked" and record.reply == reply
            assert (settled["outcome"] == "sent") == acked
            assert not acked or self.sends[stream, reply]
        replies = after.replies or {}
        for effect in outcome.get("effects", ()):
            if effect["effect"] == "send":
                reply = effect["reply"]
                last = (before.replies or {}).get(reply)
                assert last is None or not last.in_flight
                assert (stream, reply) not in self.settled
                assert after.live and replies[reply].via == after.controller
                self.sends[stream, reply] += 1
        order = [reply for account, reply in self.submitted if account == stream]
        assert list(replies) == [reply for reply in order if reply in replies]
        for name, reply in replies.items():
            first = next(key for key, one in replies.items() if one.chat == reply.chat)
            assert not reply.in_flight or first == name  # §9.14
        if rule in ("reply.held", "reply.sending"):
            policy = after.policy
            held = sum(len(one.replies or ()) for one in self.accounts.values())
            assert len(replies) <= policy.held_max_account
            assert held <= policy.held_max_total  # §9.13

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


def waits_for_something(account: Account) -> bool:
    """§9.5: a controller that has not ended has a timer pending, a dial or a socket."""
    timers = {
        name
        for name in ("retry", "hold", "handover", "connect_deadline", "pairing")
        if getattr(account, name + "_at") is not None
    }
    if account.state is None or account.state in ENDS:
        return not timers
    if account.state is State.CONNECTED:
        return account.socket_state == "open" and not timers
    if account.state is State.RECONNECT_GAP:
        return bool(timers & {"retry", "hold"})
    needed = {
        Phase.WAITING: {"retry", "hold", "handover"},
        Phase.DIALING: {"connect_deadline"},
        Phase.PAIRING: {"pairing"},
    }
    assert account.phase is not None
    return bool(timers & needed[account.phase])
