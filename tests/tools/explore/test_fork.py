"""What if: an edited incident in the closed loop, beside what happened."""

from typing import Any

import pytest
from msgspec.structs import replace

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import closing
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.errors import InputError
from linewarden.tools.explore.fork import Change, Fork, fork
from linewarden.tools.explore.telling import fork_told
from linewarden.tools.replay.replay import replay

from ..replay.logs import S, at, claimed, closed, fired, incident_of, opened
from ..replay.test_mutations import retried


def kinds(found: Fork) -> list[tuple[Any, ...]]:
    return [(one.kind, one.position, one.rule, one.rule_now) for one in found.records.divergences]


def way(found: Fork) -> list[str]:
    return [state for _, state in found.states.now]


def test_a_changed_field_is_decided_anew(bundle: Bundle) -> None:
    """Had the last close been a 428, there would have been a retry and no conflict."""
    found = fork(bundle, sets=["13.code=428"], run_on="1m")
    assert found.edits == ["13 closed: code 440 -> 428"]
    assert kinds(found)[0] == (
        "decision", 13, "close.replaced.conflict", "close.transient.retry",
    )  # fmt: skip
    assert way(found)[-3:] == ["connected", "reconnect-gap", "connecting"]
    assert found.states.then[-1][1] == "conflict"
    [retry] = found.timers
    assert (retry.what, retry.then, retry.now) == ("retry", None, at(83.6))
    told = fork_told(found, "night")
    assert "  retry: fires only now, 2023-11-14 22:14:43.600" in told


def test_where_nothing_comes_of_it_nothing_differs(bundle: Bundle) -> None:
    """A change that no decision looks at makes no difference, and neither does the clock alone."""
    found = fork(bundle, sets=["13.detail=conflict"])
    assert (kinds(found), found.timers, found.replies) == ([], [], [])
    assert fork_told(found, "night")[-1] == "nothing else differs: it would have been so"
    gap = incident_of(claimed(), opened(1), closed(2))
    for run_on in (None, "1h"):
        assert kinds(fork(gap, sets=["3.detail=lost"], run_on=run_on)) == []


def test_what_was_dropped_takes_along_what_it_caused(bundle: Bundle) -> None:
    """Without its submission a reply has no answer; all else is as it was."""
    found = fork(bundle, drops=["8"])
    assert found.edits == ["8 reply_submitted: dropped, with what it caused: 12 send_acked"]
    assert [one for one in kinds(found) if one[0] == "missing"] == [
        ("missing", 8, "reply.held", None),
        ("missing", 12, "reply.sent", None),
    ]
    assert [(one.what, one.then, one.now) for one in found.replies] == [("r2", "sent", None)]
    assert found.states.then == found.states.now


def test_timers_come_from_the_clock(bundle: Bundle) -> None:
    """Without the opening the dial's deadline passes, and the ladder goes on."""
    found = fork(bundle, drops=["v10", "13"], run_on="3m")
    fires = [(change.what, change.then, change.now) for change in found.timers]
    assert ("connect_deadline", None, at(132)) in fires
    assert [(one.what, one.then, one.now) for one in found.replies] == [("r2", "sent", "held")]
    assert "conflict" not in way(found)


def test_a_delay_moves_a_stimulus_with_what_it_caused(bundle: Bundle) -> None:
    """The close comes later, and so does its retry."""
    found = fork(bundle, delays=["7=+1500ms"])
    assert found.edits == ["7 closed: +1500ms, with what it caused: 9 timer_fired"]
    assert ("reply.held", "reply.sending") in [one[2:] for one in kinds(found)]
    assert found.states.now[2] == [at(71.5), "reconnect-gap"]
    earlier = fork(bundle, delays=["7=-5s"])
    assert earlier.states.now[2] == [at(65), "reconnect-gap"]


def test_a_timer_can_be_late_and_nothing_else() -> None:
    """A host that fires late is another host; a timer that can't fire or fires early is none."""
    bundle = incident_of(claimed(), opened(1), closed(2), fired(4, "retry"), opened(9))
    found = fork(bundle, delays=["4=+3s"])
    assert [(one.what, one.then, one.now) for one in found.timers] == [("retry", at(4), at(7))]
    assert found.states.now[-1] == [at(9), "connected"]
    overtaken = fork(bundle, delays=["4=6s"])
    assert ("opened.connected", "opened.reconnected") in [one[2:] for one in kinds(overtaken)]
    for edit in ({"drops": ["4"]}, {"sets": ["4.source=host"]}, {"delays": ["4=-1s"]}):
        with pytest.raises(InputError, match="timer"):
            fork(bundle, **edit)


