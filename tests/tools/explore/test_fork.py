"""What if: an edited incident in the closed loop, beside what happened."""

from typing import Any

import pytest

from linewarden.eventstore.bundle import Bundle
from linewarden.statemachine import closing
from linewarden.statemachine.errors import InputError
from linewarden.tools.explore.fork import Fork, fork
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


def test_without_a_change_nothing_differs(bundle: Bundle) -> None:
    """A change to what was so already is none: the clock alone makes no difference."""
    found = fork(bundle, sets=["13.code=440"])
    assert (kinds(found), found.timers, found.replies) == ([], [], [])
    assert fork_told(found, "night")[-1] == "nothing else differs: it would have been so"
    gap = incident_of(claimed(), opened(1), closed(2))
    for run_on in (None, "1h"):
        assert kinds(fork(gap, sets=["3.code=428"], run_on=run_on)) == []


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
    assert found.edits == ["7 closed: +1.5 s, with what it caused: 9 timer_fired"]
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
    assert ("stability", at(69), None) in [(one.what, one.then, one.now) for one in found.timers]


def test_another_policy_is_another_fork(bundle: Bundle) -> None:
    """What is inside a field can be changed too; several changes are of one fork."""
    found = fork(bundle, sets=["1.policy.initial_s=0.5", "v1.policy.stability_s=30"])
    assert found.edits == [
        "1 claimed: policy.initial_s null -> 0.5",
        "1 claimed: policy.stability_s null -> 30",
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
    assert any("1 records otherwise" in row for row in fork_told(found, "night"))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "nothing to change"),
    ({"sets": ["13"]}, "POS.field=value"),
    ({"sets": ["13.code"]}, "POS.field=value"),
    ({"sets": ["x.code=1"]}, "POS.field=value"),
    ({"sets": ["99.code=1"]}, "no record at position 99"),
    ({"sets": ["v99.code=1"]}, "no record at version 99"),
    ({"sets": ["13.cod=1"]}, "closed"),
    ({"sets": ["13.__class__=1"]}, "unknown field"),
    ({"sets": ["13.at=1"]}, "no field to set"),
    ({"sets": ["13.code.x=1"]}, "nothing inside"),
    ({"sets": ["13.controller=null"]}, "names no controller"),
    ({"sets": ["1.policy.max_s=-1"]}, "policy"),
    ({"sets": ["13.code=[[[[1]]]]"]}, "code"),
    ({"drops": ["x"]}, "no place"),
    ({"drops": [""]}, "no place"),
    ({"delays": ["13"]}, "POS=SPAN"),
    ({"delays": ["13=soon"]}, "no span"),
    ({"delays": [f"13=+{10**9 - 1}d"]}, "at must be"),
    ({"delays": ["1=-999999d"]}, "at must be"),
    ({"delays": ["13=1s", "13=1s"]}, "dropped or moved already"),
    ({"sets": ["13.code=1"], "run_on": "-1s"}, "0 s to 366 days"),
    ({"sets": ["13.code=1"], "run_on": "400d"}, "0 s to 366 days"),
]


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
