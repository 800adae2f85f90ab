"""Running: `with`, `async with`, many threads, hanging drivers and ends."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import decode
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.eventstore.verify import verify
from linewarden.gateway import warden as warden_module
from linewarden.gateway.driver import Driver
from linewarden.gateway.loophost import NotRunning
from linewarden.gateway.warden import Linewarden

from .scripted import CHAT, WAIT_S, Scripted, bring_up, content, drop, opened


def test_effects_reach_the_driver_of_their_controller(tmp_path: Path) -> None:
    """A controller's own driver acts for it; one without takes the gateway's default."""
    default, own = Scripted(), Scripted()
    with opened(tmp_path / "log.db", default) as warden:
        warden.claim("main", "A", driver=own).result(WAIT_S)
        warden.claim("other", "B").result(WAIT_S)
        assert own.wait_for("dial") == [("dial", "A", 1)]
        assert default.wait_for("dial") == [("dial", "B", 1)]


def test_a_claim_makes_a_name(tmp_path: Path) -> None:
    """A claim without a name makes one, says it at once, and takes the next epoch."""
    with opened(tmp_path / "log.db", Scripted()) as warden:
        receipts = [warden.claim("main") for _ in range(3)]
        epochs = [decode(receipt.result(WAIT_S).record.body)["epoch"] for receipt in receipts]
        assert epochs == [1, 2, 3]
        assert len({receipt.controller for receipt in receipts}) == 3


def test_plain_and_coroutine_methods_both_run(tmp_path: Path) -> None:
    """A driver's method may be plain, which then runs in a thread other than the loop's."""
    threads: list[str] = []
    called = threading.Event()

    class Plain(Driver):
        def dial(self, controller: str, socket: int) -> None:
            threads.append(threading.current_thread().name)
            called.set()

    with opened(tmp_path / "log.db", Plain()) as warden:
        warden.claim("main", "A").result(WAIT_S)
        assert called.wait(WAIT_S)
    assert threads[0].startswith("linewarden-call")


def test_a_driver_that_fails_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a driver is logged by its type only, and the next effect is carried out."""

    class Failing(Scripted):
        async def dial(self, controller: str, socket: int) -> None:
            raise RuntimeError("no route for 15550100001@s.whatsapp.net")

    driver = Failing()
    with opened(tmp_path / "log.db", driver) as warden:
        bring_up(warden)
        assert warden.router.reply_sync("main", CHAT, "hello", timeout_s=WAIT_S).sent
    assert "Dial" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "1555" not in caplog.text


def test_the_intent_is_on_disk_when_the_driver_writes(tmp_path: Path) -> None:
    """At the moment of the write another reader finds the record with the send effect (P10)."""
    found: list[Any] = []
    path = tmp_path / "log.db"

    def look(outgoing: Any) -> str:
        reader = SQLiteReader.open(path)
        try:
            for record in reader.of_reply("main", outgoing.reply):
                found.extend(decode(record.body)["outcome"].get("effects", ()))
        finally:
            reader.close()
        return "id-1"

    with opened(path, Scripted(look)) as warden:
        bring_up(warden)
        assert warden.router.reply_sync("main", CHAT, "hello", id="r1", timeout_s=WAIT_S).sent
    assert [(one["effect"], one["reply"]) for one in found] == [("send", "r1")]


def test_a_write_whose_moment_has_passed_is_not_made(tmp_path: Path) -> None:
    """When the connection is gone between the intent and the write, the write is not made."""
    driver = Scripted(lambda _outgoing: "id-1")

    async def run() -> str:
        async with opened(tmp_path / "log.db", driver) as warden:
            await warden.claim("main", "A")
            warden.observe("main", "opened", controller="A")
            forms = {"pn": "15550100001@s.whatsapp.net"}
            warden.observe("main", "identity_observed", controller="A", forms=forms)
            handle = warden.router.reply("main", CHAT, "hello", id="r1")
            warden.observe("main", "closed", controller="A", source="baileys", code=408)
            await warden.observe("main", "activity", controller="A")
            assert not driver.written
            await warden.observe("main", "opened", controller="A")
            await warden.observe("main", "identity_observed", controller="A", forms=forms)
            return (await handle).outcome

    assert asyncio.run(run()) == "sent"
    assert len(driver.written) == 1


