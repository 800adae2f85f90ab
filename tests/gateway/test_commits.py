"""A commit that fails or loses a race: nothing is done, nothing that was seen is lost."""

from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import NewRecord, encode
from linewarden.eventstore.errors import StoreUnavailable, WrongExpectedVersion
from linewarden.eventstore.verify import verify
from linewarden.gateway import ticket
from linewarden.gateway.receipt import Decided
from linewarden.gateway.service import TRIES_MAX
from linewarden.gateway.ticket import BacklogFull
from linewarden.projections.projections import Projections
from linewarden.statemachine.lifecycle import State
from linewarden.statemachine.outcome import Dial, Send

from .scripted import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    with Bench(tmp_path / "log.db") as made:
        made.claim()
        made.up()
        yield made


def fill(bench: Bench) -> int:
    """Let the disk be full; returns how many records were written before it was."""
    bench.store.limit_size(bench.path.stat().st_size)
    for _ in range(300):
        bench.observe("activity", controller="A")
        bench.service.flush()
        if bench.service.behind:
            return len(bench.records())
    raise AssertionError("the file grew beyond its limit")


def foreign(bench: Bench, **changes: Any) -> None:
    """Another writer's record, straight into the store behind the service's back."""
    at = bench.service.now()
    fields = {"stimulus": "activity", "at": at, "controller": "A"}
    body = {"schema": 1, "stimulus": fields, "outcome": {"rule": "activity.proof"}}
    if changes:
        body["outcome"]["changes"] = changes
    record = NewRecord(
        bench.service.dice.record_id(at), at, "activity", "connected", None, encode(body)
    )
    bench.store.append("main", [record])


def test_a_full_disk_has_no_effect(bench: Bench) -> None:
    """What could not be committed is not acted on, and the head is what the log holds."""
    stored = fill(bench)
    bench.effects.clear()
    bench.observe("closed", controller="A", socket=1, source="baileys", code=440)
    bench.service.flush()
    assert len(bench.records()) == stored
    assert not bench.effects
    rebuilt = Projections(bench.store).rebuild("main").machine
    assert bench.service.account("main") == rebuilt
    assert rebuilt.state is State.CONNECTED


def test_what_was_seen_is_recorded_when_there_is_room(bench: Bench) -> None:
    """Observations wait for a store that is full and are recorded in their order, once."""
    stored = fill(bench)
    answers: list[Any] = []
    bench.observe("keepalive_timeout", answers, controller="A")
    bench.observe("closed", answers, controller="A", socket=1, source="baileys", code=440)
    bench.service.flush()
    assert bench.service.behind == 3
    assert not answers
    bench.service.retry_backlog()
    bench.service.flush()
    assert bench.service.behind == 3
    bench.store.limit_size(None)
    bench.service.retry_backlog()
    bench.service.flush()
    assert bench.service.behind == 0
    later = bench.records()[stored:]
    assert [record.type for record in later] == ["activity", "keepalive_timeout", "closed"]
    assert [type(answer) for answer in answers] == [Decided, Decided]
    assert bench.service.account("main").state is State.CONFLICT
    assert not bench.service.unflushed
    assert verify(bench.store).ok


def test_what_comes_meanwhile_waits_its_turn(bench: Bench) -> None:
    """An observation made while others wait is recorded after them, not before."""
    fill(bench)
    bench.store.limit_size(None)
    bench.observe("keepalive_timeout", controller="A")
    bench.service.flush()
    assert bench.service.behind == 2
    bench.service.retry_backlog()
    bench.service.flush()
    types = [record.type for record in bench.records()]
    assert types[-2:] == ["activity", "keepalive_timeout"]


@pytest.mark.parametrize(
    ("stimulus", "fields"),
    [
        ("claimed", {"controller": "B", "holder": "main"}),
        ("reply_submitted", {"reply": "r1", "chat": "15550100009@s.whatsapp.net"}),
        ("restart_requested", {"by": "operator"}),
    ],
)
def test_a_request_is_told_of_a_full_disk(
    bench: Bench, stimulus: str, fields: dict[str, Any]
) -> None:
    """A request that could not be recorded gets the typed error, and is not made later."""
    stored = fill(bench)
    before = bench.service.account("main")
    bench.effects.clear()
    answers: list[Any] = []
    bench.observe(stimulus, answers, **fields)
    bench.service.flush()
    assert isinstance(answers[0], StoreUnavailable)
    assert answers[0].hint
    assert bench.service.account("main") == before
    bench.store.limit_size(None)
    bench.service.retry_backlog()
    bench.service.flush()
    assert [record.type for record in bench.records()[stored:]] == ["activity"]
    assert not bench.effects


