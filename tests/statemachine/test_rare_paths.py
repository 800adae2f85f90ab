"""Paths where two rules meet: a hold and an echo, a claim and an unconfirmed socket, a queue."""

import pytest

from linewarden.statemachine.account import LINGERING_MAX, Account, pending_timers
from linewarden.statemachine.lifecycle import State
from linewarden.statemachine.outcome import Claim, Dial, Notify, Purge
from linewarden.statemachine.policy import NS

from .situations import JUST_S, LIVE, ME, NOW_S, STORIES, feed, line, over_a_socket, play, told

YOU = {"pn": "pn-2", "lid": "lid-2"}
QUEUED = (
    line(70, "reply_submitted", reply="r2", chat="chat-1", captured_on="A"),
    line(71, "reply_submitted", reply="r3", chat="chat-2", captured_on="A"),
)


def dialed(account: Account, at_s: float, stimulus: str, **fields: object) -> list[int]:
    """The sockets that a stimulus dials."""
    outcome, _ = feed(account, at_s, stimulus, **fields)
    return [one.socket for one in outcome.effects if isinstance(one, Dial)]


@pytest.mark.parametrize(
    ("first", "echo"),
    [
        ((*LIVE, line(50, "paired"), *LIVE), {"code": 401}),
        ((*LIVE, line(50, "paired"), *LIVE), {"code": 515}),
        ((*LIVE,), {"code": 408}),
    ],
)
def test_no_echo_of_a_ban_leads_out_of_the_hold(first: tuple, echo: dict[str, int]) -> None:
    """A further word about a close that began a hold, of whatever retry, leaves the hold alone."""
    held = play(*told(*first, line(60, "closed", code=402)))
    outcome, after = feed(held, 60.5, "closed", **echo)
    assert outcome.rule == "close.echo"
    assert (after.state, after.hold_at) == (State.RECONNECT_GAP, 3660 * NS)
    assert after.retry_at is None


def test_our_own_doing_does_not_shorten_a_ban() -> None:
    """A ban and then `replaced` by an older socket of ours: the hold stays, no end, no dial."""
    held = play(*STORIES["kin_live"], line(JUST_S, "banned", expires_s=600))
    outcome, after = feed(held, NOW_S, "replaced")
    assert after.state is State.RECONNECT_GAP
    assert after.hold is not None
    assert after.retry_at is None
    assert not any(isinstance(one, Dial | Notify) for one in outcome.effects)


def test_a_claim_after_the_end_of_a_hold_dials() -> None:
    """A hold that ended while no controller waited for it is over at the claim, without a timer."""
    stop = line(60, "stop_requested", controller=None)
    held = play(*STORIES["live"], line(50, "banned", expires_s=100), stop)
    assert dialed(held, 149.9, "claimed", controller="B") == []
    assert dialed(held, 150, "claimed", controller="B") == [1]


def test_sockets_that_nobody_confirms_are_forgotten_in_the_end() -> None:
    """An engine that never says that a socket is over: the newest are remembered, no more."""
    account, at_s = play(line(0, "claimed")), 0.0
    for _ in range(200):
        (timer, _), due = min(pending_timers(account).items(), key=lambda one: one[1])
        at_s = due / NS
        _, account = feed(account, at_s, "timer_fired", timer=timer)
    assert account.lingering is not None
    kept = account.lingering["A"].sockets
    assert len(kept) == LINGERING_MAX
    assert kept[-1] >= account.socket - 1
    for number in range(LINGERING_MAX + 10):
        named = {"controller": f"c{number}"}
        _, account = feed(account, at_s + 1, "claimed", **named)
        at_s = pending_timers(account)["handover", None] / NS
        _, account = feed(account, at_s, "timer_fired", timer="handover", **named)
    assert account.lingering is not None
    assert len(account.lingering) == LINGERING_MAX
    assert "A" not in account.lingering


def test_a_removed_device_shows_through_the_pairing_window() -> None:
    """A 401 of the pairing window and then `device_removed` of the same socket is a logout."""
    window = play(*STORIES["window_live"], line(999, "closed", code=401))
    outcome, after = feed(window, 999.2, "stream_error", code=401, tag="device_removed")
    assert outcome.rule == "close.upgrade.logged_out"
    assert after.state is State.LOGGED_OUT


