"""The invariants of the design, §9, on the pure machine, along random lives of an account."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings

from linewarden.statemachine.account import TIMERS, Account
from linewarden.statemachine.closes import CloseClass, classify
from linewarden.statemachine.identity import overlap
from linewarden.statemachine.lifecycle import ENDS, Phase, State
from linewarden.statemachine.outcome import CloseSocket, Dial, Purge, Send
from linewarden.statemachine.policy import NS
from linewarden.statemachine.stimuli import CLOSES, SendAcked, SendFailed

from .sequences import LIVES, Life, Move, Step

LifeGiven = tuple[dict[str, Any], list[Move]]
MOVES_TO_A_NEW_CLAIM = ("claim.first", "claim.supersedes", "claim.after_end")
RESETS = (
    *("stability.reset", "claim.after_end", "restart.granted", "relink.granted"),
    *("release.hold", "release.conflict", "stop.closed"),
)


def along(given_life: LifeGiven, check: Callable[[Step, Life], None]) -> None:
    """Runs a life and checks every step of it."""
    life = Life(given_life[0])
    for step in life.live(given_life[1]):
        check(step, life)


def ended(account: Account) -> bool:
    return account.state in ENDS


def test_lives_reach_every_state_and_phase() -> None:
    """The random lives reach all states and phases, so the invariants below are put to the test."""
    seen: Counter[Any] = Counter()

    @settings(max_examples=150, derandomize=True, database=None, deadline=None)
    @given(LIVES)
    def look(given_life: LifeGiven) -> None:
        along(given_life, lambda step, _: seen.update([step.after.state, step.after.phase]))

    look()
    reachable = {*State, *Phase, None} - {State.SUPERSEDED}
    assert set(seen) == reachable


@given(LIVES)
def test_only_the_newest_controller_is_live(given_life: LifeGiven) -> None:
    """§9.1: whoever is live is connected, proven, and of the newest epoch."""

    def check(step: Step, life: Life) -> None:
        after = step.after
        assert after.controller == life.controllers[-1]
        assert not after.live or (after.state is State.CONNECTED and after.identity is not None)
        assert after.identity is None or after.state is State.CONNECTED

    along(given_life, check)


@given(LIVES)
def test_each_claim_takes_the_next_epoch(given_life: LifeGiven) -> None:
    """§9.2: an accepted claim takes the next epoch, and nothing else changes it."""

    def check(step: Step, _: Life) -> None:
        taken = step.outcome.rule in MOVES_TO_A_NEW_CLAIM
        assert step.after.epoch == step.before.epoch + taken

    along(given_life, check)


@given(LIVES)
def test_a_superseded_controller_only_closes(given_life: LifeGiven) -> None:
    """§9.3: an effect of a controller that is not the newest is a close of its socket."""

    def check(step: Step, _: Life) -> None:
        for effect in step.outcome.effects:
            controller = getattr(effect, "controller", step.after.controller)
            assert controller == step.after.controller or isinstance(effect, CloseSocket)

    along(given_life, check)


@given(LIVES)
def test_ends_absorb(given_life: LifeGiven) -> None:
    """§9.4: an end is left by a claim only, or for another end by an upgrade, never a stop."""

    def check(step: Step, _: Life) -> None:
        before, after = step.before, step.after
        if not ended(before) or before.epoch != after.epoch:
            return
        if (before.state, before.reason) != (after.state, after.reason):
            assert step.outcome.rule.startswith("close.upgrade.")
            assert ended(after)
            assert before.state is not State.LOGGED_OUT
            assert before.reason != "stopped"
        assert not any(isinstance(effect, Dial) for effect in step.outcome.effects)

    along(given_life, check)


@given(LIVES)
def test_something_is_always_pending(given_life: LifeGiven) -> None:
    """§9.5: while its service runs a controller that lives has a timer, a dial or a socket."""
    running = False

    def check(step: Step, _: Life) -> None:
        nonlocal running
        after, rule = step.after, step.outcome.rule
        stopped = rule.startswith("service.stopped")
        running = not stopped and (running or rule.startswith(("claim.", "service.started")))
        pending = {name for name in TIMERS if getattr(after, name + "_at") is not None}
        if ended(after):
            assert not pending
        elif after.state is State.CONNECTED:
            assert after.socket_state == "open"
            assert not pending & {"retry", "hold", "connect_deadline", "pairing", "handover"}
        elif running and after.state is State.RECONNECT_GAP:
            assert pending & {"retry", "hold"}
        elif after.phase is Phase.WAITING:
            assert pending & {"retry", "hold", "handover"}
        elif after.phase is Phase.DIALING:
            assert "connect_deadline" in pending
        elif after.phase is Phase.PAIRING:
            assert "pairing" in pending

    along(given_life, check)


@given(LIVES)
def test_purge_only_after_a_logout(given_life: LifeGiven) -> None:
    """§9.6: a purge is asked for by a logged-out newest controller, once but for a crash."""
    asked: Counter[str] = Counter()

    def check(step: Step, _: Life) -> None:
        for effect in step.outcome.effects:
            if isinstance(effect, Purge):
                assert step.after.state is State.LOGGED_OUT
                assert effect.controller == step.after.controller
                assert step.before.purge != "done"
                again = step.outcome.rule.startswith("service.started")
                assert asked[effect.controller] == 0 or again
                asked[effect.controller] += 1

    along(given_life, check)


@given(LIVES)
def test_replaced_is_never_retried(given_life: LifeGiven) -> None:
    """§9.7: `replaced` sets no retry, but for our own doing once a controller."""

    def check(step: Step, _: Life) -> None:
        before, after, stimulus = step.before, step.after, step.stimulus
        if not isinstance(stimulus, CLOSES) or classify(stimulus) is not CloseClass.REPLACED:
            return
        assert not any(isinstance(effect, Dial) for effect in step.outcome.effects) or (
            before.phase is Phase.WAITING
        )
        if after.retry_at not in (None, before.retry_at):
            assert after.own_doing
            assert not before.own_doing

    along(given_life, check)


@given(LIVES)
def test_attempts_go_down_only_for_a_reason(given_life: LifeGiven) -> None:
    """§9.8: attempts return to 0 by stability, an operator or a claim after an end alone."""

    def check(step: Step, _: Life) -> None:
        before, after, rule = step.before, step.after, step.outcome.rule
        if rule.startswith("close.upgrade."):
            assert before.attempt - 1 <= after.attempt <= before.attempt + 1
        elif after.attempt < before.attempt:
            assert after.attempt == after.unknowns == 0
            assert rule in RESETS
        assert after.attempt <= before.attempt + 1

    along(given_life, check)


@given(LIVES)
def test_delays_stay_in_bounds(given_life: LifeGiven) -> None:
    """§9.8: a retry is due between at once and the longest wait that the policy knows."""

    def check(step: Step, _: Life) -> None:
        after, policy = step.after, step.after.policy
        longest = max(policy.max_s * (1 + policy.jitter), policy.probe_s, policy.handover_s)
        if after.retry_at not in (None, step.before.retry_at):
            assert 0 <= after.retry_at - step.stimulus.at <= longest * NS

    along(given_life, check)


@given(LIVES)
def test_nothing_dials_inside_a_hold(given_life: LifeGiven) -> None:
    """§3.3: no dial before the end of a hold, but for the operator's release."""

    def check(step: Step, _: Life) -> None:
        hold = step.before.hold
        if hold is not None and step.stimulus.at < hold.until:
            dials = [effect for effect in step.outcome.effects if isinstance(effect, Dial)]
            assert not dials or step.outcome.rule == "release.hold"

    along(given_life, check)


