"""Keeps a service going on an event loop: commits what a turn has queued, and fires timers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..statemachine.policy import NS
from .folding import FOLD_NS
from .service import Service
from .threads import in_thread

INLINE_COMMIT_S = 0.005
"""Above this average a commit runs in a thread: a loop must not be held up (performance.md)."""

RETRY_STORE_S = 1.0
"""How long to wait before a store that could not be written is tried again."""

FOLD_S = FOLD_NS / NS
"""How long what may share a record is held back at most, by the clock of the loop."""

HURRY_S = 0.05
"""… once somebody waits for it: who observes and waits in turn gets twenty a second, not one."""

CHECKPOINT_RECORDS = 1_000
"""Records after which the projections are checkpointed, so that a start reads few."""


CHECKPOINT_VIEW_RECORDS = 250
"""… of those that have so many new records: a view is written whole, and may be large."""


log = logging.getLogger("linewarden.pump")


class Pump:
    """Runs on the loop's thread only.

    `checkpoint(records)` is called now and then, `committed(records)` after each commit.
    """

    def __init__(
        self,
        service: Service,
        loop: asyncio.AbstractEventLoop,
        checkpoint: Callable[[int], None],
        committed: Callable[[int], None],
    ) -> None:
        self._service = service
        self._committed = committed
        self._checkpoint = checkpoint
        self._loop = loop
        self._wake: asyncio.TimerHandle | None = None
        self._release: asyncio.TimerHandle | None = None
        self._hurried: set[str] = set()
        self._flushing: asyncio.Future[None] | None = None
        self._scheduled = False
        self._ended = False
        self._commit_s = 0.0
        self._since_checkpoint = 0

    def schedule(self) -> None:
        """Something is queued: it is committed at the end of this turn of the loop."""
        if not self._scheduled and not self._ended:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def hurry(self, account: str) -> None:
        """Somebody waits for what may be held back of an account."""
        if account not in self._hurried and not self._ended:
            self._hurried.add(account)
            self._loop.call_later(HURRY_S, self._release_hurried, account)

    async def end(self) -> None:
        """No more commits and no more timers; one that is under way is waited for."""
        self._ended = True
        for timer in (self._wake, self._release):
            if timer is not None:
                timer.cancel()
        if self._flushing is not None:
            await asyncio.wait({self._flushing})

    def _flush(self) -> None:
        """Commit here while commits are fast, else in a thread; what comes meanwhile is next."""
        if self._ended:
            return
        if self._commit_s > INLINE_COMMIT_S:
            # A thread of our own: a gateway's clients may hold all threads of the loop's pool.
            self._flushing = in_thread(self._loop, self._timed_flush)
            self._flushing.add_done_callback(lambda _: self._flushed())
        else:
            self._timed_flush()
            self._flushed()

    def _timed_flush(self) -> None:
        start = self._loop.time()
        try:
            self._service.store.flush()
        except Exception:
            # Each request has been told; the next commit opens the store anew.
            log.exception("a commit failed")
        self._commit_s += (self._loop.time() - start - self._commit_s) / 8

    def _flushed(self) -> None:
        self._flushing = None
        self._scheduled = False
        if self._ended:
            return
        records = self._service.answer()
        self._committed(records)
        self._since_checkpoint += records
        if self._since_checkpoint >= CHECKPOINT_RECORDS:
            self._since_checkpoint = 0
            self._checkpoint(CHECKPOINT_VIEW_RECORDS)
        if self._service.unflushed:
            self.schedule()
        if self._service.folding and self._release is None:
            self._release = self._loop.call_later(FOLD_S, self._release_folded)
        self._set_wake()

    def _release_folded(self) -> None:
        self._release = None
        self._service.folding.release_all()
        self.schedule()

    def _release_hurried(self, account: str) -> None:
        self._hurried.remove(account)
        if self._ended:
            return
        self._service.folding.release(account)
        if self._service.unflushed:
            self.schedule()

    def _set_wake(self) -> None:
        """Wake at the next timer, or soon where the store has to be tried again."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        due = self._service.next_due()
        if self._service.behind or (due is not None and not self._service.writable):
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
