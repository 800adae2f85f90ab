"""Two things at the same moment: ends, purges and notices, and a library that redials by itself."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from linewarden.gateway import hands
from linewarden.gateway.supervisor import line as lines
from linewarden.gateway.supervisor import process
from linewarden.gateway.supervisor.process import Process
from linewarden.gateway.supervisor.session import Session

from .conftest import Stage
from .strings import WAIT_S, Puppet, connected, event, message, wait_until

LOGGED_OUT = event("LoggedOut", OnConnect=False, Reason=2)
LOST = event("Disconnected", status=True)
OPERATOR = {"by": "operator", "source": "operator"}


@pytest.fixture
def gate() -> Any:
    """What hangs in a test hangs on this, and no longer than the test."""
    made = threading.Event()
    yield made
    made.set()


NEEDLESS: dict[str, Callable[[Stage], Any]] = {
    "a stop": lambda stage: stage.observe("stop_requested", **OPERATOR),
    "somebody else's claim": lambda stage: stage.warden.claim("main").result(WAIT_S),
}


@pytest.mark.parametrize("cause", NEEDLESS)
def test_a_client_that_redials_by_itself_is_ended_too(stage: Stage, cause: str) -> None:
    """In a gap no socket is to be closed, yet the library would be back as soon as it can."""
    stage.open(initial_s=20, max_s=20)
    line = stage.manage()
    puppet = stage.live()
    puppet.play(LOST)
    stage.wait_state("reconnect_gap")
    NEEDLESS[cause](stage)
    assert puppet.gone.wait(5)
    assert puppet.named("stop")
    wait_until(lambda: line.worker_pid is None)
    assert not stage.told(name="worker_died"), "its end was asked for"


# What is purged


def test_a_notice_that_hangs_holds_up_no_purge(
    stage: Stage, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told of a logout may take long; the successor's session is not deleted for it."""
    monkeypatch.setattr(hands, "EFFECT_S", 0.3)
    stage.open(relink="auto")
    stage.manage(on_notice=lambda *_: gate.wait(WAIT_S))
    stage.live().play(LOGGED_OUT)
    second = stage.live(number=1)
    assert len(stage.told(name="session_purged")) == 1
    stage.session().write_bytes(b"of the successor")
    gate.set()
    assert stage.reply("still there?").result(WAIT_S).outcome == "sent"
    stage.end()
    assert second.named("stop"), "it lived until the end"
    assert stage.session().read_bytes() == b"of the successor"


def test_a_late_purge_deletes_nothing_of_the_successor(stage: Stage) -> None:
    """Asked for a controller that has a successor by now, it leaves session and worker alone."""
    stage.open()
    line = stage.manage()
    stage.live()
    stage.observe("restart_requested", **OPERATOR)
    second = stage.live(number=1)
    stage.session().write_bytes(b"of the successor")
    first = stage.told(name="claimed")[0].stimulus["controller"]
    asyncio.run_coroutine_threadsafe(line.purge(first), stage.warden._loop).result(WAIT_S)
    assert stage.session().read_bytes() == b"of the successor"
    assert line.worker_pid == second.pid and not second.gone.is_set()
    assert not stage.told(name="session_purged")


