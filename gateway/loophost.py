"""Something that runs on an event loop: on a thread of its own, or on the caller's loop."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ..statemachine.errors import LinewardenError

JOIN_S = 5.0
"""How long an end waits for the thread."""


class NotRunning(LinewardenError):
    """Linewarden is not running: use it inside `with` or `async with`."""


class LoopHost(ABC):
    """`with` starts a thread with a loop, `async with` uses the running one."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.running = False
        self.admitting = False

    @abstractmethod
    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, on the loop."""

    @abstractmethod
    async def _stop(self) -> None:
        """End, on the loop; nothing new is admitted any more."""

    def __enter__(self) -> Self:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="linewarden", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._run(loop), loop).result()
        except BaseException:
            self._end_thread(loop)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        try:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        finally:
            self._end_thread(self._loop)

    async def __aenter__(self) -> Self:
        await self._run(asyncio.get_running_loop())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            raise NotRunning("linewarden has ended", hint="open it again: Linewarden.open(path)")
        self._loop = loop
        self.running = self.admitting = True
        try:
            await self._start(loop)
        except BaseException:
            await self._end()
            raise

    async def _end(self) -> None:
        self.running = False
        await self._stop()

    def _end_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(JOIN_S)
        if not loop.is_running():
            loop.run_until_complete(asyncio.sleep(0))  # calls that came as it ended
            loop.close()

    def _check_running(self) -> None:
        if not self.running:
            raise NotRunning(hint="with Linewarden.open(path) as warden: …")

    def _on_loop(self, call: Callable[..., None], *given: Any) -> None:
        """Call on the loop: now, where this is its thread, else as its next turn."""
        assert self._loop is not None
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            call(*given)
        else:
            # A lambda, because asyncio's debug mode logs the arguments of what it is given.
            try:
                self._loop.call_soon_threadsafe(lambda: call(*given))
            except RuntimeError:
                raise NotRunning("linewarden has ended") from None
