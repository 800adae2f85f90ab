"""Effects carried out: each by the driver of its controller, in order, and never on the loop.

A plain method runs in a thread, a coroutine on the loop. What an account asks for is done in the
order of its log; only sends run beside each other, since the machine keeps the order of a chat.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any

from ..statemachine.errors import LinewardenError
from ..statemachine.outcome import Claim, CloseSocket, Dial, Effect, Notify, Purge, Send
from ..statemachine.parsing import is_name
from .driver import Driver, NotSent, Outgoing, SendRejected
from .threads import in_thread

SENDS_MAX = 64
"""Plain sends that may block at once, in threads; one of neonize was measured to take 75 s."""

ACCOUNT_SENDS_MAX = 8
"""… and of one account: a line that answers nothing must not take the threads of all others."""

EFFECT_S = 10.0
"""How long an effect waits for the one before it; then a hanging driver is passed by."""

CANCEL_S = 0.2
"""How long whatever is cancelled at an end has to hear of it."""

NOTICE_RETRY_S = 60.0
"""When a notice that a driver could not deliver is tried again."""

Write = Callable[[], Outgoing | None]
"""The last check before a write, and what to write; None where it must not be written."""

log = logging.getLogger("linewarden.hands")


class Hands:
    """Calls drivers. `answer(account, name, **fields)` reports what came of a send."""

    def __init__(self, default: Driver, loop: asyncio.AbstractEventLoop) -> None:
        self._default = default
        self._loop = loop
        self._drivers: dict[str, Driver] = {}
        self._bound: dict[str, set[str]] = {}
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: list[asyncio.TimerHandle] = []
        self._ended = False
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._threads = asyncio.Semaphore(SENDS_MAX)

    def bind(self, account: str, controller: str, driver: Driver) -> None:
        """This driver acts for the controller from now on."""
        self._drivers[controller] = driver
        self._bound.setdefault(account, set()).add(controller)

    def release(self, account: str, needed: set[str | None]) -> None:
        """Let go of the drivers of an account's controllers, but for those still needed."""
        for controller in self._bound.get(account, set()) - needed:
            self._drivers.pop(controller, None)
            self._bound[account].discard(controller)

    def driver(self, controller: str | None) -> Driver:
        """The driver of a controller, or the gateway's default."""
        return self._drivers.get(controller or "", self._default)

    def is_bound(self, controller: str) -> bool:
        """Whether anything in this process may hold a socket of the controller."""
        return type(self.driver(controller)) is not Driver

    def perform(
        self,
        account: str,
        newest: str | None,
        effect: Effect,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Do what an effect other than a send asks for, after what the account asked before.

        `done` is called when the driver has returned. Nothing waits for a dial: engines whose
        connect blocks for as long as they are connected are common.
        """
        call = self._call_of(account, newest, effect)
        # Nothing waits for a notice either: somebody's web hook may take its time.
        before = None if isinstance(effect, Notify) else self._last.get(account)
        task = self.spawn(self._in_order(account, effect, call, done, before))
        if not isinstance(effect, Dial | Notify):
            self._last[account] = task

    def _call_of(self, account: str, newest: str | None, effect: Effect) -> tuple[Any, ...]:
        match effect:
            case Dial(controller, socket):
                return self.driver(controller).dial, controller, socket
            case CloseSocket(controller, socket, force):
                return self.driver(controller).close_socket, controller, socket, force
            case Purge(controller):
                return self.driver(controller).purge, controller
            case Notify(controller, notice):
                return self.driver(controller).notify, account, controller, notice
            case Claim(reason):
                return self.driver(newest).claim, account, reason
            case Send():
                raise LinewardenError("a send is written by `send`")

    async def _in_order(
        self,
        account: str,
        effect: Effect,
        call: tuple[Any, ...],
        done: Callable[[], None],
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            # A session is deleted only when its client has stopped, however long that takes.
            patience = None if isinstance(effect, Purge) else EFFECT_S
            await asyncio.wait({before}, timeout=patience)
        try:
            await self.run(*call)
            done()
        except Exception as error:  # noqa: BLE001 - a driver's fault must not end the service
            kind, failure = type(effect).__name__, type(error).__name__
            log.error("the driver failed at %s for account %s: %s", kind, account, failure)
            if isinstance(effect, Notify) and not self._ended:
                self._tell_later(account, effect, done)
        if self._last.get(account) is asyncio.current_task():
            del self._last[account]

    def _tell_later(self, account: str, notice: Notify, done: Callable[[], None]) -> None:
        """An operator must hear of it, sooner or later."""
        now = self._loop.time()
        self._later = [handle for handle in self._later if handle.when() > now]
        again = (account, notice.controller, notice, done)
        self._later.append(self._loop.call_later(NOTICE_RETRY_S, self.perform, *again))

    def send(self, account: str, write: Write, answer: Callable[..., Any]) -> None:
        """Write a reply and report the answer. `write` makes the last check, at the moment."""
        self.spawn(self._send(account, write, answer))

    async def _send(self, account: str, write: Write, answer: Callable[..., Any]) -> None:
        outgoing = write()
        if outgoing is not None and not self._is_coroutine(outgoing):
            # Plain calls have threads, and those have a bound. Who waits for one is looked at again
            # when its turn comes: the line may have changed hands meanwhile.
            async with self._slots_of(account), self._threads:
                await self._write(write(), answer)
        else:
            await self._write(outgoing, answer)

    async def _write(self, outgoing: Outgoing | None, answer: Callable[..., Any]) -> None:
        if outgoing is None:
            answer("send_failed", kind="not_sent", detail="no longer live at the write")
            return
        driver = self.driver(outgoing.controller)
        try:
            result = await self.run(*_call_of_write(driver, outgoing))
        except Exception as error:  # noqa: BLE001 - whatever it was, it must be answered
            kind, detail = _failure(driver, error)
            answer("send_failed", kind=kind, detail=detail)
        else:
            message_id = getattr(result, "ID", result)
            answer("send_acked", message_id=message_id if is_name(message_id) else None)

    def _is_coroutine(self, outgoing: Outgoing) -> bool:
        call = outgoing.message
        if not callable(call):
            call = self.driver(outgoing.controller).send
        return inspect.iscoroutinefunction(call)

    def _slots_of(self, account: str) -> asyncio.Semaphore:
        slots = self._slots.get(account)
        if slots is None:
            slots = self._slots[account] = asyncio.Semaphore(ACCOUNT_SENDS_MAX)
        return slots

    async def run(self, call: Callable[..., Any], *given: Any) -> Any:
        """Call a coroutine function here and a plain function in a thread; await what they give."""
        if inspect.iscoroutinefunction(call):
            return await call(*given)
        result = await in_thread(self._loop, call, *given)
        return await result if inspect.isawaitable(result) else result

    def spawn(self, coroutine: Any) -> asyncio.Task[None]:
        """Run a coroutine that the end will wait for."""
        task: asyncio.Task[None] = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, within_s: float) -> None:
        """Wait for what is under way, then leave it: a stuck driver must not hold up an end."""
        self._ended = True
        for handle in self._later:
            handle.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within_s)
        late = set(self._tasks)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_S)


def _call_of_write(driver: Driver, outgoing: Outgoing) -> tuple[Any, ...]:
    """What writes a message: the driver, or the message itself after the driver's last look."""
    message = outgoing.message
    if not callable(message):
        return driver.send, outgoing
    if inspect.iscoroutinefunction(message):

        async def looked_at(target: Any) -> Any:
            driver.check(outgoing)
            return await message(target)

        return looked_at, driver.target

    def looked_at_in_thread(target: Any) -> Any:
        driver.check(outgoing)
        return message(target)

    return looked_at_in_thread, driver.target


def _failure(driver: Driver, error: Exception) -> tuple[str, str]:
    """What an exception at the write means for the reply; nobody knows if an unknown one left."""
    judged = error if isinstance(error, NotSent | SendRejected) else driver.judge(error)
    if isinstance(judged, NotSent):
        return "not_sent", judged.message
    if isinstance(judged, SendRejected):
        return "rejected", judged.message
    # The text of a stranger's exception could be anything.
    ours = isinstance(judged, LinewardenError)
    return "unknown", str(judged) if ours else type(error).__name__
