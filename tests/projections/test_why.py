"""Timelines and answers: which record, which rule, which evidence."""

from collections.abc import Callable
from typing import Any

import pytest

from linewarden.eventstore import Store
from linewarden.projections import explanations
from linewarden.projections.timeline import timeline
from linewarden.projections.why import NothingKnown, why
from linewarden.statemachine.lifecycle import TABLE, UNCLAIMED
from linewarden.statemachine.outcome import ReplyOutcome

Lines = Callable[[str], Any]


@pytest.fixture
def incident(line: Any) -> Any:
    """A 408, a reply captured on A, and a successor through which it leaves."""
    line.connect("A")
    line.tell("activity", evidence="inbound")
    line.tell("closed", code=408, source="baileys")
    line.submit("r1", captured_on="A")
    line.tell("claimed", controller="B", holder="gateway-1")
    line.tell("opened", source="baileys")
    line.prove()
    line.tell("send_acked", reply="r1", message_id="m1")
    return line


def test_every_rule_has_a_sentence() -> None:
    """Each rule of the table, and the two outside it, is explained; nothing else is."""
    rules = {row.rule for row in TABLE} | {"claim.first", UNCLAIMED}
    assert set(explanations.EXPLANATIONS) == rules
    for sentence in explanations.EXPLANATIONS.values():
        assert sentence[0].isupper() and sentence.endswith(".") and "\n" not in sentence


def test_a_rule_of_tomorrow_is_named() -> None:
    """A log of a newer version can be read, though not explained."""
    assert "close.lunar" in explanations.explain("close.lunar")


def test_every_outcome_of_a_reply_is_explained() -> None:
    """Final or pending, it says what happened; a refusal says why."""
    finals = set(ReplyOutcome.__args__)
    assert set(explanations.OUTCOMES) == finals | {"held", "sending"}
    told = explanations.explain_reply("refused", "identity_mismatch", ())
    assert "somebody else" in told and told.endswith(".")
    assert explanations.explain_reply("sent", None, ()) == explanations.OUTCOMES["sent"]


def test_a_reply_that_a_crash_expired_had_no_late_deadline() -> None:
    """Expired by its deadline and expired with the process that held it are told apart."""
    by_deadline = explanations.explain_reply("expired", None, ("reply.held", "reply.expired"))
    by_crash = explanations.explain_reply("expired", None, ("reply.held", "service.started.gap"))
    assert "deadline" in by_deadline
    assert "deadline" not in by_crash and "process" in by_crash


def test_a_timeline_tells_records_in_order(store: Store, incident: Any) -> None:
    """Each with what was told, the rule, the change of state and what came of it."""
    entries = list(timeline(store, "main"))
    assert [entry.version for entry in entries] == list(range(1, 11))
    closed = entries[4]
    assert (closed.rule, closed.before, closed.state) == (
        "close.transient.retry",
        "connected",
        "reconnect_gap",
    )
    assert closed.told == {"code": 408} and closed.source == "baileys" and closed.moved
    assert entries[9].settled == {"r1": {"outcome": "sent"}}
    assert entries[8].effects == [
        {"effect": "send", "reply": "r1", "controller": "B", "chat": "chat_1"}
    ]


def test_a_timeline_is_cut_by_position_and_time(store: Store, lines: Lines) -> None:
    """Both bounds are inclusive but for `after_position`; accounts are mixed in order."""
    one, two = lines("one"), lines("two")
    one.connect("A")
    two.connect("B")
    one.tell("activity", after_s=100)
    assert [entry.position for entry in timeline(store, after_position=2, upto_position=4)] == [
        3, 4,
    ]  # fmt: skip
    late = [entry.account for entry in timeline(store, from_at=one.at - 1)]
    assert late == ["one"]
    assert len(list(timeline(store, "two", upto_at=two.at))) == 3
    [first, *_] = timeline(store, "one", after_position=6)
    assert first.before == first.state == "connected"


def test_why_of_a_reply_names_its_records(store: Store, incident: Any) -> None:
    """Held, sent through the successor, acknowledged: three records and their rules."""
    answer = why(store, "main", reply="r1")
    assert answer.reply is not None
    assert (answer.reply.outcome, answer.reply.via, answer.reply.captured_on) == ("sent", "B", "A")
    assert [entry.rule for entry in answer.entries] == [
        "reply.held", "identity.proven", "reply.sent",
    ]  # fmt: skip
    assert answer.sentence.startswith("The reply is sent.")


def test_why_of_a_refused_reply_says_who_was_there(store: Store, line: Any) -> None:
    """A successor with another number refuses what was captured on the old one."""
    line.connect("A")
    line.tell("closed", code=408, source="baileys")
    line.submit("r1", captured_on="A")
    line.tell("claimed", controller="B", holder="gateway-1")
    line.tell("opened", source="baileys")
    line.prove(pn="idn_pn_2", lid="idn_lid_2")
    answer = why(store, "main", reply="r1")
    assert "somebody else is logged in" in answer.sentence
    assert answer.reply is not None and answer.reply.reason == "identity_mismatch"


def test_why_of_a_state_names_what_led_to_it(store: Store, incident: Any) -> None:
    """The record that entered the state, and the newest proof of life."""
    answer = why(store, "main")
    assert answer.sentence.startswith("B is connected.")
    assert answer.entries[0].rule == "opened.connected"
    assert answer.proving is not None and answer.proving[0] == "send_acked"
    gap = why(store, "main", position=incident.records[4].position)
    assert gap.sentence.startswith("A is reconnect-gap.")
    assert [entry.rule for entry in gap.entries] == ["close.transient.retry"]
    assert gap.proving is None


def test_why_of_a_controller_runs_from_claim_to_end(store: Store, incident: Any) -> None:
    """What moved it, up to the claim that superseded it."""
    answer = why(store, "main", controller="A")
    assert answer.controller is not None and answer.controller.epoch == 1
    assert [entry.rule for entry in answer.entries] == [
        "claim.first", "opened.connected", "close.transient.retry", "claim.supersedes",
    ]  # fmt: skip
    assert answer.sentence == "A is superseded; the last cause was transient."


def test_why_as_of_a_time_knows_nothing_later(store: Store, incident: Any) -> None:
    """As of the submission the reply is held, and its later records are not shown."""
    submitted = incident.records[5]
    answer = why(store, "main", reply="r1", at=submitted.at)
    assert answer.reply is not None and answer.reply.outcome == "held"
    assert [entry.version for entry in answer.entries] == [submitted.version]


def test_why_of_a_reply_that_was_let_go_of_reads_the_log(
    store: Store, incident: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view is bounded, the log is not: the same answer from either."""
    whole = why(store, "main", reply="r1")
    monkeypatch.setattr("linewarden.projections.replies.FINISHED_MAX", 1)
    for number in range(3):
        incident.submit(f"more-{number}")
        incident.tell("send_acked", reply=f"more-{number}")
    answer = why(store, "main", reply="r1")
    assert answer.reply == whole.reply
    assert [entry.version for entry in answer.entries] == [entry.version for entry in whole.entries]


@pytest.mark.parametrize(
    "asked", [{"reply": "r9"}, {"controller": "Z"}, {"position": 0}, {"at": 5}]
)
def test_why_of_what_nobody_knows_is_a_clear_error(
    store: Store, incident: Any, asked: dict[str, Any]
) -> None:
    """It says what is not known, and where to look."""
    with pytest.raises(NothingKnown) as raised:
        why(store, "main", **asked)
    assert raised.value.hint