@given(LIVES)
def test_a_reply_leaves_as_its_identity(given_life: LifeGiven) -> None:
    """§9.9: a reply leaves through the live controller whose identity overlaps the captured one."""

    def check(step: Step, _: Life) -> None:
        after = step.after
        for effect in step.outcome.effects:
            if isinstance(effect, Send):
                assert after.live
                assert after.replies is not None
                reply = after.replies[effect.reply]
                assert effect.controller == reply.via == after.controller
                assert overlap(reply.captured, after.identity, after.links)

    along(given_life, check)


@given(LIVES)
def test_one_write_one_ack_one_outcome(given_life: LifeGiven) -> None:
    """§9.11, §9.12: one outcome a reply, `sent` by its ack, no second write unless unsent."""
    writes: Counter[str] = Counter()
    outcomes: dict[str, str] = {}

    def check(step: Step, _: Life) -> None:
        stimulus = step.stimulus
        if isinstance(stimulus, SendFailed) and stimulus.kind == "not_sent":
            reply = (step.before.replies or {}).get(stimulus.reply)
            writes[stimulus.reply] -= reply is not None and reply.in_flight
        for name, settled in step.outcome.settled.items():
            assert name not in outcomes
            outcomes[name] = settled.outcome
            acked = isinstance(stimulus, SendAcked) and stimulus.reply == name
            assert (settled.outcome == "sent") == acked
        for effect in step.outcome.effects:
            if isinstance(effect, Send):
                writes[effect.reply] += 1
                assert writes[effect.reply] == 1
                assert effect.reply not in outcomes
        assert not set(outcomes) & set(step.after.replies or ())

    along(given_life, check)


@given(LIVES)
def test_held_replies_are_bounded(given_life: LifeGiven) -> None:
    """§9.13: an account holds no more replies than its policy allows."""

    def check(step: Step, _: Life) -> None:
        policy = step.after.policy
        most = min(policy.held_max_account, policy.held_max_total)
        assert len(step.after.replies or ()) <= most

    along(given_life, check)


@given(LIVES)
def test_order_within_a_chat_is_kept(given_life: LifeGiven) -> None:
    """§9.14: what is written is the oldest of its chat, and the only one of it in flight."""

    def check(step: Step, life: Life) -> None:
        replies = step.after.replies or {}
        assert sorted(replies, key=life.submitted.index) == list(replies)
        for name, reply in replies.items():
            older = [other for other in replies if replies[other].chat == reply.chat]
            assert not reply.in_flight or older[0] == name

    along(given_life, check)