def test_an_unsent_reply_of_a_long_hold_is_refused() -> None:
    """A send that a ban overtook and that proves not sent is refused if it can't wait so long."""
    near = line(70, "reply_submitted", reply="r2", chat="chat-2", captured_on="A")
    held = play(*STORIES["live"], near, line(80, "banned", expires_s=1000))
    outcome, after = feed(held, 90, "send_failed", reply="r2", kind="not_sent")
    assert [(one.outcome, one.reason) for one in outcome.settled.values()] == [
        ("refused", "banned")
    ]
    assert "r2" not in (after.replies or {})


def test_a_reply_of_nobody_is_bound_to_the_first_proof() -> None:
    """Replies of the gateway's own all belong to whoever is proven first, also those in a queue."""
    null = {"captured_on": None, "deadline_s": 9000, "chat": "chat-1"}
    first = play(*told(line(3.5, "reply_submitted", reply="r2", **null), *LIVE))
    second = play(
        line(20, "closed", code=408),
        line(25, "opened"),
        line(25, "identity_observed", forms=YOU),
        account=first,
    )
    outcome, _ = feed(second, 100, "timer_fired", timer="send_deadline", reply="r1")
    assert outcome.settled["r1"].outcome == "uncertain"
    assert not outcome.effects
    assert not second.replies or "r2" not in second.replies


@pytest.mark.parametrize(
    "news",
    [
        line(80, "identity_observed", forms=YOU),
        line(80, "identity_observed", forms={"pn": "pn-1", "lid": "lid-2"}),
    ],
)
def test_somebody_else_on_the_open_socket_refuses_the_queue(news: tuple) -> None:
    """When another identity is proven, waiting replies are refused at once, none in flight is."""
    queue = play(*STORIES["live"], *QUEUED)
    at_s, stimulus, fields = news
    outcome, after = feed(queue, at_s, stimulus, **fields)
    assert {name: one.reason for name, one in outcome.settled.items()} == {
        "r2": "identity_mismatch"
    }
    assert set(after.replies or ()) == {"r1", "r3"}


@pytest.mark.parametrize(
    "echo", [("worker_died", {"signal": 9}), ("closed", {"code": 408, "socket": 2})]
)
def test_an_echo_confirms_the_socket(echo: tuple) -> None:
    """A dial given up at its deadline is over once the wire says so; a successor need not wait."""
    given_up = told(line(63, "timer_fired", timer="connect_deadline"))
    stimulus, fields = echo
    asked = play(*given_up)
    assert dialed(play(line(64, "claimed", controller="B"), account=asked), 66, "activity") == []
    sure = play(*given_up, line(63.5, stimulus, **fields), line(64, "claimed", controller="B"))
    assert sure.handover_at is None
    retry_s = (sure.retry_at or 0) / NS
    assert dialed(sure, retry_s, "timer_fired", timer="retry", controller="B") == [1]


def test_our_own_doing_in_a_pairing_is_of_class_transient() -> None:
    """`replaced` by an older socket of ours while a code is shown ends the pairing as transient."""
    shown = play(*over_a_socket(line(996, "pairing_started")))
    _, after = feed(shown, NOW_S, "replaced")
    assert (after.state, after.reason, after.cause) == (
        State.CLOSED,
        "pairing_failed",
        "transient",
    )


def test_a_stopped_service_has_no_timers() -> None:
    """A stop of the service ends the notice of the gap that it begins; a start takes it up."""
    rest = {"holder": "host-1", "controller": None}
    stopped = play(*STORIES["live"], line(100, "service_stopped", **rest))
    assert (stopped.gap_notice_at, stopped.retry_at) == (None, None)
    early = play(line(200, "service_started", **rest), account=stopped)
    assert (early.gap_notice_at, early.retry_at) == (700 * NS, 200 * NS)
    late = play(line(900, "service_started", **rest), account=stopped)
    assert late.gap_notice_at == 900 * NS