def test_a_slow_purge_is_waited_for(
    stage: Stage, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The successor is claimed when patience is over, and dials when the old session is gone."""
    monkeypatch.setattr(hands, "EFFECT_S", 0.2)
    delete, deleted = Session.delete, []

    def slow(session: Session) -> list[str]:
        gate.wait(WAIT_S)
        deleted.append(len(stage.string().puppets))
        return delete(session)

    monkeypatch.setattr(Session, "delete", slow)
    stage.open(relink="auto")
    line = stage.manage()
    stage.live().play(LOGGED_OUT)
    stage.wait_told("claimed", count=2)
    wait_until(lambda: stage.warden.projections.account("main").machine.socket_state == "dialing")
    with pytest.raises(AssertionError, match="in vain"):
        wait_until(lambda: line.worker_pid, 0.3)
    gate.set()
    assert stage.live(number=1).beside == []
    assert deleted == [1]
    assert len(stage.told(name="session_purged")) == 1


# A reconnect that is told while its worker is being ended


class Reconnect:
    """Has the library reconnect as its worker is ended, which then tells nothing of a close.

    With `slow_disk` the log learns of it only when the worker is over.
    """

    def __init__(self, stage: Stage, puppet: Puppet, slow_disk: bool) -> None:
        self._stage = stage
        self._puppet = puppet
        self._slow_disk = slow_disk
        self._disk = threading.Event()
        self._disk.set()
        self.raced = False

    def arm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        warden = self._stage.warden
        end, flush = Process.end, warden._service.store.flush

        def flush_slowly() -> Any:
            self._disk.wait(WAIT_S)
            return flush()

        async def end_late(worker: Process, force: bool = False) -> None:
            if worker.pid == self._puppet.pid and not worker.ending:
                await self._race(worker)
            await end(worker, force)
            self._disk.set()

        monkeypatch.setattr(warden._service.store, "flush", flush_slowly)
        monkeypatch.setattr(Process, "end", end_late)

    async def _race(self, worker: Process) -> None:
        worker.ending = self.raced = True
        warden = self._stage.warden
        if self._slow_disk:
            warden._pump._commit_s = 1.0  # so slow that commits have a thread
            self._disk.clear()
        number = warden.machine("main").socket
        self._puppet.play(LOST, connected())

        def reopened() -> bool:
            machine = warden.machine("main")
            return bool(machine.socket > number and machine.socket_state == "open")

        await asyncio.to_thread(wait_until, reopened)
        self._puppet.kill()


def test_a_reconnect_while_its_worker_is_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket that opened meanwhile ended with the worker, and the line is dialed anew."""
    monkeypatch.setattr(process, "ASK_S", 2 * WAIT_S)  # no silence comes to the rescue
    stage.open(silence_s=0.2)
    stage.manage()
    reconnect = Reconnect(stage, stage.live(), slow_disk=True)
    reconnect.arm(monkeypatch)
    wait_until(lambda: is_closed_for_silence(stage))
    stage.live(number=1)
    assert reconnect.raced
    assert stage.reply("are you there?").result(WAIT_S).outcome == "sent"
    wait_until(lambda: {1, 2} <= closed_sockets(stage))
    assert not stage.told(name="worker_died")


def is_closed_for_silence(stage: Stage) -> bool:
    """A watchdog's word, which counts when the socket has been open for so long."""
    controller = stage.told(name="claimed")[0].stimulus["controller"]
    word = {"kind": "transport", "seconds": 0.2, "source": "watchdog", "controller": controller}
    return str(stage.observe("silence", **word).outcome.rule).startswith("silence.close")


def closed_sockets(stage: Stage) -> set[Any]:
    return {told.stimulus.get("socket") for told in stage.told(name="socket_closed")}


def test_a_reconnect_at_a_stop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an end of the service the log knows of no connection."""
    stage.open(initial_s=20, max_s=20)
    stage.manage()
    puppet = stage.live()
    puppet.play(LOST)
    stage.wait_state("reconnect_gap")
    reconnect = Reconnect(stage, puppet, slow_disk=False)
    reconnect.arm(monkeypatch)
    stage.end()
    assert reconnect.raced
    assert len(stage.told(name="opened")) == 2
    assert stage.state() == "reconnect_gap"


# An end, and what hangs at that moment


def test_bots_that_think_do_not_add_up(
    stage: Stage, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for the bots of all accounts at once."""
    monkeypatch.setattr(lines, "BOT_END_S", 1.5)
    names, heard = [f"line-{number}" for number in range(4)], []

    def think(given: Any) -> None:
        heard.append(given)
        gate.wait(WAIT_S)

    stage.open()
    for name in names:
        stage.manage(name, on_message=think)
    for name in names:
        stage.live(name).play(message("what do you think?"))
    wait_until(lambda: len(heard) == len(names))
    stage.end()
    assert all(stage.told(name)[-1].state != "connected" for name in names)


def test_workers_end_while_a_notice_hangs(stage: Stage, gate: threading.Event) -> None:
    """At a stop nothing waits for it: a worker without a socket is asked to end at once, too."""
    told = threading.Event()

    def hang(*_: Any) -> None:
        told.set()
        gate.wait(WAIT_S)

    stage.open(initial_s=20, max_s=20)
    stage.manage(on_notice=hang)
    stage.live().play(event("TemporaryBan", Code=1, Expire=3600))
    assert told.wait(WAIT_S)
    stage.observe("release_requested", **OPERATOR)
    second = stage.live(number=1)
    second.play(LOST)
    stage.wait_state("reconnect_gap")
    ending = threading.Thread(target=stage.end)
    ending.start()
    assert second.gone.wait(3) and second.named("stop")
    assert ending.is_alive(), "the notice still has time"
    gate.set()
    ending.join(WAIT_S)
    assert len(stage.told(name="service_stopped")) == 1
