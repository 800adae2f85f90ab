"""`Linewarden`: what a gateway embeds. The service on an event loop, its own or the caller's.

With `with` it runs on a thread of its own and every method may be called from any thread; with
`async with` it runs on the running loop. Methods never block: they return promises that can be
waited for or awaited.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from ..eventstore import open_store
from ..projections.projections import Projections
from ..statemachine.errors import LinewardenError
from ..statemachine.outcome import CloseSocket, Effect, Send
from .clock import Clock, SystemClock
from .dice import Dice
from .driver import Driver
from .guard import guarded_target, outgoing_of
from .hands import Hands
from .loophost import LoopHost, NotRunning
from .notices import Notices
from .pump import Pump
from .receipt import Decided, Promise, Receipt
from .redaction import install_redaction
from .router import Router, Skipped
from .service import Service

END_S = 5.0
"""How long an end waits for drivers that are still busy."""

log = logging.getLogger("linewarden.warden")


class Linewarden(LoopHost):
    """Keeps the lifecycle of a gateway's connections, and routes its replies."""

    def __init__(self, service: Service, driver: Driver | None = None) -> None:
        self._service = service
        self._default_driver = driver or Driver()
        super().__init__()
        self._hands: Hands | None = None
        self._pump: Pump | None = None
        self._notices = Notices(service.store)
        self._left: set[str | None] = set()
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

    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._hands = Hands(self._default_driver, loop)
        self._service.perform = self._perform
        self._service.settled = self.router.settled
        self._pump = Pump(self._service, loop, self._checkpoint)
        self._service.queued = self._pump.schedule
        for account, notice, version in self._notices.undelivered(self._service):
            done = partial(self._notices.performed, account, notice, version)
            self._notices.asked(account, notice, version)
            self._hands.perform(account, notice.controller, notice, done)
        self._left = {self._service.account(name).controller for name in self._service.accounts()}
        self._service.start()

    async def _stop(self) -> None:
        """Rest the accounts, let drivers close what they hold and tell of it; close the log."""
        service = self._service
        try:
            self._record(service.stop)
            self.router.abandon(NotRunning("linewarden ended before the reply had an outcome"))
            if self._hands is not None:
                await self._hands.end(END_S)
            if self._pump is not None:
                await self._pump.end()
            self.admitting = False
            self._record(partial(service.conclude, NotRunning("linewarden has ended")))
            self._record(partial(self._checkpoint, 1))
        finally:
            self.admitting = False
            service.store.close()

    def _record(self, write: Callable[[], None]) -> None:
        try:
            write()
        except LinewardenError as error:
            log.error("the stop could not be recorded: %s", error)

    def close(self) -> None:
        """Give the log back where it was opened and never entered; an end does it by itself."""
        if not self.running:
            self._service.store.close()

    def _checkpoint(self, records_min: int) -> None:
        """Spare the next start reading: of views and notices with so many new records."""
        self._service.projections.checkpoint(self._service.store, records_min=records_min)
        self._notices.rest(self._service, records_min)

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
        self._check_admitting(name)
        given = {"at": self._service.now(), **fields, "stimulus": name}
        clean = self._service.check(account, given)
        receipt = Receipt(fields.get("controller"))
        self._on_loop(self._admit, account, clean, receipt)
        return receipt

    def _check_admitting(self, name: str) -> None:
        """While it ends, what is seen is still recorded; nothing new is begun."""
        if name in ("claimed", "reply_submitted") or not self.admitting:
            self._check_running()

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
            self._check_running()
            assert self._hands is not None
            self._hands.bind(account, name, driver)
        receipt = self.observe(
            account, "claimed", controller=name, holder=self._service.holder, reason=reason
        )
        receipt.controller = name
        return receipt

    def attach(self, client: Any, account: str, **options: Any) -> Any:
        """Attach a neonize client in one call: claims the account and observes its events."""
        from .whatsapp.adapter import attach

        return attach(self, client, account, **options)

    def new_name(self, prefix: str) -> str:
        """A name for a controller or a reply that nothing else in the log has."""
        return prefix + self._service.dice.record_id(self._service.now()).hex()

    def operate(
        self, account: str, operation: Callable[[Any], Any], captured_on: str | None
    ) -> Promise[Any]:
        """Run an operation on the live controller of an account; `Skipped` if there is none."""
        promise: Promise[Any] = Promise()
        self._check_running()
        self._on_loop(self._operate, account, operation, captured_on, promise)
        return promise

    # On the loop

    def _is_gone(self, controller: str) -> bool:
        """Whether the process that held a controller's socket has ended, and this one has none."""
        assert self._hands is not None
        return controller in self._left and not self._hands.is_bound(controller)

    def _admit(self, account: str, clean: dict[str, Any], receipt: Receipt) -> None:
        self._left.discard(clean.get("controller"))  # something here speaks for it
        if not self.admitting:
            receipt.tell(NotRunning("linewarden has ended"))
            return
        try:
            self._service.observe(account, self._service.admit(clean), receipt.tell)
            if clean["stimulus"] == "claimed" and self._hands is not None:
                state = self._service.account(account)
                self._hands.release(account, {state.controller, *(state.lingering or ())})
        except Exception as error:  # noqa: BLE001 - whoever waits for the receipt must be told
            receipt.tell(error)

    def _perform(self, account: str, effect: Effect, decided: Decided) -> None:
        assert self._hands is not None
        if isinstance(effect, Send):
            self._hands.send(
                account,
                lambda: outgoing_of(self._service, self.router, account, effect),
                lambda name, **fields: self._answer(account, effect, decided, name, fields),
            )
            return
        if isinstance(effect, CloseSocket) and self._is_gone(effect.controller):
            if self.running:
                self._confirm(account, effect, decided)
            return
        self._notices.asked(account, effect, decided.record.version)
        self._hands.perform(
            account,
            self._service.account(account).controller,
            effect,
            partial(self._notices.performed, account, effect, decided.record.version),
        )

    def _confirm(self, account: str, effect: CloseSocket, decided: Decided) -> None:
        """The socket ended with the process that held it."""
        given = {
            "at": self._service.now(),
            "stimulus": "socket_closed",
            "controller": effect.controller,
            "socket": effect.socket,
        }
        self._service.observe_answer(account, given, _caused_by(decided))

    def _answer(
        self, account: str, effect: Send, decided: Decided, name: str, fields: dict[str, Any]
    ) -> None:
        """What came of a send is a stimulus again."""
        if not self.admitting:
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
        self._service.observe_answer(account, given, _caused_by(decided))

    def _operate(
        self,
        account: str,
        operation: Callable[[Any], Any],
        captured_on: str | None,
        promise: Promise[Any],
    ) -> None:
        assert self._hands is not None
        hands = self._hands
        controller = guarded_target(self._service.account(account), captured_on)
        if controller is None:
            promise.tell(Skipped(hint="best effort: nothing was done in the gap"))
            return

        async def run() -> None:
            try:
                result = await hands.run(operation, hands.driver(controller).target)
            except Exception as error:  # noqa: BLE001 - it is the gateway's, and told to it
                promise.tell(error)
            else:
                promise.tell(result)

        hands.spawn(run())


def _caused_by(decided: Decided) -> tuple[int, int]:
    return decided.record.version, decided.record.version
