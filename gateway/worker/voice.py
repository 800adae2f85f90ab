"""How a worker speaks: reports leave through one thread, so that whoever tells is never held up.

The library's callbacks run on Go's own thread, and a full pipe would stop the connection.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from concurrent.futures import Future
from typing import Any

import msgspec

from ..clock import Clock
from ..redaction import redact
from .protocol import Logged, Observed, Recorded, Report, encoded

EXIT_UNHEARD = 3
"""The process ends with this where its service is gone."""

log = logging.getLogger("linewarden.worker")

LINE_MAX = 1_000
"""Characters that are kept of a line of the log."""


class Voice:
    """Tells the service, over the pipe `descriptor`."""

    def __init__(self, descriptor: int, clock: Clock) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self._reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._openings = 0
        self._opening: Future[None] | None = None
        self._standing: tuple[int, float] | None = None
        self._thread = threading.Thread(target=self._speak, name="linewarden-voice", daemon=True)
        self._thread.start()

    def tell(self, report: Report) -> None:
        """Queue a report; it leaves in its turn."""
        self._reports.put(report)

    def finish(self, within_s: float) -> None:
        """Let what is queued leave, for so long."""
        self._reports.put(None)
        self._thread.join(within_s)

    def _speak(self) -> None:
        while (report := self._reports.get()) is not None:
            try:
                line = memoryview(encoded(report))
            except (UnicodeEncodeError, msgspec.MsgspecError, TypeError):
                log.error("a report could not be told: %s", type(report).__name__)
                continue
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                os._exit(EXIT_UNHEARD)  # nobody listens, and a client lets no interpreter end

    # What an attachment needs of `Linewarden`

    def observe(self, account: str, name: str, **fields: Any) -> Any:
        """Tell a stimulus, stamped now; gives the promise of an opening's record."""
        del account, fields["controller"], fields["source"]  # the service knows them better
        promise: Future[None] | None = None
        number = None
        if name == "opened":
            promise = Future()
            number = self._openings = self._openings + 1
            self._opening = promise
        at = self._clock.now()
        self.tell(Observed(name=name, at=at, fields=fields, number=number))
        return promise

    def recorded(self, recorded: Recorded) -> None:
        """The service says under which number an opening stands in the log."""
        self._standing = recorded.socket, recorded.silence_s
        if recorded.number == self._openings and self._opening is not None:
            self._opening.set_result(None)

    def standing(self, account: str, controller: str) -> tuple[int, float] | None:
        """The newest socket and the policy's `silence_s`, as the service said."""
        del account, controller
        return self._standing

    def claim(self, account: str, controller: str | None = None, **how: Any) -> Any:
        """Claims are the service's to make."""
        raise AssertionError("a worker claims nothing")


class LogToService(logging.Handler):
    """Hands log lines to the service; they are redacted here already."""

    def __init__(self, voice: Voice) -> None:
        super().__init__(logging.INFO)
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a line, and of an error that goes with it no more than its kind."""
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a line whose arguments don't fit is still a line
            text = str(record.msg)
        if record.exc_info is not None and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__})"
        self._voice.tell(
            Logged(level=record.levelno, name=record.name, text=redact(text, LINE_MAX))
        )
