"""Keeps a service going on an event loop: commits what a turn has queued, and fires timers."""

from __future__ import annotations

import asyncio

from .service import Service

INLINE_COMMIT_S = 0.005
"""Above this average a commit runs in a thread: a loop must not be held up (performance.md)."""

RETRY_STORE_S = 1.0
"""How long to wait before a store that could not be written is tried again."""

CHECKPOINT_RECORDS = 1_000
"""Records after which the projections are checkpointed, so that a start reads few."""


class Pump:
    """Runs on the loop's thread only."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self._service = service
        self._loop = loop
        self._wake: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._ended = False
        self._commit_s = 0.0
        self._since_checkpoint = 0

    def schedule(self) -> None:
        """Something is queued: it is committed at the end of this turn of the loop."""
        if not self._scheduled and not self._ended:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def end(self) -> None:
        """No more commits and no more timers."""
        self._ended = True
        if self._wake is not None:
            self._wake.cancel()

    def _flush(self) -> None:
        """Commit here while commits are fast, else in a thread; what comes meanwhile is next."""
        if self._ended:
            return
        if self._commit_s > INLINE_COMMIT_S:
            flushed = self._loop.run_in_executor(None, self._timed_flush)
            flushed.add_done_callback(lambda _: self._flushed())
        else:
            self._timed_flush()
            self._flushed()

    def _timed_flush(self) -> None:
        start = self._loop.time()
        self._service.store.flush()
        self._commit_s += (self._loop.time() - start - self._commit_s) / 8

    def _flushed(self) -> None:
        if self._ended:
            return
        self._scheduled = False
        self._since_checkpoint += self._service.answer()
        if self._since_checkpoint >= CHECKPOINT_RECORDS:
            self._since_checkpoint = 0
            self._service.projections.checkpoint(self._service.store)
        if self._service.unflushed:
            self.schedule()
        self._set_wake()

    def _set_wake(self) -> None:
        """Wake at the next timer, or soon where the store has to be tried again."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        due = self._service.next_due()
        if self._service.behind:
            wait = RETRY_STORE_S
        elif due is not None:
            wait = max(0.0, (due - self._service.now()) / 1e9)
        else:
            return
        self._wake = self._loop.call_later(wait, self._tick)

    def _tick(self) -> None:
        self._wake = None
        if self._ended:
            return
        if self._service.behind:
            self._service.retry_backlog()
        else:
            self._service.fire_due()
        self._set_wake()
