"""Real dials of the real client that fail or hang: no network is needed to have none.

Nothing leaves this machine: every dial goes to a proxy on a port of its own.
"""

import os
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from click.testing import CliRunner

from linewarden.gateway.supervisor import process
from linewarden.tools.cli import main

from .conftest import Stage
from .strings import WAIT_S, wait_until

STATUS_S = 0.05
LOOKS = 25


@pytest.fixture
def refused() -> Iterator[str]:
    """A proxy that refuses: its port is taken, and nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class Silent:
    """A proxy that takes every connection and says nothing."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.settimeout(WAIT_S)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def wait_for_dial(self) -> socket.socket:
        connection = self._stack.enter_context(self._listener.accept()[0])
        connection.settimeout(WAIT_S)
        return connection


@pytest.fixture
def silent() -> Iterator[Silent]:
    with ExitStack() as stack:
        yield Silent(stack)


def wait_for_end(connection: socket.socket) -> None:
    """Read what whoever dialed had said, until the system has closed its end."""
    while connection.recv(4096):
        continue


def test_a_refused_dial_climbs_the_ladder(stage: Stage, refused: str) -> None:
    """Each refusal is a transient close, an attempt, and a timer that is longer than the last."""
    stage.open(initial_s=0.1, factor=2, max_s=0.4)
    line = stage.manage(worker=None, proxy=refused)
    failed = stage.wait_told("dial_failed", count=5)[:5]
    assert {told.stimulus["code"] for told in failed} == {"ECONNREFUSED"}
    assert [told.stimulus["socket"] for told in failed] == [1, 2, 3, 4, 5]
    assert {(told.rule, told.state) for told in failed} == {
        ("close.transient.retry", "reconnect_gap")
    }
    fired = stage.wait_told("timer_fired", count=4)[:4]
    assert {told.stimulus["timer"] for told in fired} == {"retry"}
    waits = [
        (timer.stimulus["at"] - dial.stimulus["at"]) / 1e9
        for dial, timer in zip(failed, fired, strict=False)
    ]
    for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.4), strict=True):
        assert least <= wait < least + 2, waits
    assert line.worker_pid is not None, "a failed dial costs no worker"
    assert not stage.told(name="worker_died")
    assert stage.session().stat().st_size > 0, "the library made its session where it is deleted"
    assert "127.0.0.1" not in str(line.settings)


def test_an_unknown_host_is_no_end(stage: Stage) -> None:
    """A proxy whose name nobody knows is a dial that failed, and is tried again."""
    stage.open()
    stage.manage(worker=None, proxy="socks5://nobody.invalid:1080")
    told = stage.wait_told("dial_failed")[0]
    assert told.stimulus["code"] in {"ENOTFOUND", "ETIMEDOUT"}
    assert told.state == "reconnect_gap"


def test_a_silent_proxy_meets_the_deadline(stage: Stage, silent: Silent) -> None:
    """A dial that says nothing ends at `connect_deadline`, and then a fresh worker dials."""
    stage.open(connect_deadline_s=1.5)
    line = stage.manage(worker=None, proxy=silent.address)
    first = silent.wait_for_dial()
    pid = line.worker_pid
    silent.wait_for_dial()
    assert line.worker_pid != pid
    wait_for_end(first)
    fired = stage.told(name="timer_fired")[0]
    assert fired.stimulus["timer"] == "connect_deadline"
    assert (fired.rule, fired.state) == ("connect_deadline.retry", "reconnect_gap")
    assert fired.changes["attempt"] == 1
    assert not stage.told(name="worker_died"), "its end was asked for"
    stage.end()


def test_the_service_answers_while_a_dial_hangs(
    stage: Stage, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status takes less than 50 ms and the log goes on, then a stop ends all within 5 s."""
    monkeypatch.setattr(process, "ASK_S", 0.05)
    stage.open()
    line = stage.manage(worker=None, proxy=silent.address)
    connection = silent.wait_for_dial()
    pid = line.worker_pid
    viewed, read, recorded = [], [], []
    for number in range(LOOKS):
        began = time.perf_counter()
        view = stage.warden.projections.account("main")
        assert view.connection.state.printed == "connecting"
        viewed.append(time.perf_counter() - began)
        began = time.perf_counter()
        shown = CliRunner().invoke(main, ["status", "--file", str(stage.path)])
        assert shown.exit_code == 0 and "connecting" in shown.output
        read.append(time.perf_counter() - began)
        began = time.perf_counter()
        forms = {"pn": f"+{15550100010 + number}", "lid": f"{100000000000010 + number}@lid"}
        stage.observe("identity_linked", "other", **forms)
        recorded.append(time.perf_counter() - began)
    for took in (viewed, read, recorded):
        assert statistics.median(took) < STATUS_S
    assert line.worker_pid == pid, "a client that is busy is no worker that hangs"
    stage.end()
    assert stage.told(name="service_stopped")[0].state == "reconnect_gap"
    wait_for_end(connection)
    assert pid is not None and line.worker_pid is None
    assert not stage.told(name="worker_died")


def test_a_frozen_worker_does_not_hold_up_a_stop(stage: Stage, silent: Silent) -> None:
    """A worker that is stopped by the system in the midst of a dial is killed within 5 s."""
    stage.open()
    line = stage.manage(worker=None, proxy=silent.address)
    silent.wait_for_dial()
    assert line.worker_pid is not None
    os.kill(line.worker_pid, signal.SIGSTOP)
    stage.end()
    assert line.worker_pid is None


def test_an_operator_is_heard_while_a_dial_hangs(stage: Stage, silent: Silent) -> None:
    """A stop request in the midst of a dial ends the worker, and nothing dials any more."""
    stage.open()
    line = stage.manage(worker=None, proxy=silent.address)
    connection = silent.wait_for_dial()
    stage.observe("stop_requested", by="operator", source="operator")
    assert stage.state() == "closed"
    wait_until(lambda: line.worker_pid is None, 5)
    wait_for_end(connection)
    assert stage.wait_told("socket_closed")
