"""Plain calls off the loop, each in a daemon thread of its own.

Not a pool: a pool's threads are joined when the interpreter ends, so one call that never returns
(a client's blocking connect) would keep the process alive, and calls queue behind stuck ones.
Whoever calls bounds how many there are.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any


def in_thread(
    loop: asyncio.AbstractEventLoop, call: Callable[..., Any], *given: Any
) -> asyncio.Future[Any]:
    """Call a plain function in a thread; the future is of the loop, and holds what it gave."""
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError("the call raised StopIteration"))
        else:
            future.set_exception(error)

    def run() -> None:
        result, failed = None, None
        try:
            result = call(*given)
        except BaseException as error:  # noqa: BLE001 - whoever awaits the future is told
            failed = error
        try:
            loop.call_soon_threadsafe(lambda: settle(result, failed))
        except RuntimeError:
            return  # the loop has ended, and nobody waits

    threading.Thread(target=run, name="linewarden-call", daemon=True).start()
    return future
