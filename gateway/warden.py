"""`Linewarden`: what a gateway embeds. The service on an event loop, its own or the caller's.

With `with` it runs on a thread of its own and every method may be called from any thread; with
`async with` it runs on the running loop. Methods never block: they return promises that can be
waited for or awaited.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ..eventstore import Record, open_store
from ..eventstore.errors import StoreUnavailable
from ..projections.projections import Projections
from ..statemachine.errors import LinewardenError
from ..statemachine.outcome import Effect, Send, Settled
from .clock import Clock, SystemClock
from .dice import Dice
from .driver import Driver
from .guard import guarded_target, outgoing_of
from .hands import Hands
from .notices import Notices
from .receipt import Decided, Promise, Receipt
from .redaction import install_redaction
from .router import Router, Skipped
from .service import Service

INLINE_COMMIT_S = 0.005
"""Above this average a commit runs in a thread: a loop must not be held up (performance.md)."""

RETRY_STORE_S = 1.0
"""How long to wait before a store that could not be written is tried again."""

END_S = 5.0
"""How long an end waits for drivers that are still busy."""

CHECKPOINT_RECORDS = 1_000
"""Records after which the projections are checkpointed, so that a start reads few."""

log = logging.getLogger("linewarden.warden")


class NotRunning(LinewardenError):
    """Linewarden is not running: use it inside `with` or `async with`."""


class Linewarden:
    """Keeps the lifecycle of a gateway's connections, and routes its replies."""

    def __init__(self, service: Service, driver: Driver | None = None) -> None:
        self._service = service
        self._default_driver = driver or Driver()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._hands: Hands | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._commit_s = 0.0
        self._since_checkpoint = 0
        self._running = False
        self._notices = Notices(service.store)
        self.router = Router(self)

    @classmethod
    def open(
        cls,
        path_or_dsn: str | os.PathLike[str] = "linewarden.db",
        *,
        holder: str = "main",
        driver: Driver | None = None,
        policy: dict[str, Any] | None = None,
        policies: dict[str, dict[str, Any]] | None = None,
        clock: Clock | None = None,
        dice: Dice | None = None,
    ) -> Self:
        """Open the log and make it where there is none; start with `with` or `async with`.

        `holder` names this gateway among others on the same log. `driver` acts for controllers that
        have none of their own. `policy` is the preset with overrides for all accounts, `policies`
        by account. Raises `StoreLocked`, `NotALinewardenStore`, `NewerSchema`, `ReadOnlyStore` or
        `PolicyError`, each with a hint.
        """
        install_redaction()
        store = open_store(path_or_dsn, name=holder)
        try:
            service = Service(
                store,
                holder=holder,
                clock=clock or SystemClock(),
                dice=dice or Dice(),
                policy=policy,
                policies=policies,
            )
        except BaseException:
            store.close()
            raise
        return cls(service, driver)

    # Running

    def __enter__(self) -> Self:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="linewarden", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(loop), loop).result()
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
        loop = self._running_loop()
        try:
            asyncio.run_coroutine_threadsafe(self._stop(), loop).result()
        finally:
            self._end_thread(loop)

    async def __aenter__(self) -> Self:
        await self._start(asyncio.get_running_loop())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._hands = Hands(self._default_driver, loop)
        self._service.perform = self._perform
        self._service.settled = self._settled
        self._service.queued = self._schedule
        self._running = True
        for account, controller, notice in self._notices.undelivered(self._service):
            self._notify(account, controller, notice)
        self._service.start()

    async def _stop(self) -> None:
        self._running = False
        service = self._service
        try:
            service.stop()
            service.projections.checkpoint(service.store)
        except StoreUnavailable as error:
            log.error("the stop could not be recorded: %s", error)
        if self._wake is not None:
            self._wake.cancel()
        self.router.abandon(NotRunning("linewarden ended before the reply had an outcome"))
        if self._hands is not None:
            await self._hands.end(END_S)
        service.store.close()

    def _end_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(END_S)
        if not loop.is_running():
            loop.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._hands is None:
            raise NotRunning(hint="with Linewarden.open(path) as warden: …")
        return self._loop

    # What a gateway calls, from any thread

    @property
    def projections(self) -> Projections:
        """The live view of the log: read it, never write it."""
        return self._service.projections

    def observe(self, account: str, name: str, **fields: Any) -> Receipt:
        """Record what was seen of a connection, for any engine; never blocks.

        `name` is a stimulus, `fields` are its own (`controller=`, `source=`, `code=` …). Personal
        values are swapped for tokens on the way. Raises `InputError` at once if it is not
        understood, else the receipt holds the outcome, or what went wrong with the store.
        """
        if not self._running:
            raise NotRunning(hint="with Linewarden.open(path) as warden: …")
        given = {"at": self._service.now(), **fields, "stimulus": name}
        clean = self._service.check(account, given)
        receipt = Receipt(fields.get("controller"))
        self._on_loop(self._admit, account, clean, receipt)
        return receipt

    def claim(
        self,
        account: str,
        controller: str | None = None,
        *,
        driver: Driver | None = None,
        reason: str = "start",
    ) -> Receipt:
        """Take an account for a new controller; `receipt.controller` is its name.

        The driver acts for this controller. A claim supersedes the account's older controller,
        whose captured replies now leave through this one if it is the same identity.
        """
        name = controller or self.new_name("c")
        if driver is not None:
            self._running_loop()
            assert self._hands is not None
            self._hands.bind(name, driver)
        receipt = self.observe(
            account, "claimed", controller=name, holder=self._service.holder, reason=reason
        )
        receipt.controller = name
        return receipt

    def attach(self, client: Any, account: str, **options: Any) -> Any:
        """Attach a neonize client in one call: claims the account and observes its events."""
        from .whatsapp import attach

        return attach(self, client, account, **options)

    def new_name(self, prefix: str) -> str:
        """A name for a controller or a reply that nothing else in the log has."""
        return prefix + self._service.dice.record_id(self._service.now()).hex()

    def operate(
        self, account: str, operation: Callable[[Any], Any], captured_on: str | None
    ) -> Promise[Any]:
        """Run an operation on the live controller of an account; `Skipped` if there is none."""
        promise: Promise[Any] = Promise()
        self._running_loop()
        self._on_loop(self._operate, account, operation, captured_on, promise)
        return promise

    # On the loop

    def _on_loop(self, call: Callable[..., None], *given: Any) -> None:
        loop = self._running_loop()
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is loop:
            call(*given)
        else:
            loop.call_soon_threadsafe(call, *given)

    def _admit(self, account: str, clean: dict[str, Any], receipt: Receipt) -> None:
        def then(what: Decided | Exception) -> None:
            if receipt.cancelled():
                return
            if isinstance(what, Exception):
                receipt.set_exception(what)
            else:
                receipt.set_result(what)

        try:
            self._service.observe(account, self._service.admit(clean), then)
        except LinewardenError as error:
            then(error)

    def _schedule(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Commit what a turn of the loop has queued: here while that is fast, else in a thread."""
        assert self._loop is not None
        if self._commit_s > INLINE_COMMIT_S:
            flushed = self._loop.run_in_executor(None, self._timed_flush)
            flushed.add_done_callback(lambda _: self._flushed())
        else:
            self._timed_flush()
            self._flushed()

    def _timed_flush(self) -> None:
        assert self._loop is not None
        start = self._loop.time()
        self._service.store.flush()
        self._commit_s += (self._loop.time() - start - self._commit_s) / 8

    def _flushed(self) -> None:
        self._scheduled = False
        self._since_checkpoint += self._service.answer()
        if self._since_checkpoint >= CHECKPOINT_RECORDS and self._running:
            self._since_checkpoint = 0
            self._service.projections.checkpoint(self._service.store)
        if self._service.unflushed:
            self._schedule()
        self._set_wake()

    def _set_wake(self) -> None:
        """Wake at the next timer, or soon where the store has to be tried again."""
        assert self._loop is not None
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if not self._running:
            return
        due = self._service.next_due()
        waits = [] if due is None else [max(0.0, (due - self._service.now()) / 1e9)]
        if self._service.behind:
            waits = [RETRY_STORE_S]
        if waits:
            self._wake = self._loop.call_later(min(waits), self._tick)

    def _tick(self) -> None:
        self._wake = None
        if self._service.behind:
            self._service.retry_backlog()
        self._service.fire_due()
        self._set_wake()

    def _perform(self, account: str, effect: Effect, decided: Decided) -> None:
        assert self._hands is not None
        if isinstance(effect, Send):
            cause = (decided.record.version, decided.record.version)
            self._hands.send(
                lambda: outgoing_of(self._service, self.router, account, effect),
                lambda name, **fields: self._answer(account, effect, cause, name, fields),
            )
            return
        self._hands.perform(account, self._service.account(account).controller, effect)
        self._notices.performed(account, effect, decided.record)

    def _notify(self, account: str, controller: str, notice: str) -> None:
        assert self._hands is not None
        from ..statemachine.outcome import Notify

        self._hands.perform(account, controller, Notify(controller, notice))

    def _answer(
        self,
        account: str,
        effect: Send,
        cause: tuple[int, int],
        name: str,
        fields: dict[str, Any],
    ) -> None:
        """What came of a send is a stimulus again."""
        if not self._running:
            return
        message_id = fields.get("message_id")
        self.router.note_message_id(account, effect.reply, message_id)
        given = {
            "at": self._service.now(),
            "stimulus": name,
            "controller": effect.controller,
            "source": "worker",
            "reply": effect.reply,
            **fields,
        }
        self._service.observe_answer(account, given, cause)

    def _settled(self, account: str, reply: str, settled: Settled, record: Record) -> None:
        self.router.settled(account, reply, settled, record)

    def _operate(
        self,
        account: str,
        operation: Callable[[Any], Any],
        captured_on: str | None,
        promise: Promise[Any],
    ) -> None:
        assert self._hands is not None and self._loop is not None
        hands = self._hands
        controller = guarded_target(self._service.account(account), captured_on)
        if controller is None:
            promise.set_exception(Skipped(hint="best effort: nothing was done in the gap"))
            return

        async def run() -> None:
            try:
                promise.set_result(await hands.run(operation, hands.driver(controller).target))
            except Exception as error:  # noqa: BLE001 - it is the gateway's, and told to it
                promise.set_exception(error)

        hands.spawn(run())
