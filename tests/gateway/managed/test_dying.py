"""Workers that die, however they die: recorded, replaced, and nothing of them stays behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.supervisor import process

from .conftest import Stage
from .strings import WAIT_S, Puppet, wait_until

DEATHS: dict[str, Callable[[Puppet], None]] = {
    "killed": lambda puppet: puppet.kill(),
    "aborted": lambda puppet: puppet.do("abort"),
    "hung": lambda puppet: puppet.kill(signal.SIGSTOP),
}
KILLS = 50


@pytest.mark.parametrize("death", DEATHS)
def test_a_death_is_survived(stage: Stage, monkeypatch: pytest.MonkeyPatch, death: str) -> None:
    """A reply in flight is uncertain, one that waits is sent by the next worker, same session."""
    monkeypatch.setattr(process, "ASK_S", 0.05)
    strings = stage.string()
    acknowledge = strings.at_send
    strings.at_send = lambda chat, text: None if text == "first" else acknowledge(chat, text)
    stage.session().write_bytes(b"the credentials")
    stage.open(initial_s=0.3, max_s=0.3)
    stage.manage()
    puppet = stage.live()
    first = stage.reply("first")
    wait_until(lambda: strings.written)
    second = stage.reply("second")
    DEATHS[death](puppet)
    with monkeypatch.context() as patience:
        patience.setattr(process, "ANSWER_S", 0.5 if death == "hung" else process.ANSWER_S)
        died = stage.wait_told("worker_died")[0]
    third = stage.reply("third")
    assert first.result(WAIT_S).outcome == "uncertain"
    failed = stage.wait_told("send_failed")[0].stimulus
    assert (failed["reply"], failed["kind"]) == (first.reply, "unknown")
    assert (second.result(WAIT_S).outcome, third.result(WAIT_S).outcome) == ("sent", "sent")
    number = signal.SIGABRT if death == "aborted" else signal.SIGKILL
    assert (died.stimulus["signal"], died.stimulus["source"]) == (number, "worker")
    assert died.state == "reconnect_gap"
    assert [text for _, text in strings.written] == ["first", "second", "third"]
    assert puppet.gone.is_set() and strings.alive == strings.puppets[1:]
    assert strings.puppets[1].beside == []
    assert stage.session().read_bytes() == b"the credentials"
    assert not [effect for told in stage.told() for effect in told.effects if _is_purge(effect)]
    assert {told.stimulus.get("controller") for told in stage.told(name="opened")} == {
        died.stimulus["controller"]
    }


def _is_purge(effect: dict[str, str]) -> bool:
    return effect["effect"] == "purge"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
def test_kills_leave_nothing_behind(stage: Stage, processes: Callable[[str], list[int]]) -> None:
    """After 50 kills in a row there are no more processes, descriptors and threads than before."""
    stage.open()
    line = stage.manage()
    puppet, strings = stage.live(), stage.string()
    before = _held()
    for number in range(KILLS):
        # By turns: one that is connected, one that has begun, and those that were just spawned.
        moments = {0: lambda: _live_pid(stage), 1: lambda: _begun_pid(stage)}
        os.kill(wait_until(moments.get(number % 5, lambda: line.worker_pid)), signal.SIGKILL)
        stage.wait_told("worker_died", count=number + 1)
    wait_until(lambda: _live_pid(stage))
    assert puppet.gone.is_set()
    wait_until(lambda: len(strings.alive) == 1)
    assert processes(strings.path) == [line.worker_pid]
    wait_until(lambda: all(now <= then for now, then in zip(_held(), before, strict=True)))
    assert len(stage.told(name="worker_died")) == KILLS


def _begun_pid(stage: Stage) -> int | None:
    """The worker that runs Python just now."""
    [line] = stage.lines
    pids = [puppet.pid for puppet in stage.string().alive]
    return line.worker_pid if line.worker_pid in pids else None


def _live_pid(stage: Stage) -> int | None:
    """The worker that is connected just now, as far as the log knows."""
    return _begun_pid(stage) if stage.state() == "connected" else None


def _held() -> tuple[int, int]:
    """Counts this process's descriptors and threads, without those that play."""
    strings = [thread for thread in threading.enumerate() if thread.name == "strings"]
    return len(os.listdir("/proc/self/fd")), threading.active_count() - len(strings)


