"""The course of an incident: what was so, from when to when, by which records."""

from itertools import pairwise

import msgspec
import pytest

from linewarden.eventstore import NewRecord, encode
from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.errors import Corrupt
from linewarden.projections.view import AccountView
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.errors import InputError
from linewarden.statemachine.policy import NS
from linewarden.tools.render import following
from linewarden.tools.render.course import Course, rows_of
from linewarden.tools.render.following import course_of

from ..replay.logs import at, bundle_of, claimed, closed, fired, incident_of, opened
from .pictures import conflict, restarted, tail_of


@pytest.fixture
def course() -> Course:
    return course_of(restarted())


def test_states_follow_one_another(course: Course) -> None:
    """The stays of a controller leave no time between them and name the records of both ends."""
    stays = [stretch for stretch in course.lane("state") if stretch.owner == "A"]
    names = [(stay.fact.name, stay.fact.live, stay.first, stay.last) for stay in stays]
    assert names == [
        ("connecting", False, 1, 2),
        ("connected", False, 2, 3),
        ("connected", True, 3, 5),
        ("reconnect_gap", False, 5, 7),
    ]
    assert [stay.end for stay in stays[:-1]] == [stay.start for stay in stays[1:]]


def test_lives_go_from_claim_to_end(course: Course) -> None:
    """A controller lives until it ends or is superseded; the newest one lives on."""
    first, second = course.lives
    assert (first.controller, first.epoch, first.first, first.last) == ("A", 1, 1, 7)
    assert (first.state, second.state, second.last) == ("superseded", "connected", None)
    assert course_of(conflict()).lives[0].last == 4


def test_a_timer_fires_or_is_cancelled_or_set_anew() -> None:
    """The end of a timer says which of the three it was."""
    failed = st.DialFailed(at=at(4), controller="A", source="baileys", code=428)
    bundle = incident_of(claimed(), opened(1), closed(2), fired(4, "retry"), failed, closed(5))
    timers = course_of(bundle).lane("timer")
    ends = {(stretch.what, stretch.first): stretch.end_by for stretch in timers}
    assert ends["connect_deadline", 1] == "cancelled"
    assert ends["retry", 3] == "fired"
    assert ends["retry", 5] is None


def test_a_reply_is_told_from_its_capture_to_its_outcome(course: Course) -> None:
    """Held, then sending through the controller that writes it, then its outcome."""
    text, media = course.replies
    assert (text.captured_on, text.sends, text.outcome) == ("A", [(12, "B")], "sent")
    assert (media.first, media.sends, media.last) == (10, [(13, "B")], 14)
    waits = [(stretch.fact.name, stretch.fact.more) for stretch in course.lane("reply")]
    assert waits == [("held", None), ("held", None), ("sending", "B"), ("sending", "B")]


def test_a_reply_that_is_refused_at_once_is_told() -> None:
    """It never waited, and yet has its place and its reason."""
    [reply] = course_of(conflict()).replies
    assert (reply.outcome, reply.reason, reply.first, reply.last) == ("refused", "conflict", 6, 6)


def test_gaps_are_those_of_the_projection(course: Course) -> None:
    """A gap ends when a proven controller is live again, and stays open where none is."""
    [gap] = course.gaps
    assert (gap.started_version, gap.ended_version, gap.cause) == (5, 12, "transient")
    assert course_of(conflict()).gaps[0].ended_at is None


@pytest.mark.parametrize("first", range(2, 15))
def test_a_part_of_a_log_begins_with_what_was_so_before(first: int) -> None:
    """Cut anywhere, what was so before is told as begun before, and the rest stays the same."""
    whole = restarted()
    after = list(course_of(whole).marks)[first - 2]
    assert after.entry.version == first - 1
    part = course_of(tail_of(whole, first, _state_after(whole, first - 1)))
    assert [mark.entry.version for mark in part.marks] == list(range(first, 15))
    assert part.lane("state")[0].first == 0
    full = {(s.lane, s.owner, s.what, s.fact, s.last) for s in course_of(whole).stretches}
    assert {(s.lane, s.owner, s.what, s.fact, s.last) for s in part.stretches} <= full


