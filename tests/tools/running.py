"""A real `linewarden run`, as a process of its own, and a terminal to run it on."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

from linewarden.eventstore import Record, open_reader

from ..gateway.managed.strings import WAIT_S, wait_until

PLAIN = "from linewarden.tools.cli_run import run; run(prog_name='linewarden run')"
PLAYED = """
from functools import partialmethod
from linewarden.gateway.warden import Linewarden
Linewarden.manage = partialmethod(Linewarden.manage, worker={worker!r})
"""
"""Before PLAIN: whose workers are puppets."""


class Running:
    """`linewarden run --file log.db …` in a folder; what it says is heard as it comes."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        worker: Sequence[str] | None = None,
        terminal: Terminal | None = None,
        proxy: str | None = None,
    ) -> None:
        self.path = folder / "log.db"
        environ = {key: of for key, of in os.environ.items() if not key.startswith("LINEWARDEN")}
        script = (PLAYED.format(worker=tuple(worker)) if worker else "") + PLAIN
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, "--file", str(self.path), *words],
            cwd=folder,
            env=environ | ({"LINEWARDEN_PROXY": proxy} if proxy else {}),
            stdin=terminal.theirs if terminal else subprocess.DEVNULL,
            stdout=terminal.theirs if terminal else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._heard: dict[str, list[str]] = {"stdout": [], "stderr": []}
        streams = {"stdout": self.process.stdout, "stderr": self.process.stderr}
        self._hearing = [
            threading.Thread(target=self._hear, args=(name, stream), daemon=True)
            for name, stream in streams.items()
            if stream is not None
        ]
        for thread in self._hearing:
            thread.start()

    def _hear(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._heard[name].append(line)

    @property
    def stdout(self) -> str:
        return "".join(self._heard["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._heard["stderr"])

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it says something on standard error."""

        def said() -> re.Match[str] | None:
            found = re.search(pattern, self.stderr)
            assert found or self.process.poll() is None, self.stderr
            return found

        found = wait_until(said)
        assert found is not None
        return found

    @property
    def worker(self) -> int:
        """The number of its first worker."""
        return int(self.wait_for(r"worker (\d+) started")[1])

    def end(self, number: signal.Signals = signal.SIGTERM, within_s: float = 5) -> int:
        """Signal it and wait for its end; gives its exit code."""
        self.process.send_signal(number)
        return self.ended(within_s)

    def ended(self, within_s: float = WAIT_S) -> int:
        """Its exit code, once it has ended."""
        code = self.process.wait(within_s)
        for thread in self._hearing:
            thread.join(WAIT_S)
        return code

    def records(self) -> list[Record]:
        """What stands in its log."""
        reader = open_reader(self.path)
        try:
            return list(reader.read_all())
        finally:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()


class Terminal:
    """A terminal: `theirs` is the end of who runs on it, and `text` what a person sees."""

    def __init__(self, columns: int = 120) -> None:
        self._ours, self.theirs = pty.openpty()
        termios.tcsetwinsize(self.theirs, (60, columns))
        self._bytes = b""
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(self._ours, 65_536):
                self._bytes += data

    @property
    def text(self) -> str:
        return self._bytes.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown; gives everything that was."""
        wait_until(lambda: text in self.text)
        return self.text

    def type(self, line: str) -> None:
        os.write(self._ours, line.encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self.theirs)
        self._watching.join(WAIT_S)
        os.close(self._ours)


def is_over(pid: int) -> bool:
    """Whether there is no such process any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