def test_many_threads_may_use_it_at_once(tmp_path: Path) -> None:
    """Observations and replies of several threads are all recorded, each stream without a hole."""
    driver = Scripted()
    accounts = [f"line-{number}" for number in range(4)]
    with opened(tmp_path / "log.db", driver) as warden:
        for account in accounts:
            bring_up(warden, f"c-{account}", account)
        start = threading.Barrier(8)

        def use(number: int) -> list[str]:
            account = accounts[number % 4]
            start.wait(WAIT_S)
            receipts = [
                warden.observe(account, "activity", controller=f"c-{account}") for _ in range(50)
            ]
            handles = [
                warden.router.reply(account, CHAT, "hello", id=f"r{number}-{one}")
                for one in range(5)
            ]
            assert all(receipt.result(WAIT_S) for receipt in receipts)
            return [handle.result(WAIT_S).outcome for handle in handles]

        with ThreadPoolExecutor(8) as pool:
            outcomes = Counter(one for row in pool.map(use, range(8)) for one in row)
        assert outcomes == {"sent": 40}
        reader = warden.projections.reader
        for account in accounts:
            stimuli = [content(record)["stimulus"] for record in reader.read_stream(account)]
            seen = [one.get("times", 1) for one in stimuli if one["stimulus"] == "activity"]
            assert sum(seen) == 100
        assert verify(reader).ok


def test_an_id_of_two_threads_is_one_reply(tmp_path: Path) -> None:
    """The same id from several threads at once is one reply: all get its result, written once."""
    driver = Scripted()
    with opened(tmp_path / "log.db", driver) as warden:
        bring_up(warden)
        start = threading.Barrier(8)

        def reply(number: int) -> list[str]:
            start.wait(WAIT_S)
            handles = [
                warden.router.reply("main", CHAT, "hello", id=f"r{one}") for one in range(20)
            ]
            return [handle.result(WAIT_S).outcome for handle in handles]

        with ThreadPoolExecutor(8) as pool:
            outcomes = {one for row in pool.map(reply, range(8)) for one in row}
        assert outcomes == {"sent"}
    assert Counter(one.reply for one in driver.written) == {f"r{one}": 1 for one in range(20)}


@pytest.mark.parametrize("hang", ["coroutine", "thread"])
def test_an_end_waits_for_no_hanging_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hang: str
) -> None:
    """A driver that never returns holds up an end for its bound only; the stop is recorded."""
    monkeypatch.setattr(warden_module, "END_S", 0.05)
    hanging, released = threading.Event(), threading.Event()

    class Plain(Driver):
        def dial(self, controller: str, socket: int) -> None:
            hanging.set()
            released.wait(WAIT_S)

    class Coroutine(Driver):
        async def dial(self, controller: str, socket: int) -> None:
            hanging.set()
            await asyncio.Event().wait()

    driver = Coroutine() if hang == "coroutine" else Plain()
    path = tmp_path / "log.db"
    with opened(path, driver) as warden:
        warden.claim("main", "A").result(WAIT_S)
        assert hanging.wait(WAIT_S)
    released.set()
    reader = SQLiteReader.open(path)
    assert [record.type for record in reader.read_stream("main")] == ["claimed", "service_stopped"]
    reader.close()


def test_nothing_works_outside(tmp_path: Path) -> None:
    """Before its start and after its end a gateway says that it is not running."""
    warden = opened(tmp_path / "log.db")
    with pytest.raises(NotRunning):
        warden.observe("main", "activity", controller="A")
    with warden:
        bring_up(warden)
    for call in (
        lambda: warden.observe("main", "activity", controller="A"),
        lambda: warden.claim("main"),
        lambda: warden.router.reply("main", CHAT, "hello"),
        lambda: warden.router.perform("main", print),
        lambda: warden.router.cancel("main", "r1"),
    ):
        with pytest.raises(NotRunning) as caught:
            call()
        assert caught.value.hint
    assert warden.router.pending == 0


def test_whoever_waits_at_the_end_is_told(tmp_path: Path) -> None:
    """An end settles what is held, and no promise stays open."""
    with opened(tmp_path / "log.db", Scripted()) as warden:
        bring_up(warden)
        drop(warden)
        handle = warden.router.reply("main", CHAT, "hello")
    assert handle.result(WAIT_S).outcome == "expired"


def test_a_driver_may_observe_from_where_it_is(tmp_path: Path) -> None:
    """A driver's own call, on the loop or in a thread, may observe and never deadlocks."""
    opened_by: list[str] = []

    class Answering(Scripted):
        warden: Linewarden

        async def dial(self, controller: str, socket: int) -> None:
            receipt = self.warden.observe("main", "opened", controller=controller, socket=socket)
            opened_by.append((await receipt).outcome.rule)
            self._note("dial", controller, socket)

    driver = Answering()
    with opened(tmp_path / "log.db", driver) as warden:
        driver.warden = warden
        warden.claim("main", "A").result(WAIT_S)
        driver.wait_for("dial")
    assert opened_by == ["opened.connected"]
