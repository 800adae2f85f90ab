"""When a service anchors its log, and the sink to which each anchor is copied.

An anchor is taken after so many records, after so much time with a record in it, and at the end. It
is taken in a thread of its own: neither a slow disk nor a sink that hangs holds up the loop. What
fails is logged and tried again with the next one; each anchor has all heads, so none is missed.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..eventstore.anchors import AnchorFile
from ..statemachine.errors import InputError, LinewardenError
from .redaction import package_logger
from .supervisor.session import files_of_log
from .threads import in_thread

EVERY_RECORDS = 1_000
"""In a storm: what could be cut off or computed anew unseen is seconds and not hours."""

EVERY_S = 15 * 60.0
"""On a quiet line: so old is the newest record at most that no anchor covers."""

END_S = 0.8
"""How long an end waits for the last anchor and its sink; a stop as a whole has 5 s."""

SINK_S = 30.0
"""How long a sink's command may take."""

UNANCHORED, UNSUNK = "the log could not be anchored", "an anchor did not reach its sink"

Sink = Callable[[bytes], None]

log = package_logger("linewarden.anchoring")


class SinkFailed(LinewardenError):
    """An anchor did not reach its sink."""


class Anchoring:
    """Runs on the loop's thread only; `now` gives the time of an anchor (UTC ns)."""

    def __init__(
        self,
        file: AnchorFile,
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], int],
        sink: Sink | None = None,
    ) -> None:
        self._file, self._loop, self._now, self._sink = file, loop, now, sink
        self._since = 0
        self._timer: asyncio.TimerHandle | None = None
        self._taking: asyncio.Future[Any] | None = None
        self._sinking: asyncio.Future[Any] | None = None
        self._owed: bytes | None = None  # to the sink
        self._offered: bytes | None = None
        self._failing: set[str] = set()
        self._ended = False

    def committed(self, records: int) -> None:
        """So many records more are on disk."""
        if not records or self._ended:
            return
        self._since += records
        if self._since >= EVERY_RECORDS:
            self._take()
        else:
            self._set_timer()

    async def end(self) -> None:
        """Anchor what is left and give it to the sink, for as long as an end may take."""
        self._ended = True
        until = self._loop.time() + END_S
        await self._wait(self._taking, until)
        self._take()
        await self._wait(self._taking, until)
        await self._wait(self._sinking, until)
        self._sink_owed()
        await self._wait(self._sinking, until)
        for call, what in ((self._taking, UNANCHORED), (self._sinking, UNSUNK)):
            if call is not None:
                self._failed(what, LinewardenError("it was not done when the service ended"))
        if self._timer is not None:
            self._timer.cancel()

    async def _wait(self, future: asyncio.Future[Any] | None, until: float) -> None:
        if future is not None:
            await asyncio.wait({future}, timeout=max(0.0, until - self._loop.time()))
            await asyncio.sleep(0)  # its callbacks are called

    def _set_timer(self) -> None:
        if self._timer is None and not self._ended:
            self._timer = self._loop.call_later(EVERY_S, self._take)

    def _take(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._taking is None:
            self._since = 0
            self._taking = in_thread(self._loop, self._file.add, self._now())
            self._taking.add_done_callback(self._taken)

    def _taken(self, taking: asyncio.Future[bytes | None]) -> None:
        self._taking = None
        if self._succeeded(taking, UNANCHORED):
            if self._sink is not None:
                self._owed = taking.result() or self._owed
            self._sink_owed()
        else:
            self._set_timer()
        if self._since >= EVERY_RECORDS:
            self._take()
        elif self._since:
            self._set_timer()

    def _sink_owed(self) -> None:
        if self._sink is not None and self._owed is not None and self._sinking is None:
            self._sinking = in_thread(self._loop, self._sink, self._owed)
            self._sinking.add_done_callback(self._sunk)
            self._offered = self._owed

    def _sunk(self, sinking: asyncio.Future[None]) -> None:
        self._sinking = None
        if not self._succeeded(sinking, UNSUNK):
            self._set_timer()
        elif self._owed is self._offered:
            self._owed = None
        else:
            self._sink_owed()

    def _succeeded(self, done: asyncio.Future[Any], what: str) -> bool:
        """Whether it did; says once that it works again."""
        error = done.exception()
        if error is None:
            if what in self._failing:
                self._failing.remove(what)
                log.info("anchors are kept again")
            return True
        self._failed(what, error)
        return False

    def _failed(self, what: str, error: BaseException) -> None:
        """Say what fails, once."""
        if what not in self._failing:
            self._failing.add(what)
            # Only our own errors in words: the text of a foreign one may hold anything.
            told = isinstance(error, LinewardenError)
            log.warning("%s: %s", what, error if told else type(error).__name__)


def sink_of(word: str, own: str) -> Sink:
    """What copies anchors: a path, which is appended to, or `| command words`, given each on stdin.

    The command is run without a shell. `own` is the log's own anchors file.
    """
    if word.startswith("|"):
        try:
            command = shlex.split(word[1:])
        except ValueError:
            command = []
        if not command:
            raise InputError("The sink of anchors names no command", hint="as in `| logger`")
        return lambda line: _run(command, line)
    if not word.strip():
        raise InputError("The sink of anchors is empty", hint="a path, or `| command`")
    path = os.path.abspath(word)
    if os.path.realpath(path) in files_of_log(own.removesuffix(".anchors")):
        raise InputError(
            "The sink of anchors is the log, or a file that belongs to it",
            hint="a copy lies elsewhere",
        )
    return lambda line: _append(path, line)


def _append(path: str, line: bytes) -> None:
    # Without waiting: a pipe that nobody reads would hold the thread for ever.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    number = os.open(path, flags, 0o600)
    try:
        while line:
            line = line[os.write(number, line) :]
        with suppress(OSError):  # a pipe or a device has nothing to sync
            os.fsync(number)
    finally:
        os.close(number)


def _run(command: list[str], line: bytes) -> None:
    # A session of its own: what interrupts the service must not interrupt its last anchor.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.communicate(line, timeout=SINK_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise SinkFailed(f"its command took longer than {SINK_S:.0f} s") from None
    if process.returncode:
        raise SinkFailed(f"its command ended with {process.returncode}")
