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
from ..eventstore.anchors import AnchorFile, anchors_path
from ..eventstore.signing import signer
from ..projections.projections import Projections
from ..statemachine.account import Account
from ..statemachine.errors import InputError, LinewardenError
from .anchoring import Anchoring, sink_of
from .clock import Clock, SystemClock
from .commands import CommandServer
from .dice import Dice
from .driver import Driver
from .effects import Effects
from .loophost import LoopHost, NotRunning
from .pump import Pump
from .receipt import Promise, Receipt
from .redaction import install_redaction
from .router import Router
from .service import Service
from .supervisor.line import Line
from .supervisor.lines import Lines
from .supervisor.settings import LineSettings

END_S = 4.0
"""How long an end waits for drivers, workers and bots that are busy; a stop as a whole has 5 s."""

log = logging.getLogger("linewarden.warden")


class Linewarden(LoopHost):
    """Keeps the lifecycle of a gateway's connections, and routes its replies."""

    def __init__(
        self,
        service: Service,
        driver: Driver | None = None,
        path: str = "",
        commands: bool = False,
        anchoring: Callable[..., Anchoring] | None = None,
    ) -> None:
        self._service = service
        self._path = path
        self._taking_commands = commands
        self._commands: CommandServer | None = None
        self._default_driver = driver or Driver()
        super().__init__()
        self._effects: Effects | None = None
        self._pump: Pump | None = None
        self._make_anchoring = anchoring
        self._anchoring: Anchoring | None = None
        self._lines = Lines(self, service, path)
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
        commands: bool = False,
        anchor_sink: str | None = None,
        anchor_key: str | None = None,
    ) -> Self:
        """Open the log and make it where there is none; start with `with` or `async with`.

        `holder` names this gateway among others on the same log. `driver` acts for controllers that
        have none of their own. `policy` is the preset with overrides for all accounts, `policies`
        by account. With `commands` other processes may hand it commands, as `linewarden restart`
        does, through a socket beside the log. Anchors go to `<log>.anchors`, signed by the key at
        `anchor_key`, and to `anchor_sink`: a path, or `| command`. Raises `StoreLocked`,
        `NotALinewardenStore`, `NewerSchema`, `ReadOnlyStore` or `PolicyError`, each with a hint.
        """
        install_redaction()
        own = anchors_path(path_or_dsn)
        sign = signer(anchor_key) if anchor_key is not None else None
        sink = sink_of(anchor_sink, own) if anchor_sink is not None else None
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
            anchoring = partial(Anchoring, AnchorFile(store, own, sign), now=service.now, sink=sink)
        except BaseException:
            store.close()
            raise
        return cls(service, driver, os.path.realpath(path_or_dsn), commands, anchoring)

    # Running

    async def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        service = self._service
        self._effects = effects = Effects(self, loop, service, self.router, self._default_driver)
        service.perform = effects.perform
        service.settled = self.router.settled
        service.decided = self._lines.decided
        if self._make_anchoring is not None:
            self._anchoring = self._make_anchoring(loop=loop)
        committed = self._anchoring.committed if self._anchoring is not None else lambda _: None
        self._pump = Pump(service, loop, self._checkpoint, committed)
        service.queued = self._pump.schedule
        self._lines.bind(effects.hands)
        effects.begin()
        service.start()
        self._lines.begin()
        if self._taking_commands:
            self._commands = CommandServer(self._path, self._take_command)
            await self._commands.start()

    async def _stop(self) -> None:
        """Rest the accounts, let drivers close what they hold and tell of it; close the log."""
        service = self._service
        try:
            if self._commands is not None:
                await self._commands.end()
            self._record(service.stop)
            self.router.abandon(NotRunning("linewarden ended before the reply had an outcome"))
            if self._effects is not None:
                await self._effects.end(self._lines.all, END_S)
            if self._pump is not None:
                await self._pump.end()
            self.admitting = False
            self._record(partial(service.conclude, NotRunning("linewarden has ended")))
            self._record(partial(self._checkpoint, 1))
            if self._anchoring is not None:
                await self._anchoring.end()
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
        if self._effects is not None:
            self._effects.notices.rest(self._service, records_min)

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
        assert self._pump is not None
        hurry = partial(self._on_loop, self._pump.hurry, account)
        receipt = Receipt(fields.get("controller"), hurry)
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
            assert self._effects is not None
            self._effects.hands.bind(account, name, driver)
        receipt = self.observe(
            account, "claimed", controller=name, holder=self._service.holder, reason=reason
        )
        receipt.controller = name
        return receipt

    def attach(self, client: Any, account: str, **options: Any) -> Any:
        """Attach a neonize client: claims the account and observes its events."""
        from .whatsapp.adapter import attach

        return attach(self, client, account, **options)

    def manage(self, account: str, session: str | LineSettings, **options: Any) -> Line:
        """Own the account's connection: a worker process runs neonize, and is started anew.

        Before `with` or inside. An account that ended (logged out, conflict, closed) is not begun
        again by this, but by `linewarden start`, `relink` or `release`. `session` is the path of
        its session, or all settings. `options` are those of `Line`: `on_message` is the bot,
        `on_code` shows a code to pair with, `on_notice` tells an operator. Raises `InputError` for
        an account that is managed already, or settings that are not understood.
        """
        settings = session if isinstance(session, LineSettings) else LineSettings(session=session)
        line = self._lines.add(Line(self, account, settings, **options))
        if self.running:
            self._on_loop(self._lines.take_up, line)
        return line

    def standing(self, account: str, controller: str) -> tuple[int, float] | None:
        """The newest socket of a controller, and its policy's `silence_s`; None if it isn't newest.

        Socket numbers are the machine's, so whoever observes an engine asks for them here.
        """
        machine = self.machine(account)
        if machine.controller != controller:
            return None
        return machine.socket, float(machine.policy.silence_s)

    def machine(self, account: str) -> Account:
        """The state on which the next decision is taken, with what is not on disk yet; on the loop.

        Everything else is asked of `projections`, which has what is on disk.
        """
        return self._service.account(account)

    def new_name(self, prefix: str) -> str:
        """A name for a controller or a reply that nothing else in the log has."""
        return prefix + self._service.dice.record_id(self._service.now()).hex()

    def operate(
        self, account: str, operation: Callable[[Any], Any], captured_on: str | None
    ) -> Promise[Any]:
        """Run an operation on the live controller of an account; `Skipped` if there is none."""
        promise: Promise[Any] = Promise()
        self._check_running()
        assert self._effects is not None
        self._on_loop(self._effects.operate, account, operation, captured_on, promise)
        return promise

    # On the loop

    def _take_command(self, account: str, name: str, fields: dict[str, Any]) -> Receipt:
        claimed = self.machine(account).controller is not None or name == "subject_erased"
        if not claimed or not self._service.heads.of(account).version:
            raise InputError("there is no such account", hint="`linewarden status` lists them all")
        return self.observe(account, name, **fields)

    def _admit(self, account: str, clean: dict[str, Any], receipt: Receipt) -> None:
        if not self.admitting:
            receipt.tell(NotRunning("linewarden has ended"))
            return
        assert self._effects is not None
        self._effects.heard_of(clean.get("controller"))
        try:
            self._service.observe(account, self._service.admit(clean), receipt.tell)
            if clean["stimulus"] == "claimed":
                self._effects.claimed(account)
        except Exception as error:  # noqa: BLE001 - whoever waits for the receipt must be told
            receipt.tell(error)
