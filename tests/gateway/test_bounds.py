"""Bounds: a thousand held replies wake on one open, and no house is fuller than its bound."""

from collections import Counter
from pathlib import Path

from linewarden.eventstore import decode
from linewarden.gateway.clock import VirtualClock

from .scripted import ANNA, CHAT, WAIT_S, Bench, Scripted, bring_up, connect, drop, opened

CHATS = [f"155501{number:05}@s.whatsapp.net" for number in range(1_000)]


def test_a_thousand_held_replies_wake_in_one_record(tmp_path: Path) -> None:
    """One open wakes a thousand held replies in one record, and each is written once."""
    driver = Scripted()
    policy = {"held_max_account": 1_000, "held_max_total": 1_000}
    with opened(tmp_path / "log.db", driver, policy=policy) as warden:
        bring_up(warden)
        drop(warden)
        handles = [
            warden.router.reply("main", chat, f"message {number}", id=f"r{number}")
            for number, chat in enumerate(CHATS)
        ]
        connect(warden)
        results = Counter(handle.result(WAIT_S).outcome for handle in handles)
        assert results == {"sent": 1_000}
        sends = Counter(
            sum(effect["effect"] == "send" for effect in outcome.get("effects", ()))
            for record in warden.projections.reader.read_stream("main")
            for outcome in [decode(record.body)["outcome"]]
        )
        assert sends[1_000] == 1
        assert set(sends) == {0, 1_000}
        assert warden.router.pending == 0
    written = Counter(outgoing.reply for outgoing in driver.written)
    assert written == {f"r{number}": 1 for number in range(1_000)}
    assert {outgoing.reply: outgoing.chat for outgoing in driver.written} == {
        f"r{number}": chat for number, chat in enumerate(CHATS)
    }


def test_an_account_holds_sixty_four(tmp_path: Path) -> None:
    """The 65th held reply of an account is refused as overloaded, and cancelling frees a place."""
    with Bench(tmp_path / "log.db") as bench:
        bench.claim()
        rules = [bench.submit(f"r{number}").outcome.rule for number in range(65)]
        assert rules == ["reply.held"] * 64 + ["reply.refused"]
        bench.feed("reply_cancelled", reply="r7")
        assert bench.submit("r65").outcome.rule == "reply.held"
        assert bench.submit("r66").outcome.settled["r66"].reason == "overloaded"
        assert Counter(bench.settled.values()) == {"refused": 2, "cancelled": 1}


def test_all_accounts_hold_a_thousand_and_twenty_four(tmp_path: Path) -> None:
    """1,024 held replies of all accounts together is the bound, and one outcome frees a place."""
    with Bench(tmp_path / "log.db") as bench:
        for number in range(17):
            bench.claim(f"c{number}", f"line-{number}")
        for number in range(1_024):
            _submit(bench, number)
        bench.service.flush()
        assert not bench.settled
        assert (
            bench.feed("reply_submitted", "line-16", reply="one-more", chat=CHAT)
            .outcome.settled["one-more"]
            .reason
            == "overloaded"
        )
        assert bench.feed("reply_submitted", "line-3", reply="r1024", chat=CHAT).outcome.settled
        bench.feed("reply_cancelled", "line-3", reply="r3")
        held = bench.feed("reply_submitted", "line-16", reply="r1025", chat=CHAT)
        assert held.outcome.rule == "reply.held"
        stimulus = decode(held.record.body)["stimulus"]
        assert stimulus["held_elsewhere"] == 1_023


def _submit(bench: Bench, number: int) -> None:
    account = f"line-{number % 16}"
    bench.observe("reply_submitted", None, account, reply=f"r{number}", chat=CHAT)


def test_the_count_survives_a_crash(tmp_path: Path) -> None:
    """Replies that a crash expired take no place of the next service."""
    clock = VirtualClock()
    policy = {"held_max_total": 2}
    with Bench(tmp_path / "log.db", clock=clock, policy=policy) as bench:
        for account in ("one", "two"):
            bench.claim(f"c-{account}", account)
            bench.feed("reply_submitted", account, reply="r1", chat=CHAT)
        refused = bench.feed("reply_submitted", "two", reply="r2", chat=CHAT)
        assert refused.outcome.rule == "reply.refused"
    with Bench(tmp_path / "log.db", clock=clock, policy=policy, seed=2) as bench:
        bench.service.start()
        bench.service.flush()
        assert bench.settled == {"r1": "expired"}
        held = bench.feed("reply_submitted", "two", reply="r3", chat=CHAT)
        assert held.outcome.rule == "reply.held"


def test_order_is_kept_within_a_chat(tmp_path: Path) -> None:
    """The held replies of one chat leave one after the other, in the order of submission."""
    driver = Scripted()
    with opened(tmp_path / "log.db", driver) as warden:
        bring_up(warden, forms=ANNA)
        drop(warden)
        handles = [
            warden.router.reply("main", CHAT, number, id=f"r{number}") for number in range(40)
        ]
        connect(warden)
        assert {handle.result(WAIT_S).outcome for handle in handles} == {"sent"}
    assert [outgoing.message for outgoing in driver.written] == list(range(40))