def test_a_delay_past_the_end_lets_the_clock_go_on_in_both() -> None:
    """What was delayed beyond the last record is compared with what the clock would have done."""
    bundle = incident_of(claimed(), opened(1), closed(2), fired(4, "retry"), opened(9))
    found = fork(bundle, delays=["5=+2m"])
    assert ("connect_deadline", None, at(64)) in [
        (one.what, one.then, one.now) for one in found.timers
    ]
    [later] = [one for one in found.timers if one.note]
    assert later == Change("stability", at(69), at(189), "after the end: --run-on 1m")
    told = "  stability: 2023-11-14 22:14:29.000 -> 2023-11-14 22:16:29.000"
    assert f"{told} (after the end: --run-on 1m)" in fork_told(found, "night")
    whole = fork(bundle, delays=["5=+2m"], run_on="1m")
    assert Change("stability", None, at(189)) in whole.timers
    assert Change("stability", at(69), None, "not set for that instant") in whole.timers


def test_what_the_clock_would_still_do_is_told(bundle: Bundle) -> None:
    """A fork ends where the incident does: a timer that is set then is not gone."""
    found = fork(bundle, sets=["13.code=428"])
    assert Change("retry", None, at(83.6), "after the end: --run-on 1m") in found.timers
    told = fork_told(found, "night")
    assert "  retry: is set now, for 2023-11-14 22:14:43.600 (after the end: --run-on 1m)" in told


def test_the_same_timer_is_no_difference() -> None:
    """What sets a timer is dropped, and something else sets it for the same instant."""
    bundle = incident_of(
        claimed(),
        opened(1),
        closed(2),
        st.SocketClosed(at=at(2), controller="A", socket=1),
        fired(4, "retry"),
        opened(5),
    )
    found = fork(bundle, drops=["3"])
    assert found.edits == ["3 closed: dropped"]
    assert [one[:2] for one in kinds(found)] == [("missing", 3), ("decision", 4)]
    assert found.timers == []


def test_the_same_instant_is_the_same_timer_whichever_it_stood_for() -> None:
    """Dials that there are only now stand for recorded ones, but for none that happens as well."""
    bundle = incident_of(
        claimed(connect_deadline_s=20),
        opened(1),
        fired(61, "stability"),
        closed(62),
        fired(64, "retry"),
        opened(65),
        fired(125, "stability"),
        closed(200),
        fired(202, "retry"),
        opened(203),
    )
    found = fork(bundle, drops=["2"])
    instants = [(one.then, one.now) for one in found.timers if one.what == "retry"]
    assert instants == [(at(64), at(22)), (None, at(45.6))]
    assert ("decision", 9, "retry.dial", "retry.dial") in kinds(found)


def test_a_timer_that_is_gone_says_why() -> None:
    """What took it away is named: here the opening, while the host kept it waiting."""
    bundle = incident_of(claimed(), opened(1), closed(2), fired(4, "retry"), opened(9))
    gone = Change("retry", at(4), None, "position 5, opened.reconnected, took it away")
    assert gone in fork(bundle, delays=["4=6s"]).timers
    assert (
        Change("retry", at(4), None, "not set for that instant") in fork(bundle, drops=["3"]).timers
    )


def test_differences_stand_in_the_order_of_time() -> None:
    """What happens only now stands where it happens, also behind what was moved."""
    bundle = incident_of(
        claimed(),
        opened(1),
        closed(2),
        fired(4, "retry"),
        opened(9),
        st.KeepaliveTimeout(at=at(65), controller="A"),
    )
    found = fork(bundle, delays=["5=+60s"], run_on="3m")
    row = [one.now["at"] for one in found.records.divergences if one.kind == "extra"]
    assert len(row) > 2 and row == sorted(row)


def test_days_are_told_where_they_differ(bundle: Bundle) -> None:
    """A time of the clock stands alone only where all are of one day."""
    told = fork_told(fork(bundle, delays=["7=-1d"]), "night")
    assert "  7 closed: -1d, with what it caused: 9 timer_fired" in told
    assert told[-1].startswith(
        "  now   unclaimed 2023-11-13 22:14:30.000 > connecting 2023-11-14 22:13:20.000"
        " > connected 22:13:21.000"
    )


def test_another_policy_is_another_fork(bundle: Bundle) -> None:
    """What is inside a field can be changed too; several changes are of one fork."""
    found = fork(bundle, sets=["1.policy.initial_s=0.5", "v1.policy.stability_s=30"])
    assert found.edits == [
        "1 claimed: policy.initial_s none -> 0.5",
        "1 claimed: policy.stability_s none -> 30",
    ]
    assert ("stability", at(61), at(31)) in [(one.what, one.then, one.now) for one in found.timers]
    assert ("retry", at(72), at(70.5)) in [(one.what, one.then, one.now) for one in found.timers]