def test_the_backlog_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound an observation is refused with an error of its own, never dropped mute."""
    monkeypatch.setattr(ticket, "BACKLOG_MAX", 2)
    fill(bench)
    answers: list[Any] = []
    bench.observe("keepalive_timeout", answers, controller="A")
    bench.observe("keepalive_restored", answers, controller="A")
    assert [type(answer) for answer in answers] == [BacklogFull]
    assert bench.service.behind == 2


def test_a_service_goes_on_after_a_full_disk(bench: Bench) -> None:
    """Timers and replies work again without a restart once there is room."""
    fill(bench)
    bench.store.limit_size(None)
    bench.service.retry_backlog()
    bench.service.flush()
    bench.submit("r1")
    assert [effect.reply for effect in bench.of_kind(Send)] == ["r1"]
    bench.feed("closed", controller="A", socket=1, source="baileys", code=408)
    bench.go(2)
    assert bench.of_kind(Dial)[-1] == Dial("A", 2)


def test_a_timer_is_fired_again_after_a_full_disk(bench: Bench) -> None:
    """A timer that came due on a full disk fires when there is room: none is lost."""
    bench.feed("closed", controller="A", socket=1, source="baileys", code=408)
    bench.store.limit_size(bench.path.stat().st_size)
    while not bench.service.behind:
        bench.observe("activity", controller="A")
        bench.service.flush()
    bench.effects.clear()
    bench.clock.advance_to(bench.service.account("main").retry_at or 0)
    bench.service.fire_due()
    bench.service.flush()
    assert not bench.effects
    bench.store.limit_size(None)
    bench.service.retry_backlog()
    bench.service.flush()
    bench.go(0)
    assert bench.of_kind(Dial) == [Dial("A", 2)]


def test_a_lost_race_is_decided_anew(bench: Bench) -> None:
    """Another writer was faster: the service catches up and decides on what it finds."""
    version = bench.store.head("main").version
    foreign(bench)
    decided = bench.submit("r1")
    assert decided.record.version == version + 2
    assert decided.outcome.rule == "reply.sending"
    assert len(bench.of_kind(Send)) == 1
    assert verify(bench.store).ok
    view = bench.service.projections.account("main")
    assert view == Projections(bench.store).rebuild("main")


def test_a_lost_race_is_decided_on_the_new_head(bench: Bench) -> None:
    """What the faster writer changed is what the decision stands on, not what was known before."""
    foreign(bench, state="reconnect_gap", identity=None, socket_state="closed")
    assert bench.submit("r1", captured_on="A").outcome.rule == "reply.held"
    assert not bench.of_kind(Send)


def test_a_queue_that_lost_keeps_its_order(bench: Bench) -> None:
    """Several decisions queued on a head that is gone are all made anew, in their order."""
    foreign(bench)
    answers: list[Any] = []
    bench.observe("keepalive_timeout", answers, controller="A")
    bench.observe("reply_submitted", answers, reply="r1", chat="15550100009@s.whatsapp.net")
    bench.observe("closed", answers, controller="A", socket=1, source="baileys", code=440)
    bench.service.flush()
    assert [record.type for record in bench.records()[-3:]] == [
        *("keepalive_timeout", "reply_submitted", "closed"),
    ]
    assert [answer.outcome.rule for answer in answers] == [
        *("keepalive.degraded", "reply.sending", "close.replaced.conflict"),
    ]
    assert bench.settled == {"r1": "uncertain"}
    assert not bench.service.unflushed


def test_whoever_always_loses_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many lost races the error is given back, and the head is that of the log."""
    flush = bench.store.flush
    races = []

    def lose() -> None:
        if len(races) <= TRIES_MAX:
            races.append(1)
            foreign(bench)
        flush()

    monkeypatch.setattr(bench.store, "flush", lose)
    # An append of the other writer commits the queue before it, so it must come first in it.
    monkeypatch.setattr(bench.store, "append", append_first(bench))
    answers: list[Any] = []
    bench.observe("keepalive_timeout", answers, controller="A")
    bench.service.flush()
    assert isinstance(answers[0], WrongExpectedVersion)
    assert not bench.service.unflushed
    assert bench.service.account("main") == Projections(bench.store).rebuild("main").machine


def append_first(bench: Bench) -> Any:
    """Appends ahead of everything that the service has queued."""
    append = bench.store.append

    def first(stream: str, records: list[NewRecord]) -> Any:
        waiting = list(bench.store._queue)
        bench.store._queue.clear()
        written = append(stream, records)
        bench.store._queue.extend(waiting)
        return written

    return first
