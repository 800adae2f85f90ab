"""What the projections say of an account: connection, evidence, gaps and replies."""

from collections.abc import Callable
from typing import Any

import pytest

from linewarden.projections.view import AccountView
from linewarden.statemachine.lifecycle import State
from linewarden.statemachine.policy import NS

Line = Any


@pytest.fixture
def line(in_memory: Callable[[str], Line]) -> Line:
    return in_memory("main")


def view_of(line: Line) -> AccountView:
    view = AccountView(line.name)
    view.fold(line.records)
    return view


def test_an_unclaimed_account_has_no_connection(line: Line) -> None:
    """Before the first claim there is nobody to be connected; a reply is refused."""
    line.submit("r1", controller=None)
    view = view_of(line)
    assert view.connection is None and view.live is None and view.controllers == {}
    assert view.replies.finished["r1"].outcome == "refused"
    assert view.replies.finished["r1"].reason == "no_identity"


def test_the_next_timer_is_the_one_that_moves_the_connection(line: Line) -> None:
    """In the gap the retry is next; connected, nothing is, however many timers only count."""
    line.connect()
    assert view_of(line).connection.next_timer is None
    line.tell("closed", code=408, source="baileys")
    connection = view_of(line).connection
    assert connection.next_timer == ("retry", line.at + 2 * NS)
    assert (connection.state, connection.cause, connection.attempt) == (
        State.RECONNECT_GAP,
        "transient",
        1,
    )


def test_controllers_are_remembered_with_their_end(line: Line) -> None:
    """A claim leaves the one before superseded, or in the end that it had."""
    line.connect("A")
    line.connect("B")
    claimed_at = view_of(line).retired["A"].since
    line.tell("closed", code=401, source="baileys")
    line.tell("claimed", controller="C", holder="gateway-2")
    controllers = view_of(line).controllers
    assert {name: (c.epoch, c.state) for name, c in controllers.items()} == {
        "A": (1, State.SUPERSEDED),
        "B": (2, State.LOGGED_OUT),
        "C": (3, State.CONNECTING),
    }
    assert claimed_at == line.records[3].at
    assert controllers["B"].cause == "logged_out"
    assert controllers["C"].holder == "gateway-2"


def test_evidence_names_the_newest_proof(line: Line) -> None:
    """Openings, activity, acks and keepalives prove a connection, each with time and version."""
    line.connect()
    evidence = view_of(line).evidence
    assert evidence.newest == "opened"
    assert evidence.proofs["identity"].version == 3
    line.tell("activity", evidence="inbound")
    line.tell("keepalive_timeout")
    line.tell("keepalive_restored")
    line.submit("r1")
    acked = line.tell("send_acked", reply="r1", message_id="m1")
    view = view_of(line)
    kind, proof = view.evidence.proving(view.machine)
    assert (kind, proof.at, proof.version) == ("send_acked", acked.at, acked.version)
    assert set(view.evidence.proofs) == {
        "opened", "identity", "activity:inbound", "keepalive_restored", "send_acked",
    }  # fmt: skip


def test_nothing_proves_a_connection_that_is_not_open(line: Line) -> None:
    """After a close there is no proof, and a late sign of life is none."""
    line.connect()
    line.tell("closed", code=408, source="baileys")
    line.tell("activity")
    view = view_of(line)
    assert view.evidence.proving(view.machine) is None
    assert "activity:frame" not in view.evidence.proofs


def test_a_gap_runs_from_one_live_controller_to_the_next(line: Line) -> None:
    """It has cause, length, dials and what was held, and says what inbound may be missing."""
    line.tell("claimed", controller="A", holder="gateway-1", after_s=0)
    line.tell("opened", source="baileys")
    assert view_of(line).gaps.open is None, "nobody was live before"
    line.prove()
    alive = line.tell("activity", after_s=10)
    closed = line.tell("closed", code=408, source="baileys", after_s=20)
    line.submit("r1")
    line.submit("r2", deadline_s=2)
    line.fire("retry")
    line.fire("reply_deadline", reply="r2")
    assert view_of(line).gaps.sums(line.at) == (1, line.at - closed.at)
    opened = line.tell("opened", source="baileys")
    line.prove()
    gaps = view_of(line).gaps
    [gap] = gaps.ended
    assert (gap.started_at, gap.ended_at) == (closed.at, line.at)
    assert (gap.cause, gap.rule) == ("transient", "close.transient.retry")
    assert (gap.controller, gap.ended_by) == ("A", "A")
    assert (gap.dials, gap.held, gap.expired, gap.refused) == (1, 2, 1, 0)
    assert (gap.uncertain_from, gap.uncertain_until) == (alive.at, opened.at)
    assert gaps.open is None and gaps.sums(line.at + NS) == (1, line.at - closed.at)