def test_a_given_up_dial_is_waited_for_though_the_library_opened() -> None:
    """A dial that nobody confirmed is still in the way of a successor after another opening."""
    account = play(
        *told(
            line(63, "timer_fired", timer="connect_deadline"),
            line(64, "opened", socket=3),
            line(64, "identity_observed", forms=ME),
            line(70, "claimed", controller="B"),
            line(71, "closed", code=408, socket=3),
        )
    )
    assert account.handover_at == 85 * NS
    assert dialed(account, 72, "socket_closed", socket=2) == [1]


@pytest.mark.parametrize(
    ("request_name", "rule"),
    [
        ("stop_requested", "late"),
        ("release_requested", "late"),
        ("relink_requested", "relink.refused.superseded"),
        ("restart_requested", "restart.refused.superseded"),
    ],
)
def test_a_command_to_a_superseded_controller_is_none_to_its_successor(
    request_name: str, rule: str
) -> None:
    """A command that names an older controller touches the newest one in no state."""
    for before in (
        play(*STORIES["superseded"]),
        play(*STORIES["superseded"], line(60, "replaced", controller="B")),
    ):
        outcome, after = feed(before, NOW_S, request_name, by="operator")
        assert (outcome.rule, list(outcome.effects), after) == (rule, [], before)


def test_a_late_opening_of_an_ended_controller_explains_a_replaced() -> None:
    """What opened after its end was ours: `replaced` of the successor within 15 s is own doing."""
    opened = (*STORIES["conflict"], line(60, "opened", socket=3), line(60, "socket_closed"))
    b = {"controller": "B"}
    up = (line(61, "claimed", **b), line(62, "opened", **b))
    _, soon = feed(play(*opened, *up), 75, "replaced", **b)
    _, late = feed(play(*opened, *up), 75.1, "replaced", **b)
    assert (soon.state, late.state) == (State.RECONNECT_GAP, State.CONFLICT)


def test_a_stale_opening_after_the_end_hides_no_echo() -> None:
    """A late event of a socket that is over doesn't keep a logout from upgrading a conflict."""
    stale = play(*STORIES["conflict_now"], line(999.6, "opened", socket=2))
    _, after = feed(stale, 999.7, "closed", code=401, socket=2)
    assert after.state is State.LOGGED_OUT


def test_the_session_is_purged_once() -> None:
    """A second relink of the same logout asks for a successor again, but for no second purge."""
    purging = play(*STORIES["purging"])
    again, _ = feed(purging, 1011, "relink_requested", by="operator")
    assert [type(one) for one in again.effects] == [Claim]
    crashed, _ = feed(purging, 1011, "service_started", holder="host-1", controller=None)
    assert [type(one) for one in crashed.effects] == [Purge, Claim]
    done = play(line(1012, "session_purged"), account=purging)
    crashed, _ = feed(done, 1013, "service_started", holder="host-1", controller=None)
    assert [type(one) for one in crashed.effects] == [Claim]


@pytest.mark.parametrize("after_a_close", [(), (line(70, "closed", code=408),)])
def test_a_dead_worker_answers_for_no_send(after_a_close: tuple) -> None:
    """A send in flight stays so through a close, and is uncertain when its worker dies."""
    account = play(*STORIES["live"], *after_a_close)
    outcome, _ = feed(account, 80, "worker_died", exit_code=2)
    assert outcome.settled["r1"].outcome == "uncertain"


@pytest.mark.parametrize(
    "before",
    [
        (*STORIES["kin_live"], line(998, "banned", expires_s=600)),
        (*STORIES["kin_live"], line(990, "closed", code=408)),
        over_a_socket(),
    ],
)
def test_our_own_doing_said_twice_is_no_stranger(before: tuple) -> None:
    """`replaced` as event and as code, in a hold, a gap or while waiting, is our doing once."""
    once = play(*before, line(999.5, "replaced"))
    outcome, twice = feed(once, 999.503, "closed", code=440)
    assert twice.state is once.state is not State.CONFLICT
    assert not any(isinstance(one, Notify) for one in outcome.effects)
