"""Drivers that block or fail: they hold up nobody else, and no notice is lost."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from linewarden import Driver, Linewarden
from linewarden.gateway import hands

WAIT_S = 10
STUCK = """
import sys, threading
from linewarden import Driver, Linewarden
class Stuck(Driver):
    def dial(self, controller, socket):
        print("dialing", flush=True)
        threading.Event().wait()
with Linewarden.open(sys.argv[1]) as warden:
    warden.claim("main", driver=Stuck()).result(10)
    sys.stdin.readline()
"""


class Blocking(Driver):
    """A dial that returns only when the connection ends, as many engines' does."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.closed = threading.Event()

    def dial(self, controller: str, socket: int) -> None:
        self.go.wait(WAIT_S)

    def close_socket(self, controller: str, socket: int, force: bool) -> None:
        self.closed.set()


def test_nothing_waits_for_a_dial_that_blocks(tmp_path: Path) -> None:
    """Twenty lines whose dial blocks are all closed as soon as they are stopped."""
    drivers = [Blocking() for _ in range(20)]
    with Linewarden.open(tmp_path / "log.db") as warden:
        for number, driver in enumerate(drivers):
            warden.claim(f"line-{number}", driver=driver).result(WAIT_S)
        for number, driver in enumerate(drivers):
            warden.observe(f"line-{number}", "stop_requested").result(WAIT_S)
            assert driver.closed.wait(WAIT_S)
        for driver in drivers:
            driver.go.set()


def test_a_stuck_driver_does_not_keep_the_process(tmp_path: Path) -> None:
    """A process ends although a plain method of its driver never returns."""
    command = [sys.executable, "-c", STUCK, str(tmp_path / "log.db")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "dialing\n"
        process.communicate("\n", timeout=30)
        assert process.returncode == 0


def test_a_notice_that_failed_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notice whose driver failed is told again, though a later one was taken."""
    monkeypatch.setattr(hands, "NOTICE_RETRY_S", 0.0)
    told: list[str] = []
    twice = threading.Event()

    class Pager(Driver):
        def notify(self, account: str, controller: str, notice: str) -> None:
            told.append(notice)
            if told.count("banned") == 2:
                twice.set()
            if told == ["banned"]:
                raise ConnectionError

    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "A", driver=Pager()).result(WAIT_S)
        warden.observe("main", "opened", controller="A")
        warden.observe("main", "banned", controller="A", source="whatsmeow", socket=1)
        warden.observe("main", "logged_out", controller="A", source="whatsmeow").result(WAIT_S)
        assert twice.wait(WAIT_S)
    assert sorted(told) == ["banned", "banned", "logged_out"]


def test_what_a_driver_confirms_at_the_end_is_recorded(tmp_path: Path) -> None:
    """At an end the driver closes its socket and says so: that is in the log, and no error is."""

    class Confirming(Driver):
        def close_socket(self, controller: str, socket: int, force: bool) -> None:
            warden.observe("main", "socket_closed", controller=controller, socket=socket)

    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "A", driver=Confirming()).result(WAIT_S)
        warden.observe("main", "opened", controller="A").result(WAIT_S)
    with Linewarden.open(tmp_path / "log.db") as warden:
        records = list(warden.projections.reader.read_stream("main"))
    assert [record.type for record in records[2:4]] == ["service_stopped", "socket_closed"]
