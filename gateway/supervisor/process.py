"""One worker process: spawned, spoken with over two pipes of its own, and ended for certain.

Its standard output and error are the library's to print on; lines from there are only logged. The
process is over when it was waited for and everything that it told has been heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import msgspec

from ..redaction import package_logger
from ..worker.check import worker_environment
from ..worker.protocol import (
    LINE_BYTES_MAX,
    Alive,
    AnyReport,
    Ask,
    Begin,
    End,
    Logged,
    Order,
    encoded,
    report_of,
)

ASK_S = 10.0
"""How often a worker is asked whether it lives."""

ANSWER_S = 15.0
"""How long it may be silent then; it answers within 3 s unless it hangs, a loaded machine later."""

END_S = 2.0
"""How long it may take to end when asked; then it is killed. A stop as a whole has 5 s."""

HEARING_S = 1.0
"""How long after its end what it told is read; a child of its own may hold its pipes open."""

_ALARMING = re.compile(r"panic:|fatal error:|[\w.]*(?:Error|Exception|Interrupt)\b")
"""How the lines begin that say why a process died."""

log = package_logger("linewarden.worker")


class Process:
    """A worker process of one account."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: Callable[[AnyReport], None] = lambda _: None
        self._ended: Callable[[], None] = lambda: None
        self._process: asyncio.subprocess.Process | None = None
        self._orders: asyncio.WriteTransport | None = None
        self._asked = 0
        self._next_ask: asyncio.TimerHandle | None = None
        self._over: asyncio.Task[None] | None = None
        self.ending = False
        """Whether its end was asked for."""
        self.hung = False
        """Whether it was killed because it did not answer."""

    @property
    def over(self) -> bool:
        """Whether it has ended and everything that it told was heard."""
        return self._over is None or self._over.done()

    @property
    def pid(self) -> int | None:
        """Its number, once it was spawned."""
        return self._process.pid if self._process is not None else None

    @property
    def exit(self) -> dict[str, int]:
        """How it ended: `signal` or `exit_code`."""
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return {}
        return {"signal": -code} if code < 0 else {"exit_code": code}

    async def start(
        self,
        command: Sequence[str],
        begin: Begin,
        told: Callable[[AnyReport], None],
        ended: Callable[[], None],
    ) -> None:
        """Spawn it, never fork: Go doesn't survive one. Raises `OSError` where that fails.

        `told(report)` and, last of all, `ended()` are called on the loop.
        """
        self._told, self._ended = told, ended
        loop = asyncio.get_running_loop()
        with ExitStack() as ours, ExitStack() as theirs:
            orders, orders_in = _pipe(theirs, ours)
            reports_out, reports = _pipe(ours, theirs)
            output_out, output = _pipe(ours, theirs)
            # No pipes of asyncio's: its wait() would last until a child of the worker let go.
            self._process = await asyncio.create_subprocess_exec(
                *(*command, str(orders), str(reports)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(orders, reports),
                start_new_session=True,
                env=worker_environment(os.environ),
            )
            ours.pop_all()
        files = [os.fdopen(orders_in, "wb", 0), os.fdopen(reports_out, "rb", 0)]
        files.append(os.fdopen(output_out, "rb", 0))
        log.info("account %s: worker %d started", self._name, self._process.pid)
        hearing = _Hearing(self._hear), _Hearing(self._hear_printed)
        self._over = loop.create_task(self._live(self._process, hearing))
        self._orders, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, files[0])
        for one, file in zip(hearing, files[1:], strict=True):
            await loop.connect_read_pipe(partial(_same, one), file)
        self.tell(begin)
        self._next_ask = loop.call_later(ASK_S, self._ask)

    def tell(self, order: Order) -> None:
        """Give an order; it is lost where the process is over, whose end is told anyway."""
        if self._orders is not None and not self._orders.is_closing():
            self._orders.write(encoded(order))

    async def end(self, force: bool = False) -> None:
        """Ask it to end, kill it where it doesn't, or at once, and wait until it is over."""
        self.ending = True
        if self._over is None or self._over.done():
            return
        if not force:
            self.tell(End())
            await asyncio.wait({self._over}, timeout=END_S)
        self.kill()
        await asyncio.wait({self._over})

    def kill(self) -> None:
        """Kill it, with whatever it started."""
        if self._process is not None and not self.over:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _live(
        self, process: asyncio.subprocess.Process, hearing: tuple[_Hearing, ...]
    ) -> None:
        await process.wait()
        self.kill()  # what it started must not outlive it
        await asyncio.wait({one.over for one in hearing}, timeout=HEARING_S)
        for one in hearing:
            one.close()
        if self._orders is not None and not self._orders.is_closing():
            self._orders.abort()
        if self._next_ask is not None:
            self._next_ask.cancel()
        level = logging.INFO if self.ending else logging.WARNING
        how = " ".join(f"{key} {value}" for key, value in self.exit.items())
        log.log(level, "account %s: worker %d ended, %s", self._name, process.pid, how)
        self._ended()

    # What it tells

    def _hear(self, line: bytes) -> None:
        try:
            report = report_of(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            what = type(error).__name__
            log.error("account %s: a report was not understood: %s", self._name, what)
            return
        match report:
            case Alive(number=number):
                self._heard_alive(number)
            case Logged(level=level, name=name, text=text):
                log.log(level, "account %s: %s: %s", self._name, name, text)
            case _:
                try:
                    self._told(report)
                except Exception as error:  # noqa: BLE001 - the next report must be heard
                    what = type(report).__name__
                    log.error("account %s: at %s: %s", self._name, what, type(error).__name__)

    def _hear_printed(self, line: bytes) -> None:
        """What the library prints, line by line: a panic's trace, most of all."""
        text = line.decode("utf-8", "replace")
        level = logging.WARNING if _ALARMING.match(text) else logging.DEBUG
        log.log(level, "account %s: printed: %s", self._name, text)

    # Whether it lives

    def _ask(self) -> None:
        self._asked += 1
        self.tell(Ask(number=self._asked))
        self._set_ask(ANSWER_S, self._no_answer)

    def _heard_alive(self, number: int) -> None:
        if number == self._asked:
            self._set_ask(ASK_S, self._ask)

    def _no_answer(self) -> None:
        log.error("account %s: the worker hangs and is killed", self._name)
        self.hung = True
        self.kill()

    def _set_ask(self, after_s: float, then: Callable[[], None]) -> None:
        if self._next_ask is not None:
            self._next_ask.cancel()
        self._next_ask = asyncio.get_running_loop().call_later(after_s, then)


class _Hearing(asyncio.Protocol):
    """Cuts what comes through a pipe into lines."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._begun = bytearray()
        self._transport: Any = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._heard(bytes(self._begun) + line)
            self._begun.clear()
        self._begun += rest
        if len(self._begun) > LINE_BYTES_MAX:
            self._begun.clear()
            log.error("a report was too long, and is lost")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _pipe(outs: ExitStack, ins: ExitStack) -> tuple[int, int]:
    """A pipe, whose two ends are closed by two stacks."""
    out, into = os.pipe()
    outs.callback(os.close, out)
    ins.callback(os.close, into)
    return out, into


def _same(hearing: _Hearing) -> _Hearing:
    return hearing
