"""The service: observe, decide, append, evolve, and only then act; timers and their causes."""

import contextlib
from pathlib import Path

import pytest

from linewarden.eventstore import decode
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.receipt import Decided
from linewarden.projections.projections import Projections
from linewarden.statemachine.errors import InputError
from linewarden.statemachine.lifecycle import State
from linewarden.statemachine.outcome import Dial, Effect, Notify, Send
from linewarden.statemachine.policy import NS

from .scripted import ANNA, BERT, CHAT, Bench, content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_no_effect_before_its_record_is_committed(path: Path) -> None:
    """Whoever carries out an effect finds its record through a connection of another reader."""
    seen: list[tuple[str, bool]] = []

    def look(_account: str, effect: Effect, decided: Decided) -> None:
        with contextlib.closing(SQLiteReader.open(path)) as reader:
            stored = reader.get(decided.record.id)
        named = stored is not None and type(effect).__name__.lower() in (
            one["effect"].replace("_", "") for one in decode(stored.body)["outcome"]["effects"]
        )
        seen.append((type(effect).__name__, named))

    with Bench(path) as bench:
        bench.on_effect = look
        bench.claim()
        bench.up()
        bench.submit("r1")
        bench.feed("logged_out", controller="A", source="whatsmeow")
    assert {name for name, _ in seen} >= {"Dial", "Send", "Notify"}
    assert all(stored for _, stored in seen)


def test_nothing_is_asked_for_until_the_flush(path: Path) -> None:
    """A decision that is queued has no effect, and the flush brings both record and effect."""
    with Bench(path) as bench:
        bench.observe("claimed", controller="A", holder="main")
        assert bench.service.unflushed
        assert not bench.effects
        assert not bench.records()
        bench.service.flush()
        assert bench.effects == [Dial("A", 1)]
        assert not bench.service.unflushed


def test_an_effect_may_observe_at_once(path: Path) -> None:
    """What an effect observes while it is carried out is decided after it and in order."""
    with Bench(path) as bench:
        bench.on_effect = lambda _account, effect, _decided: (
            bench.observe("opened", controller="A") if isinstance(effect, Dial) else None
        )
        bench.claim()
        bench.service.flush()
        assert [record.type for record in bench.records()] == ["claimed", "opened"]


def test_a_timer_names_the_record_that_set_it(path: Path) -> None:
    """A fired timer's record has the setting record as its cause, and the root as correlation."""
    with Bench(path) as bench:
        bench.claim()
        bench.feed("dial_failed", controller="A", socket=1)
        bench.go(2)
        bench.go(60)
        claimed, failed, retry, deadline, *_ = bench.records()
        assert retry.type == deadline.type == "timer_fired"
        assert "causation" not in content(claimed)
        assert "causation" not in content(failed)
        assert (content(retry)["causation"], content(retry)["correlation"]) == (2, 2)
        assert (content(deadline)["causation"], content(deadline)["correlation"]) == (3, 2)


def test_an_answer_names_the_record_that_sent(path: Path) -> None:
    """The acknowledgement of a send has the record with the send effect as its cause."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        sent = bench.submit("r1")
        fields = {"at": bench.service.now(), "stimulus": "send_acked", "reply": "r1"}
        version = sent.record.version
        bench.service.observe_answer("main", {**fields, "controller": "A"}, (version, version))
        bench.service.flush()
        acked = content(bench.records()[-1])
        assert (acked["causation"], acked["correlation"]) == (version, version)
        assert bench.settled == {"r1": "sent"}


def test_a_record_is_complete(path: Path) -> None:
    """A record holds build, schema, epoch, stimulus and outcome, and tokens instead of forms."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        last = content(bench.records()[-1])
        assert set(last) == {"build", "schema", "epoch", "stimulus", "outcome", "commitments"}
        token = last["stimulus"]["forms"]["pn"]
        assert token in last["commitments"]
        assert bench.store.reveal(token) == ANNA["pn"]
        assert bench.records()[-1].state == "connected"


def test_what_a_crash_left_is_taken_up(path: Path) -> None:
    """A new service on the log of a dead one records the start and dials what was connected."""
    clock = VirtualClock()
    with Bench(path, clock=clock) as bench:
        bench.claim()
        bench.up()
    with Bench(path, clock=clock, seed=2) as bench:
        assert bench.service.start() == 1
        bench.service.flush()
        bench.go(0)
        assert bench.of_kind(Dial) == [Dial("A", 2)]


def test_a_timer_left_by_a_crash_fires_with_what_remained(path: Path) -> None:
    """A retry that a dead service had set comes due at its own instant in the next one."""
    clock = VirtualClock()
    with Bench(path, clock=clock, policy={"initial_s": 20}) as bench:
        bench.claim()
        bench.feed("dial_failed", controller="A", socket=1)
        due = bench.service.account("main").retry_at
        bench.go(5)
    with Bench(path, clock=clock, seed=2, policy={"initial_s": 20}) as bench:
        bench.service.start()
        bench.service.flush()
        assert bench.service.next_due() == due == clock.now() + 15 * NS
        bench.go(15)
        assert bench.of_kind(Dial) == [Dial("A", 2)]


def test_another_holder_is_left_alone(path: Path) -> None:
    """A service neither starts, stops nor fires timers for the controllers of another holder."""
    clock = VirtualClock()
    with Bench(path, clock=clock, holder="host-1") as bench:
        bench.claim(holder="host-1")
        bench.feed("dial_failed", controller="A", socket=1)
    with Bench(path, clock=clock, holder="host-2", seed=2) as bench:
        assert bench.service.start() == 0
        bench.go(4000)
        bench.service.stop()
        assert len(bench.records()) == 2
        assert not bench.effects