def test_a_busy_client_is_no_hung_worker(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that can't be asked, because it dials, is no reason to kill its worker."""
    monkeypatch.setattr(process, "ASK_S", 0.05)
    caplog.set_level("INFO", "linewarden.worker")
    stage.open()
    stage.manage()
    puppet = stage.live()
    puppet.play({"act": "dial"})
    wait_until(lambda: "did not say in time" in caplog.text)
    assert stage.reply("still there?").result(WAIT_S).outcome == "sent"
    assert not puppet.gone.is_set()
    assert not stage.told(name="worker_died")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="processes are found in /proc")
@pytest.mark.parametrize("end", ["death", "restart"])
def test_what_a_worker_started_ends_with_it(
    stage: Stage, processes: Callable[[str], list[int]], end: str
) -> None:
    """The library starts programs of its own; none of them outlives the worker."""
    stage.open()
    stage.manage()
    puppet = stage.live()
    word = f"child-of-{puppet.pid}"
    puppet.do("spawn", words=[word])
    wait_until(lambda: puppet.named("spawned"))
    if end == "death":
        puppet.kill()
    else:
        stage.observe("restart_requested", by="operator", source="operator")
    stage.live(number=1)
    wait_until(lambda: processes(word) == [], 5)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
def test_what_left_the_worker_holds_up_nothing(stage: Stage) -> None:
    """A program that made itself independent may keep the pipes; the worker is over anyway."""
    stage.open()
    stage.manage()
    puppet = stage.live()
    before = _held()
    puppet.do("spawn", words=[], leaves=True)
    [child] = wait_until(lambda: puppet.named("spawned"))
    try:
        puppet.kill()
        stage.live(number=1)
        wait_until(lambda: all(now <= then for now, then in zip(_held(), before, strict=True)))
    finally:
        os.kill(child["pid"], signal.SIGKILL)


def test_a_stop_in_the_midst_of_a_start_leaves_nothing(
    stage: Stage, processes: Callable[[str], list[int]]
) -> None:
    """A worker that was only just spawned ends with its service, too."""
    for _ in range(5):
        stage.open()
        line = stage.manage()
        wait_until(lambda line=line: line.worker_pid)
        stage.end()
        stage.lines.clear()
        assert processes(stage.string().path) == []
        assert line.worker_pid is None


WORKERS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "there is none": (("/nowhere/python",), "dial_failed", {"code": "WORKER"}),
    "it ends at once": (
        (sys.executable, "-c", "raise SystemExit(3)"), "worker_died", {"exit_code": 3},
    ),
    "it is no worker": (
        (sys.executable, "-c", "import os, sys; os.write(int(sys.argv[2]), b'hello\\n{}\\n')"),
        *("worker_died", {"exit_code": 0}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WORKERS)
def test_a_worker_that_cannot_work_is_tried_again(stage: Stage, what: str) -> None:
    """A worker that never connects is a transient close each time, by the ladder."""
    worker, name, fields = WORKERS[what]
    stage.open()
    stage.manage(worker=worker)
    first, second = stage.wait_told(name, count=2)[:2]
    assert {key: first.stimulus.get(key) for key in fields} == fields
    assert (first.rule, first.state) == ("close.transient.retry", "reconnect_gap")
    assert (first.changes["attempt"], second.changes["attempt"]) == (1, 2)


SERVICE = """
import sys
from linewarden.gateway.warden import Linewarden
path, session, *worker = sys.argv[1:]
with Linewarden.open(path) as warden:
    warden.manage("main", session, worker=worker)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "ends",
    [
        *("killed", "ended"),
        pytest.param(
            "killed, and its worker hangs",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it"),
        ),
    ],
)
def test_no_worker_outlives_its_service(stage: Stage, ends: str) -> None:
    """A service that is killed, or ends, leaves no worker, and the next one goes on."""
    strings = stage.string()
    command = [sys.executable, "-c", SERVICE, str(stage.path), str(stage.session())]
    with subprocess.Popen([*command, *strings.command], stdin=subprocess.PIPE) as service:
        puppet = strings.puppet()
        if ends.endswith("hangs"):
            puppet.kill(signal.SIGSTOP)
        if ends.startswith("killed"):
            service.kill()
        else:
            service.communicate()
        assert puppet.gone.wait(5)
    stage.open()
    stage.manage()
    assert stage.live(number=1).beside == []
    assert len({told.stimulus["controller"] for told in stage.told(name="claimed")}) == 1
    assert len(stage.told(name="service_stopped")) == (ends == "ended")