def test_a_reply_from_before_is_told_with_what_is_known_of_it() -> None:
    """Its chat and whether it was under way stand in the state before; its capture does not."""
    whole = restarted()
    part = course_of(tail_of(whole, 14, _state_after(whole, 13)))
    told = {reply.reply: reply for reply in part.replies}
    chats = {reply.reply: reply.chat for reply in course_of(whole).replies}
    assert told and all(reply.chat == chats[name] for name, reply in told.items())


def test_a_reply_that_was_under_way_before_stays_so() -> None:
    """What nobody answers in the incident is under way at its end, too."""
    proven = st.IdentityObserved(at=at(2), controller="A", forms={"pn": "idn_1"})
    said = st.ReplySubmitted(at=at(3), source="router", reply="r", chat="chat_1")
    whole = incident_of(claimed(), opened(1), proven, said, fired(4, "retry"))
    [reply] = course_of(tail_of(whole, 5, _state_after(whole, 4))).replies
    assert (reply.outcome, reply.first, reply.last) == ("sending", 0, None)


def _state_after(bundle: Bundle, version: int) -> dict[str, object]:
    view = AccountView("main")
    for record in bundle.records[:version]:
        view.apply(record)
    plain: dict[str, object] = msgspec.to_builtins(view.machine)
    return plain


def test_a_clock_that_is_set_back_draws_nothing_backwards() -> None:
    """Instants are drawn in the order of the records, and entries keep their own times."""
    course = course_of(incident_of(claimed(), opened(50), closed(20)))
    assert [(mark.at - course.start) // NS for mark in course.marks] == [0, 50, 50]
    assert course.marks[-1].entry.at == at(20)
    assert all(stretch.end >= stretch.start for stretch in course.stretches)


def test_what_overlaps_stands_in_several_rows(course: Course) -> None:
    """In a row nothing overlaps, and no stretch is lost."""
    stretches = course.lane("timer")
    rows = rows_of(stretches)
    assert sorted(map(id, stretches)) == sorted(id(stretch) for row in rows for stretch in row)
    for row in rows:
        assert all(one.end <= two.start for one, two in pairwise(row))


def test_too_much_for_a_picture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees anything in a picture of a million records: the hint says how to cut."""
    monkeypatch.setattr(following, "RECORDS_MAX", 13)
    with pytest.raises(InputError, match="14 records") as caught:
        course_of(restarted())
    assert "incident export" in caught.value.hint


def _told(**content: object) -> NewRecord:
    stimulus = {"stimulus": "closed", "at": at(9), "controller": "A"}
    return NewRecord(
        bytes(16),
        at(9),
        "closed",
        None,
        None,
        encode({"stimulus": stimulus, "schema": 1} | content),
    )


@pytest.mark.parametrize(
    "content",
    [
        {"outcome": {"rule": "late", "changes": {"retry_at": "<b>"}}},
        {"outcome": {"rule": "late", "effects": [{"effect": "dial", "controller": 5}]}},
        {"outcome": {"rule": "late", "settled": {"r": {"outcome": "<b>"}}}},
        {"stimulus": {"stimulus": "closed", "at": at(9), "controller": ["A"]}},
    ],
)
def test_what_no_decision_made_is_refused(content: dict[str, object]) -> None:
    """A record whose values have other types than ours is no picture but an error, by position."""
    with pytest.raises(Corrupt, match="Record 1 holds no outcome"):
        course_of(bundle_of([_told(**content)]))


def test_what_is_kept_of_the_log_is_drawn() -> None:
    """An erasure and an archived stretch are records of no consequence, under their own names."""
    hashed = "0" * 64
    erased = st.SubjectErased(at=at(2), tokens=["idn_a"])
    archived = st.Archived(at=at(3), first=1, last=2, position=2, chain=hashed, bundle=hashed)
    marks = course_of(incident_of(claimed(), opened(1), erased, archived)).marks[2:]
    assert [mark.entry.rule for mark in marks] == ["subject_erased", "archived"]
    assert all(mark.idle for mark in marks)
