"""Appends from coroutines: what one turn of an event loop asks for shares one commit.

Committing on the loop itself is fastest while commits are fast: no thread has to be woken. When
the moving average says that a commit would hold up the loop for too long, a thread does it, and
what is asked for meanwhile forms the next group.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .errors import StoreUnavailable
from .records import Append, Record

# Above this an event loop begins to be late for its timers and sockets: a measured commit of one
# record takes 0.2 ms on an idle disk and 4 ms on a busy one.
INLINE_SECONDS_MAX = 0.005
_WEIGHT = 0.2  # of the newest flush in the moving average


class _Turn:
    """What the coroutines of one loop wait for."""

    __slots__ = ("flush_seconds", "flushing", "loop", "scheduled", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.scheduled = False
        self.flushing = False
        self.flush_seconds = 0.0  # moving average, by the clock of the loop
        self.waiting: list[tuple[Append, asyncio.Future[list[Record]]]] = []


class Turns:
    """Gathers the appends of each event loop and flushes them once a turn."""

    def __init__(self, enqueue: Callable[[Append], None], flush: Callable[[], None]) -> None:
        self._enqueue = enqueue
        self._flush = flush
        self._turns: dict[asyncio.AbstractEventLoop, _Turn] = {}
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, append: Append) -> "asyncio.Future[list[Record]]":
        """Queue a request and return the future of its answer, for the loop that is running.

        Cancelling the future does not take the request back: its ids tell what became of it.
        """
        loop = asyncio.get_running_loop()
        turn = self._turns.get(loop) or self._enter(loop)
        self._enqueue(append)
        future: asyncio.Future[list[Record]] = loop.create_future()
        turn.waiting.append((append, future))
        if not turn.scheduled:
            turn.scheduled = True
            loop.call_soon(self._run, turn)
        return future

    def close(self) -> None:
        """Stop the thread, if there was need of one."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> _Turn:
        for known in [known for known in self._turns if known.is_closed()]:
            del self._turns[known]
        return self._turns.setdefault(loop, _Turn(loop))

    def _run(self, turn: _Turn) -> None:
        turn.scheduled = False
        if turn.flushing:
            return  # the thread is at work; what came since goes into its next group
        started = turn.loop.time()
        if turn.flush_seconds <= INLINE_SECONDS_MAX:
            failure: BaseException | None = None
            try:
                self._flush()
            except Exception as error:  # noqa: BLE001 - told to those who wait
                failure = error
            _settle(turn, started, failure)
            return
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="linewarden-commit")
        turn.flushing = True
        flushed = turn.loop.run_in_executor(self._executor, self._flush)
        flushed.add_done_callback(lambda future: self._flushed(turn, started, future))

    def _flushed(self, turn: _Turn, started: float, flushed: "asyncio.Future[None]") -> None:
        turn.flushing = False
        failure = None if flushed.cancelled() else flushed.exception()
        _settle(turn, started, failure)
        if turn.waiting and not turn.scheduled:
            turn.scheduled = True
            self._run(turn)


def _settle(turn: _Turn, started: float, failure: BaseException | None) -> None:
    """Answer the coroutines whose requests are decided; the others wait for the next group."""
    turn.flush_seconds += _WEIGHT * (turn.loop.time() - started - turn.flush_seconds)
    open_still = []
    for append, future in turn.waiting:
        if future.done():
            continue
        if append.error is not None:
            future.set_exception(append.error)
        elif append.result is not None:
            future.set_result(append.result)
        elif failure is not None:
            error = StoreUnavailable("The request was not written")
            error.__cause__ = failure
            future.set_exception(error)
        else:
            open_still.append((append, future))
    turn.waiting = open_still
