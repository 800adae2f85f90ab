"""When a service anchors its log, and what a sink that fails does to it: nothing."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import NewRecord, Store, encode, open_store
from linewarden.eventstore.anchors import AnchorFile, anchors_path
from linewarden.gateway import anchoring
from linewarden.gateway.anchoring import Anchoring, Sink, sink_of
from linewarden.statemachine.errors import InputError

AT = 1_760_000_000_000_000_000
WAIT_S = 10.0


class Bench:
    """A log, its anchoring, and what reached the sink."""

    def __init__(self, store: Store, path: Path, sink: Sink | None) -> None:
        self.store, self.path = store, Path(anchors_path(path))
        self.heard: list[bytes] = []
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._given = sink
        self._numbers = iter(range(1, 100_000))
        file = AnchorFile(store, anchors_path(path))
        self.anchoring = Anchoring(file, self._loop, lambda: AT, self._sink)

    def _sink(self, line: bytes) -> None:
        try:
            if self._given is not None:
                self._given(line)
            self.heard.append(line)
        finally:
            self._loop.call_soon_threadsafe(self._changed.set)

    def commit(self, count: int) -> None:
        """Append records, and say that they are on disk as the pump does."""
        made = [
            NewRecord(
                n.to_bytes(16, "big"), AT, "closed", None, None,
                encode({"stimulus": {"stimulus": "closed", "at": AT}}),
            )
            for n, _ in zip(self._numbers, range(count), strict=False)
        ]  # fmt: skip
        self.store.append("main", made)
        self.anchoring.committed(count)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so, looking again after each try of the sink."""
        async with asyncio.timeout(WAIT_S):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True) if self.path.exists() else []


def played(path: Path, play: Callable[[Bench], Any], sink: Sink | None = None) -> Bench:
    """Play on a loop, and end as a service does."""

    async def main() -> Bench:
        bench = Bench(store, path, sink)
        await play(bench)
        await bench.anchoring.end()
        return bench

    store = open_store(path)
    try:
        return asyncio.run(main())
    finally:
        store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_anchors_are_as_many_as_promised() -> None:
    """Every 1,000 records or 15 minutes, whichever comes first."""
    assert (anchoring.EVERY_RECORDS, anchoring.EVERY_S) == (1_000, 900)


def test_every_thousand_records_are_anchored(path: Path) -> None:
    """The thousandth record makes an anchor, without waiting for time or for the end."""

    async def play(bench: Bench) -> None:
        bench.commit(999)
        assert not bench.lines()
        bench.commit(1)
        await bench.until(lambda: len(bench.heard) == 1)
        assert bench.lines() == bench.heard

    assert len(played(path, play).lines()) == 1


def test_time_anchors_what_is_new(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of an hour after a record there is an anchor; without a record there is none."""
    monkeypatch.setattr(anchoring, "EVERY_S", 0.01)

    async def play(bench: Bench) -> None:
        for count in (1, 2):
            bench.commit(1)
            await bench.until(lambda count=count: len(bench.heard) == count)

    assert len(played(path, play).lines()) == 2


def test_the_end_anchors_the_rest_once(path: Path) -> None:
    """A stop anchors what is new and gives it to the sink; a stop without news makes no anchor."""

    async def play(bench: Bench) -> None:
        bench.commit(3)

    bench = played(path, play)
    assert len(bench.lines()) == 1 and bench.heard == bench.lines()

    async def idle(bench: Bench) -> None:
        bench.anchoring.committed(0)

    assert played(path, idle).lines() == bench.lines()


def test_a_failing_sink_gets_the_newest_anchor_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A sink that fails is told of once, without what it said, and tried again with time."""
    monkeypatch.setattr(anchoring, "EVERY_S", 0.01)
    tries: list[bytes] = []

    def sink(line: bytes) -> None:
        tries.append(line)
        if len(tries) < 4:
            raise OSError("something of 15550100001")

    async def play(bench: Bench) -> None:
        bench.commit(1)
        await bench.until(lambda: len(bench.heard) == 1)

    with caplog.at_level(logging.INFO, "linewarden.anchoring"):
        bench = played(path, play, sink)
    assert bench.heard == bench.lines() == tries[:1]
    assert [record.message for record in caplog.records] == [
        "an anchor did not reach its sink: OSError",
        "anchors are kept again",
    ]


def test_a_sink_that_hangs_holds_up_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With a sink that never answers, anchors are taken, and the end is in time and tells of it."""
    stuck, entered = threading.Event(), threading.Event()

    def sink(line: bytes) -> None:
        entered.set()
        stuck.wait(WAIT_S)

    began = 0.0

    async def play(bench: Bench) -> None:
        nonlocal began
        bench.commit(1_000)
        await asyncio.to_thread(entered.wait, WAIT_S)
        bench.commit(1_000)
        began = time.monotonic()

    bench = played(path, play, sink)
    took = time.monotonic() - began
    stuck.set()
    assert len(bench.lines()) == 2
    assert took < anchoring.END_S + 2
    assert [record.message for record in caplog.records] == [
        "an anchor did not reach its sink: it was not done when the service ended"
    ]


def test_a_disk_that_fails_stops_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the anchors file can't be written it is logged, once, and the service goes on."""
    Path(anchors_path(path)).mkdir()

    async def play(bench: Bench) -> None:
        bench.commit(1_000)

    assert played(path, play).heard == []
    assert [record.message for record in caplog.records] == [
        "the log could not be anchored: IsADirectoryError"
    ]


def test_a_sink_is_a_path_or_a_command(path: Path, tmp_path: Path) -> None:
    """A path is appended to and private; a command is given the anchor on its standard input."""
    copy, told = tmp_path / "copy", tmp_path / "told"
    script = "import sys; open(sys.argv[1], 'ab').write(sys.stdin.buffer.read())"
    for word in (str(copy), f"| '{sys.executable}' -c \"{script}\" '{told}'"):
        sink = sink_of(word, anchors_path(path))
        sink(b"one\n")
        sink(b"two\n")
    assert copy.read_bytes() == told.read_bytes() == b"one\ntwo\n"
    assert copy.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "what"), [("exit(3)", "ended with 3"), ("input(); input()", "longer than")]
)
def test_a_command_that_fails_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, words: str, what: str
) -> None:
    """A command that ends badly or not at all is ended, and its anchor counts as not kept."""
    monkeypatch.setattr(anchoring, "SINK_S", 0.2)
    forever = "import threading; threading.Event().wait()" if "longer" in what else words
    sink = sink_of(f"| '{sys.executable}' -c '{forever}'", anchors_path(path))
    with pytest.raises(anchoring.SinkFailed, match=what):
        sink(b"one\n")


@pytest.mark.parametrize("word", ["", " ", "|", "| 'unfinished"])
def test_a_sink_that_is_none_is_refused(path: Path, word: str) -> None:
    """A sink that is empty, or no command, is refused before anything begins."""
    with pytest.raises(InputError):
        sink_of(word, anchors_path(path))


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal", ".lock", ".control", ".anchors"])
def test_a_log_is_no_sink_of_its_own(path: Path, end: str) -> None:
    """Nothing is appended to the log, nor to what lies beside it, by whatever name it goes."""
    other = path.with_name("other")
    other.symlink_to(f"{path}{end}")
    for word in (f"{path}{end}", str(other)):
        with pytest.raises(InputError, match="belongs to it"):
            sink_of(word, anchors_path(path))
