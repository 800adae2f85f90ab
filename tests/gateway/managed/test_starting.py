"""How workers are started: what they find, what a failed start leaves, how often one dials."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from linewarden.gateway.supervisor.process import Process
from linewarden.gateway.worker.protocol import Begin

from .conftest import Stage
from .puppet_odd import command
from .strings import connected, device, fails, wait_until

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="descriptors and limits are read in /proc"
)


@pytest.fixture
def refused() -> Iterator[str]:
    """A proxy that refuses: its port is taken, and nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def descriptors(pid: int | str | None = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@needs_proc
def test_the_real_worker(stage: Stage, refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the working folder are not its library, and 40 dials leak no more than 16 may."""
    folder = stage.folder / "bots"
    folder.mkdir()
    for name in ("queue", "segno", "magic", "linewarden"):
        (folder / f"{name}.py").write_text("raise SystemExit('this is not the library')\n")
    monkeypatch.chdir(folder)
    stage.open()
    line = stage.manage(worker=None, proxy=refused)
    stage.wait_told("dial_failed")
    assert line.worker_pid is not None
    held: dict[int | None, int] = {}
    while len(stage.told(name="dial_failed")) < 40:
        with contextlib.suppress(OSError):  # there is none just now, or it ended
            pid = line.worker_pid
            held[pid] = max(held.get(pid, 0), descriptors(pid))
    assert {told.stimulus["code"] for told in stage.told(name="dial_failed")} == {"ECONNREFUSED"}
    assert not stage.told(name="worker_died")
    assert len(held) == 3 and max(held.values()) < 40, held


@needs_proc
def test_a_worker_leaks_nothing_by_itself(stage: Stage) -> None:
    """Whatever the Go library leaks at a connect, what is ours holds as much at the 16th."""
    strings = stage.string()
    strings.at_connect = [fails("connection refused")]
    stage.open()
    stage.manage(worker=command(strings.path))
    second = strings.puppet(1)
    strings.at_connect = [device(), connected()]
    stage.live(number=1)
    counts = [seen["count"] for seen in strings.puppets[0].named("descriptors")]
    assert len(counts) == 16
    assert counts[-1] <= counts[0] + 3, counts  # some thread may just have a file open
    assert second.named("descriptors")[0]["count"] <= counts[0] + 3


@needs_proc
def test_a_worker_that_aborts_leaves_no_core(stage: Stage) -> None:
    """It would hold the keys of the session, and lie in the working folder."""
    stage.open()
    stage.manage()
    limits = Path(f"/proc/{stage.live().pid}/limits").read_text().splitlines()
    [core] = [line.split()[4:6] for line in limits if line.startswith("Max core file size")]
    assert core == ["0", "0"]


def test_a_client_that_cannot_be_made(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The worker ends at once, instead of at the deadline, and says why where a person looks."""
    stage.open()
    stage.manage(worker=command(stage.string().path, "unmade"))
    first = stage.wait_told("worker_died", count=2)[0]
    assert (first.stimulus["exit_code"], first.rule) == (6, "close.transient.retry")
    assert stage.told(name="timer_fired")[0].stimulus["timer"] == "retry"
    wait_until(lambda: "there is no client for" in caplog.text)
    [why, *_] = [one for one in caplog.records if "there is no client for" in one.getMessage()]
    assert why.levelname == "WARNING"
    assert "15550100001" not in caplog.text


async def failed_start(process: Process, *command: str) -> None:
    with pytest.raises(OSError, match=r"many|No such file"):
        await process.start(command, Begin(session="unused.db"), lambda _: None, lambda: None)


@needs_proc
@pytest.mark.parametrize("fails_at", [1, 2, 3, "spawn"])
def test_a_start_that_fails_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch, fails_at: int | str
) -> None:
    """Where descriptors run short each try would take some more, and it would never heal."""
    pipe, made = os.pipe, []

    def short() -> tuple[int, int]:
        made.append(1)
        if len(made) == fails_at:
            raise OSError(24, "Too many open files")
        return pipe()

    async def start() -> tuple[int, int]:
        before = descriptors()
        for _ in range(5):
            made.clear()
            with monkeypatch.context() as patch:
                patch.setattr(os, "pipe", short)
                await failed_start(Process("main"), "/nowhere/python")
        return before, descriptors()

    before, after = asyncio.run(start())
    assert after <= before