def test_code_that_differs_already_is_compared_with_itself(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What today's code decides otherwise without any change is said, and no part of the fork."""
    monkeypatch.setattr(closing, "classify", retried)
    assert len(replay(bundle, closed=True).divergences) == 1
    found = fork(bundle, sets=["13.code=428"])
    assert found.already == 1
    assert kinds(found) == []
    assert any("1 record otherwise" in row for row in fork_told(found, "night"))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing to change"),
    ({"sets": ["13"]}, "POS.field=value"),
    ({"sets": ["13.code"]}, "POS.field=value"),
    ({"sets": ["x.code=1"]}, "POS.field=value"),
    ({"sets": ["99.code=1"]}, "no record at position 99"),
    ({"sets": ["v99.code=1"]}, "no record at version 99"),
    ({"sets": ["13.cod=1"]}, "no field cod"),
    ({"sets": ["13.__class__=1"]}, "13 closed has no field __class__"),
    ({"sets": ["13.cod=null"]}, "no field cod"),
    ({"sets": ["13.tag=null"]}, "tag has that value already"),
    ({"sets": ["13.code=440"]}, "code has that value already"),
    ({"sets": ["13.code='440'".replace("'", '"')]}, "these values already: code"),
    ({"sets": ["13.times=2"]}, "times is no field to set"),
    ({"sets": ["13.code=1", "13.code=2"]}, "code of 13 closed is set twice"),
    ({"sets": ["1.policy.max_s=9", 'v1.policy={"max_s":8}']}, "policy of 1 claimed is set twice"),
    ({"drops": ["13"], "sets": ["13.code=1"]}, "13 closed is dropped or moved already"),
    ({"drops": ["13"], "delays": ["13=1s"]}, "13 closed is dropped or moved already"),
    ({"drops": ["13", "v13"]}, "13 closed is dropped or moved already"),
    ({"drops": ["12", "8"]}, "12 send_acked is dropped or moved already"),
    ({"drops": ["8"], "sets": ["12.detail=x"]}, "12 send_acked is dropped"),
    ({"delays": ["12=1s", "8=1s"]}, "12 send_acked is dropped or moved"),
    ({"delays": ["13=0s"]}, "moved by nothing"),
    ({"sets": ["13.at=1"]}, "no field to set"),
    ({"sets": ["13.code.x=1"]}, "nothing inside"),
    ({"sets": ["13.controller=null"]}, "names no controller"),
    ({"sets": ["1.policy.max_s=-1"]}, "policy"),
    ({"sets": ["13.code=[[[[1]]]]"]}, "code"),
    ({"drops": ["x"]}, "no place"),
    ({"drops": [""]}, "no place"),
    ({"delays": ["13"]}, "POS=SPAN"),
    ({"delays": ["13=soon"]}, "no span"),
    ({"delays": [f"13=+{10**9 - 1}d"]}, "13 closed is moved by more than 31 days"),
    ({"delays": ["1=-32d"]}, "1 claimed is moved by more than 31 days"),
    ({"delays": ["13=1s", "13=1s"]}, "dropped or moved already"),
    ({"sets": ["13.code=1"], "run_on": "-1s"}, "0 s to 31 days"),
    ({"sets": ["13.code=1"], "run_on": "32d"}, "0 s to 31 days"),
    ({"sets": ["13.code=1"], "run_on": ""}, "no span of time"),
]


def test_before_all_time_is_refused() -> None:
    """An instant is counted from 1970 on, and a log may begin just after."""
    early = incident_of(replace(claimed(), at=S))
    with pytest.raises(InputError, match="1 claimed would be before 1970"):
        fork(early, delays=["1=-2s"])


@pytest.mark.parametrize(("edit", "message"), WRONG, ids=range(len(WRONG)))
def test_an_edit_that_means_nothing_is_refused(
    bundle: Bundle, edit: dict[str, Any], message: str
) -> None:
    """What is wrong with it is told with a hint, and nothing is run."""
    with pytest.raises(InputError, match=message) as caught:
        fork(bundle, **edit)
    assert caught.value.hint


def test_a_year_of_dialing_ends(bundle: Bundle) -> None:
    """A clock that goes on for long fires every probe of it, and the telling stays short."""
    found = fork(bundle, sets=["13.code=428"], run_on="7d")
    assert len(found.timers) > 1_000
    assert found.states.now[-1][0] > at(0) + 6 * 86_400 * S
    assert len(fork_told(found, "night")) < 80
