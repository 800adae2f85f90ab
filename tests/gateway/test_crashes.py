"""Stops, starts and crashes: what a gateway finds in the log that it, or a dead one, has left."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.dice import Dice
from linewarden.statemachine.lifecycle import State

from .scripted import CHAT, WAIT_S, Scripted, bring_up, connect, drop, opened

OTHER_CHAT = "15550100008@s.whatsapp.net"


def copied(path: Path, folder: Path) -> Path:
    """The files of a running store as a kill would leave them."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            shutil.copy(file, folder / file.name)
    return folder / path.name


def test_a_start_goes_on_where_the_stop_left(tmp_path: Path) -> None:
    """After a stop and a start the same controller is dialed again, and the gap is recorded."""
    path, clock, driver = tmp_path / "log.db", VirtualClock(), Scripted()
    with opened(path, driver, clock=clock) as warden:
        bring_up(warden)
    assert driver.named("close_socket") == [("close_socket", "A", 1, False)]
    with opened(path, driver, clock=clock, dice=Dice(4)) as warden:
        driver.wait_for("dial", 2)
        connect(warden)
        view = warden.projections.account("main")
        assert view is not None and view.machine.state is State.CONNECTED
        assert view.machine.epoch == 1


@pytest.mark.parametrize("notice", ["delivered", "undelivered"])
def test_a_notice_survives_a_crash(tmp_path: Path, notice: str) -> None:
    """A notice that no driver had taken when the process died is delivered by the next one."""
    path, clock = tmp_path / "log.db", VirtualClock()
    release = threading.Event()

    class Busy(Scripted):
        async def notify(self, account: str, controller: str, told: str) -> None:
            if notice == "undelivered":
                await asyncio.to_thread(release.wait, WAIT_S)
            await super().notify(account, controller, told)

    busy, later = Busy(), Scripted()
    with opened(path, busy, clock=clock) as warden:
        bring_up(warden)
        warden.observe("main", "replaced", controller="A").result(WAIT_S)
        if notice == "delivered":
            busy.wait_for("notify")
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        crashed = copied(path, tmp_path / "crashed")
        release.set()
    with opened(crashed, later, clock=clock, dice=Dice(5)) as warden:
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        if notice == "undelivered":
            assert later.wait_for("notify") == [("notify", "main", "A", "conflict")]
    assert len(later.named("notify")) == (notice == "undelivered")


def test_a_crash_leaves_a_send_in_flight_uncertain(tmp_path: Path) -> None:
    """An intent without an answer is uncertain after a crash, and is never written again."""
    path, clock = tmp_path / "log.db", VirtualClock()
    release = threading.Event()

    class Slow(Scripted):
        def send(self, outgoing: object) -> str:
            self._note("send", outgoing)
            release.wait(WAIT_S)
            return "id-1"

    slow, later = Slow(), Scripted()
    with opened(path, slow, clock=clock) as warden:
        bring_up(warden)
        warden.router.reply("main", CHAT, "hello", id="r1")
        slow.wait_for("send")
        crashed = copied(path, tmp_path / "crashed")
        release.set()
    with opened(crashed, later, clock=clock, dice=Dice(5)) as warden:
        connect(warden)
        again = warden.router.reply("main", CHAT, "hello", id="r1").result(WAIT_S)
        assert (again.outcome, again.via) == ("uncertain", "A")
    assert not later.written


@pytest.mark.parametrize("durable", [False, True])
def test_a_message_that_died_with_the_process_is_not_sent(tmp_path: Path, durable: bool) -> None:
    """After a crash a held reply without its message expires, or waits: it never leaves empty."""
    path, clock = tmp_path / "log.db", VirtualClock()
    policy = {"durable_outbox": durable}
    with opened(path, Scripted(), clock=clock, policy=policy) as warden:
        bring_up(warden)
        drop(warden)
        warden.router.reply("main", CHAT, "hello", id="r1")
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        crashed = copied(path, tmp_path / "crashed")
    later = Scripted()
    with opened(crashed, later, clock=clock, dice=Dice(5), policy=policy) as warden:
        connect(warden)
        assert warden.router.reply_sync("main", OTHER_CHAT, "later", timeout_s=WAIT_S).sent
    assert None not in [outgoing.message for outgoing in later.written]


def test_a_reply_given_again_after_a_crash_has_its_message(tmp_path: Path) -> None:
    """With a durable outbox, giving the id and the message again lets the held reply leave."""
    path, clock = tmp_path / "log.db", VirtualClock()
    policy = {"durable_outbox": True}
    with opened(path, Scripted(), clock=clock, policy=policy) as warden:
        bring_up(warden)
        drop(warden)
        warden.router.reply("main", CHAT, "hello", id="r1")
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        crashed = copied(path, tmp_path / "crashed")
    later = Scripted()
    with opened(crashed, later, clock=clock, dice=Dice(5), policy=policy) as warden:
        handle = warden.router.reply("main", CHAT, "hello", id="r1")
        connect(warden)
        assert handle.result(WAIT_S).sent
    assert [outgoing.message for outgoing in later.written] == ["hello"]