def test_a_gap_of_no_length_is_none(line: Line) -> None:
    """Whoever is back in the same instant was not gone."""
    line.connect()
    line.tell("closed", code=408, source="baileys")
    line.tell("opened", source="baileys", after_s=0)
    line.prove()
    count_before = view_of(line).gaps.count
    line.tell("closed", code=408, source="baileys")
    at = line.at
    line.tell("opened", source="baileys", after_s=0)
    line.tell("identity_observed", forms={"pn": "idn_pn_1", "lid": "idn_lid_1"}, after_s=0)
    assert line.at == at
    assert view_of(line).gaps.count == count_before == 1


def test_a_socket_that_was_replaced_unseen_leaves_a_gap_of_unknown_length(line: Line) -> None:
    """It counts with no seconds, and inbound is uncertain since the last proof before it."""
    line.connect()
    proof = line.records[1].at
    opened = line.tell("opened", socket=2, source="whatsmeow")
    line.prove()
    unknown, known = view_of(line).gaps.ended
    assert unknown.unknown and unknown.length(line.at) == 0
    assert (unknown.uncertain_from, unknown.uncertain_until) == (proof, opened.at)
    assert not known.unknown and known.length(line.at) == NS


def test_a_more_severe_word_corrects_the_cause_of_a_gap(line: Line) -> None:
    """503, then 403 of the same close: the gap was a ban of the line from the start."""
    line.connect()
    line.tell("closed", code=503, socket=1, source="baileys")
    line.tell("closed", code=402, socket=1, source="baileys")
    assert view_of(line).gaps.open.cause == "banned"


def test_a_takeover_and_a_stop_are_causes_of_their_own(line: Line) -> None:
    """Gaps that nothing on the wire caused say what did."""
    line.connect("A")
    line.tell("claimed", controller="B", holder="gateway-1")
    assert (view_of(line).gaps.open.cause, view_of(line).gaps.open.controller) == ("claimed", "A")
    line.tell("opened", source="baileys")
    line.prove()
    line.tell("stop_requested", by="operator")
    assert view_of(line).gaps.open.cause == "stopped"


def test_a_reply_is_followed_through_every_record(line: Line) -> None:
    """Held, sending, held again, sent: with the route, the count of sends and its records."""
    line.connect("A")
    line.tell("closed", code=408, source="baileys")
    first = line.submit("r1", captured_on="A")
    assert view_of(line).replies.pending["r1"].outcome == "held"
    line.tell("opened", source="baileys")
    line.prove()
    reply = view_of(line).replies.pending["r1"]
    assert (reply.outcome, reply.via, reply.sends) == ("sending", "A", 1)
    line.tell("send_failed", reply="r1", kind="not_sent")
    assert view_of(line).replies.pending["r1"].outcome == "held"
    line.fire("resend", reply="r1", after_s=30)
    acked = line.tell("send_acked", reply="r1", message_id="m1")
    replies = view_of(line).replies
    assert replies.pending == {}
    reply = replies.finished["r1"]
    assert (reply.outcome, reply.sends, reply.captured_on, reply.chat) == (
        "sent", 2, "A", "chat_1",
    )  # fmt: skip
    assert (reply.submitted_at, reply.settled_at) == (first.at, acked.at)
    assert reply.versions == (5, 7, 8, 9, 10)


def test_a_late_ack_is_evidence_and_changes_no_outcome(line: Line) -> None:
    """An uncertain reply stays so, and the record of the ack is kept beside it."""
    line.connect()
    line.submit("r1")
    line.tell("send_failed", reply="r1", kind="unknown")
    acked = line.tell("send_acked", reply="r1")
    reply = view_of(line).replies.finished["r1"]
    assert (reply.outcome, reply.late_ack) == ("uncertain", acked.version)


def test_finished_replies_are_bounded(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are let go of; the newest and the pending ones stay."""
    monkeypatch.setattr("linewarden.projections.replies.FINISHED_MAX", 20)
    line.connect()
    for number in range(100):
        line.submit(f"r{number}")
        line.tell("send_acked", reply=f"r{number}")
    finished = view_of(line).replies.finished
    assert 20 <= len(finished) <= 30
    assert next(reversed(finished)) == "r99" and "r70" not in finished
    assert {f"r{number}" for number in range(80, 100)} <= set(finished)
