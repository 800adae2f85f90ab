"""The closed loop: timers by the virtual clock, and what counts as a difference in timing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import policy
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.decision import HANDLERS
from linewarden.statemachine.draft import Draft
from linewarden.statemachine.errors import LinewardenError
from linewarden.statemachine.policy import span
from linewarden.tools.replay import replay as replaying
from linewarden.tools.replay.reading import stimuli_of
from linewarden.tools.replay.replay import replay, run_closed

from .logs import S, at, claimed, closed, fired, incident_of, opened

delay = policy._delay


def kinds(bundle: Bundle) -> list[tuple[Any, ...]]:
    """What a closed loop finds: kind, version, rules and field."""
    return [
        (one.kind, one.version, one.rule, one.rule_now, one.field)
        for one in replay(bundle, closed=True).divergences
    ]


def test_a_late_timer_is_no_divergence() -> None:
    """A host that fires its timers late is taken as it was, and all that followed from it."""
    bundle = incident_of(
        claimed(), opened(1), closed(2), fired(4.003, "retry"), fired(64.017, "connect_deadline")
    )
    assert kinds(bundle) == []


def test_a_stimulus_that_outran_a_timer_is_no_divergence() -> None:
    """A dial that opened just before its deadline's firing was handled keeps its place."""
    bundle = incident_of(claimed(), opened(60.001), closed(61), fired(63.001, "retry"))
    assert kinds(bundle) == []


def test_a_timer_that_was_due_and_had_not_fired_at_the_end_stays_so() -> None:
    """An incident may be cut out just before a late timer fired."""
    bundle = incident_of(claimed(), opened(1), closed(2), closed(4.5))
    assert kinds(bundle) == []


def test_a_timer_recorded_behind_a_later_stimulus_keeps_its_place() -> None:
    """Stimuli are stamped where they were seen, so the log may hold an instant out of order."""
    bundle = incident_of(claimed(), opened(1), closed(2), opened(4.2), fired(4.1, "retry"))
    assert kinds(bundle) == []


def test_a_stale_timer_is_fed_as_it_was() -> None:
    """A timer that fired without being set was no doing of the clock, so it is not dropped."""
    bundle = incident_of(claimed(), opened(1), fired(2, "retry"), fired(61, "stability"))
    assert kinds(bundle) == []


def test_the_jitter_of_a_firing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dice that were drawn for the k-th firing of a timer are those of its k-th firing now."""
    deadline = st.TimerFired(
        at=at(60), controller="A", source="timer", timer="connect_deadline", jitter=200_000
    )
    bundle = incident_of(claimed(), deadline, fired(62.4, "retry"))
    assert kinds(bundle) == []
    with monkeypatch.context() as patched:
        patched.setattr(policy.DEFAULT.__class__, "delay", lambda *_: span(3))
        steps = list(run_closed(stimuli_of(bundle), bundle.before, until=at(70)))
    assert [step.stimulus.at for step in steps] == [at(0), at(60), at(63.6)]
    assert [step.version for step in steps] == [1, 2, 3]


def test_a_changed_delay_is_a_difference_in_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same decisions at other instants are `timing`: where it was set, and where it fired."""
    bundle = incident_of(
        claimed(), opened(1), closed(2), fired(4, "retry"), closed(10), fired(13.6, "retry")
    )
    monkeypatch.setattr(policy, "_delay", lambda *rung: delay(*rung) + S)
    assert kinds(bundle) == [
        ("timing", 3, "close.transient.retry", "close.transient.retry", "changes.retry_at"),
        ("timing", 4, "retry.dial", "retry.dial", "changes.connect_deadline_at"),
        ("timing", 5, "close.transient.retry", "close.transient.retry", "changes.retry_at"),
        ("missing", 6, "retry.dial", None, "stimulus"),
    ]


@contextmanager
def opening_without_stability() -> Iterator[None]:
    """Code that forgets the stability timer when a socket opens."""
    decide = HANDLERS[st.Opened]

    def forgetful(d: Draft, stimulus: Any) -> None:
        decide(d, stimulus)
        d.a.stability_at = None

    HANDLERS[st.Opened] = forgetful
    try:
        yield
    finally:
        HANDLERS[st.Opened] = decide


def test_a_timer_that_is_set_no_more_is_missing() -> None:
    """That today's code leaves a timer unset is a decision, and its firing is missing."""
    bundle = incident_of(claimed(), opened(1), fired(61, "stability"), closed(70))
    with opening_without_stability():
        found = kinds(bundle)
    assert found == [
        ("decision", 2, "opened.connected", "opened.connected", "changes.stability_at"),
        ("missing", 3, "stability.reset", None, "stimulus"),
    ]


def test_a_timer_that_the_log_lacks_is_extra() -> None:
    """A timer that fires only now has no record: it is told by its rule and its instant."""
    with opening_without_stability():
        bundle = incident_of(claimed(), opened(1), closed(90))
    found = replay(bundle, closed=True)
    assert kinds(bundle) == [
        ("decision", 2, "opened.connected", "opened.connected", "changes.stability_at"),
        ("extra", None, None, "stability.reset", "stimulus"),
    ]
    assert found.divergences[1].now == {"stimulus": "timer_fired", "at": at(61)}
    assert found.downstream == 1


def test_a_timer_whose_decision_fails_fires_once() -> None:
    """Code that raises on a timer leaves it set; the loop goes on, as a service would."""
    bundle = incident_of(claimed(), fired(60, "connect_deadline"), closed(80))
    decide = HANDLERS[st.TimerFired]
    HANDLERS[st.TimerFired] = lambda *_: 1 / 0
    try:
        found = kinds(bundle)
    finally:
        HANDLERS[st.TimerFired] = decide
    assert found[0] == (
        "decision",
        2,
        "connect_deadline.retry",
        "(raised ZeroDivisionError)",
        "rule",
    )


def test_timers_of_one_instant_fire_by_name_and_reply() -> None:
    """What is due at once fires in the order of (due, name, reply), the same in every run."""
    replies = [
        st.ReplySubmitted(at=at(1), source="router", reply=name, chat="chat_a", deadline_s=59)
        for name in ("r2", "r1")
    ]
    bundle = incident_of(claimed(), *replies)
    stimuli = stimuli_of(bundle)
    fires = [step.stimulus for step in run_closed(stimuli, bundle.before, until=at(60))][3:]
    assert [(one.timer, one.reply) for one in fires if isinstance(one, st.TimerFired)] == [
        ("connect_deadline", None),
        ("reply_deadline", "r1"),
        ("reply_deadline", "r2"),
    ]


def test_code_that_sets_a_timer_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed loop ends with a clear error where code under trial never comes to rest."""
    monkeypatch.setattr(replaying, "FIRINGS_MAX", 50)
    numbers = {"connect_deadline_s": "0.001", "initial_s": "0.001", "max_s": "0.001"}
    bundle = incident_of(claimed(fast_attempts=1000, **numbers))
    stimuli = stimuli_of(bundle)
    with pytest.raises(LinewardenError, match="50 timers"):
        list(run_closed(stimuli, bundle.before, until=at(3600)))