@pytest.mark.parametrize("what", ["retry", "hold", "gap_notice"])
def test_a_claim_takes_over_the_timers_of_a_dead_holder(path: Path, what: str) -> None:
    """What the account waited for under a dead holder is waited for by the one that claims it."""
    clock = VirtualClock()
    policy = {"initial_s": 30, "gap_notice_s": 40}
    with Bench(path, clock=clock, holder="host-1", policy=policy) as bench:
        bench.claim(holder="host-1")
        bench.up()
        code = 402 if what == "hold" else 408
        bench.feed("closed", controller="A", socket=1, source="baileys", code=code)
    with Bench(path, clock=clock, holder="host-2", seed=2, policy=policy) as bench:
        bench.service.start()
        bench.service.next_due()
        bench.claim("B", holder="host-2")
        bench.go(3600)
        if what == "gap_notice":
            assert Notify("B", "gap") in bench.effects
        else:
            assert bench.of_kind(Dial)[0] == Dial("B", 1)


def test_a_stopped_service_rests(path: Path) -> None:
    """A stop closes the socket, expires held replies, and leaves no timer behind."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        bench.feed("closed", controller="A", socket=1, code=408)
        bench.submit("r1", captured_on="A")
        bench.service.stop()
        assert bench.settled == {"r1": "expired"}
        assert bench.service.next_due() is None
        assert bench.service.account("main").state is State.RECONNECT_GAP


def test_a_log_from_a_clock_that_was_ahead(path: Path) -> None:
    """Where the log is ahead of the clock, time goes on from the log, and timers still fire."""
    with Bench(path, clock=VirtualClock(2_000_000_000 * NS)) as bench:
        bench.claim()
        bench.feed("dial_failed", controller="A", socket=1)
        last = bench.records()[-1].at
    with Bench(path, clock=VirtualClock(1_900_000_000 * NS), seed=2) as bench:
        bench.service.start()
        bench.service.flush()
        assert bench.service.now() >= last
        ahead = bench.service.now() - bench.clock.now()
        bench.clock.advance_to(bench.service.account("main").retry_at - ahead)
        bench.service.fire_due()
        bench.service.flush()
        assert bench.of_kind(Dial) == [Dial("A", 2)]
        assert [record.at for record in bench.records()] == sorted(
            record.at for record in bench.records()
        )


def test_two_accounts_go_their_own_ways(path: Path) -> None:
    """What happens on one account leaves the other's stream, state and timers as they were."""
    with Bench(path) as bench:
        for account, forms in (("one", ANNA), ("two", BERT)):
            bench.claim(f"c-{account}", account)
            bench.up(f"c-{account}", account, forms)
        before, head = bench.service.account("two"), bench.store.head("two")
        bench.feed("replaced", "one", controller="c-one")
        bench.go(30)
        assert bench.service.account("one").state is State.CONFLICT
        assert bench.service.account("two") == before
        assert bench.store.head("two") == head
        live = bench.service.projections.live("two")
        assert live is not None and live.controller == "c-two"
        assert bench.service.projections.live("one") is None


def test_the_view_is_that_of_a_rebuild(path: Path) -> None:
    """The live projections of the service equal a rebuild from the log after every record."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        bench.submit("r1", captured_on="A")
        bench.feed("send_acked", controller="A", reply="r1")
        bench.feed("closed", controller="A", socket=1, code=503)
        bench.go(100)
        kept = bench.service.projections.account("main")
        assert kept == Projections(bench.store).rebuild("main")
        assert kept is not None and kept.machine == bench.service.account("main")


def test_a_reply_of_the_same_id_is_the_same_reply(path: Path) -> None:
    """A second submission of an id is recorded as a repeat and writes nothing, also when done."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        bench.submit("r1")
        assert bench.submit("r1").outcome.rule == "reply.repeated"
        bench.feed("send_acked", controller="A", reply="r1")
        again = bench.submit("r1")
        assert again.outcome.rule == "reply.repeated"
        assert content(again.record)["stimulus"]["earlier"] == 4
        assert len(bench.of_kind(Send)) == 1


def test_a_word_about_an_unknown_reply_is_no_submission(path: Path) -> None:
    """A reply is routed although its id was cancelled or answered before it was submitted."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        bench.feed("reply_cancelled", reply="r1")
        bench.feed("send_acked", reply="r2")
        assert bench.submit("r1").outcome.rule == "reply.sending"
        assert bench.submit("r2", chat="15550100008@s.whatsapp.net").outcome.rule == "reply.sending"


def test_a_chat_that_is_no_chat_is_refused_before_it_is_recorded(path: Path) -> None:
    """An empty or endless chat is the caller's fault, and no record tells of it."""
    with Bench(path) as bench:
        bench.claim()
        for chat in ("", " ", "x" * 201):
            with pytest.raises(InputError) as caught:
                bench.submit("r1", chat=chat)
            assert caught.value.hint
        assert len(bench.records()) == 1


def test_devices_of_a_chat_are_one_chat(path: Path) -> None:
    """Two devices of one chat share its token, so that their replies keep their order."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        bench.submit("r1", chat=CHAT)
        assert bench.submit("r2", chat=CHAT.replace("@", ":7@")).outcome.rule == "reply.held"
