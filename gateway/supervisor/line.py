"""A managed connection: the driver of one account, whose socket lives in a worker process.

One worker at a time, and one way to everything: a dial needs a worker and makes one where there is
none, a close ends it, and its end is the proof that the socket is closed. A successor can't dial
before that, so no two processes of ours ever hold one session.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from ...statemachine.account import Account
from ...statemachine.errors import InputError, LinewardenError
from ...statemachine.lifecycle import ENDS
from ..driver import Driver, NotSent, Outgoing, SendRejected
from ..loophost import NotRunning
from ..receipt import Decided
from ..redaction import package_logger
from ..threads import in_thread
from ..worker import protocol as wire
from .bot import Bot, load_bot
from .codes import Codes
from .host import Host
from .inbound import Inbox
from .process import Process
from .remote import Remote
from .session import Session
from .settings import LineSettings
from .writes import Writes

WORKER = (sys.executable, "-P", "-m", "linewarden.gateway.worker")
"""The command of a worker, with nothing of the working folder; its pipes are added."""

_FATAL = frozenset(("state", "hold", "controller"))
"""What must have changed of an account for its worker to be no longer needed."""

BOT_END_S = 1.0
"""How long an end waits for a bot that is thinking; a stop as a whole has 5 s."""

log = package_logger("linewarden.supervisor")


class Line(Driver):
    """Owns the connection of one account. Everything runs on the service's loop.

    `on_message(message)` is the bot, sync or async, in the place of the settings' own;
    `on_code(kind, value)` shows a "qr" or a "code" to pair with, a secret; `on_notice(account,
    controller, notice)` tells an operator.
    """

    def __init__(
        self,
        warden: Host,
        account: str,
        settings: LineSettings,
        *,
        on_message: Callable[[Any], Any] | None = None,
        on_code: Callable[[str, str], Any] | None = None,
        on_notice: Callable[[str, str, str], Any] | None = None,
        worker: Sequence[str] = WORKER,
    ) -> None:
        self.account = account
        self.settings = settings
        self.session = Session(settings.session)
        self.inbox = Inbox(account, warden.router.reply)
        self._warden = warden
        if on_message is None and settings.bot is not None:
            on_message = load_bot(settings.bot)
        self._bot = Bot(on_message, account) if on_message is not None else None
        self._codes = Codes(account, settings.pairing, on_code)
        self._on_notice = on_notice
        self._worker = worker
        self._process: Process | None = None
        self._controller = ""
        self._socket = 0
        self._writes = Writes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Line({self.account})"

    @property
    def worker_pid(self) -> int | None:
        """The process that holds the connection."""
        return self._process.pid if self._process and not self._process.over else None

    @property
    def target(self) -> Any:
        """What an operation is given; it acts best effort, and on nothing where nothing runs."""
        if self._process is None or self._process.over:
            raise NotSent("the account has no worker")
        return Remote(self._process, asyncio.get_running_loop())

    # What the machine asks for

    async def dial(self, controller: str, socket: int) -> None:
        """Have a worker of this controller see that one attempt to connect is under way."""
        async with self._turn:
            await self._dial(controller, socket, fresh=False)

    async def close_socket(self, controller: str, socket: int, force: bool) -> None:
        """End the worker that holds the socket; its end confirms that the socket is closed."""
        async with self._turn:
            if self._controller == controller and self._socket <= socket:
                await self._end_worker(force)
        self._observe("socket_closed", controller, socket=socket)

    async def purge(self, controller: str) -> None:
        """Delete the session once nothing has it open; what can't be deleted is told."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if self._machine.controller != controller:
                return  # the session is the successor's by now
            await self._end_worker(force=False)
            failures = await in_thread(loop, self.session.delete)
            left = await in_thread(loop, os.path.exists, self.session.path)
        for failure in failures:
            log.error("account %s: could not be deleted: %s", self.account, failure)
        if not left:  # else the next start asks for it again; SQLite drops what lay beside it
            detail = {"detail": "; ".join(failures)} if failures else {}
            self._observe("session_purged", controller, **detail)

    async def claim(self, account: str, reason: str) -> None:
        """Be the driver of the account's next controller too."""
        self._warden.claim(account, driver=self, reason=reason)

    def notify(self, account: str, controller: str, notice: str) -> Any:
        """Tell whoever is to be told, and the log."""
        super().notify(account, controller, notice)
        return self._on_notice and self._on_notice(account, controller, notice)

    def check(self, outgoing: Outgoing) -> None:
        """Refuse a callable message: the client that it wants lives in another process."""
        raise SendRejected(
            "a managed connection takes text or a message of neonize, and no callable",
            hint="give text, or a Message of neonize",
        )

    async def send(self, outgoing: Outgoing) -> str | None:
        """Have the worker write it, after its own look at who its client is; see `Driver.send`."""
        process = self._process
        if process is None or process.over or self._controller != outgoing.controller:
            raise NotSent("the controller has no worker")
        return await self._writes.write(process, outgoing)

    async def end(self) -> None:
        """End the worker and the bot; the account rests."""
        bot = [in_thread(asyncio.get_running_loop(), self._bot.end, BOT_END_S)] if self._bot else []
        async with self._turn:
            await self._end_worker(force=False)
        await asyncio.gather(*bot)
        log.info("account %s: %s", self.account, self.inbox)

    def abandon(self) -> None:
        """Kill the worker, if there still is one: its end has no time left."""
        if self._process:
            self._process.kill()

    # Workers

    async def _dial(self, controller: str, socket: int, fresh: bool) -> None:
        if not self._wants(controller, socket):
            return
        process = self._process
        if fresh or process is None or process.over or self._controller != controller:
            await self._end_worker(force=False)
            try:
                process = self._process = await self._start_worker(controller)
            except (OSError, LinewardenError) as error:
                log.error("account %s: no worker could be started: %s", self.account, error)
                self._observe(
                    "dial_failed", controller, socket=socket, code="WORKER", detail=str(error)
                )
                return
        self._controller, self._socket = controller, socket
        log.info("account %s: controller %s dials socket %d", self.account, controller, socket)
        process.tell(wire.Dial(socket=socket))

    def _wants(self, controller: str, socket: int) -> bool:
        """Whether the machine still waits for this dial; what it waited for may be over by now."""
        machine = self._machine
        waits_for = (machine.controller, machine.socket, machine.socket_state)
        return self._warden.running and waits_for == (controller, socket, "dialing")

    @property
    def _machine(self) -> Account:
        return self._warden.machine(self.account)

    async def _start_worker(self, controller: str) -> Process:
        await in_thread(asyncio.get_running_loop(), self.session.prepare)
        settings = self.settings
        begin = wire.Begin(
            session=self.session.name,
            proxy=settings.proxy,
            phone=settings.pair_phone if settings.pairing == "code" else None,
            allow=settings.allow,
        )
        process = Process(self.account)
        told, ended = (partial(call, process, controller) for call in (self._told, self._ended))
        await process.start(self._worker, begin, told, ended)
        return process

    async def _end_worker(self, force: bool) -> None:
        if self._process is not None:
            await self._process.end(force)

    async def _renew(self, controller: str, socket: int) -> None:
        async with self._turn:
            await self._dial(controller, socket, fresh=True)

    def decided(self, decided: Decided) -> None:
        """A decision on the account is in the log, whoever it came from."""
        if not _FATAL.isdisjoint(decided.outcome.changes) and self._warden.running:
            self._spawn(self._retire())

    async def _retire(self) -> None:
        """End a worker that is not needed, for its client would go on dialing by itself.

        An account that has ended needs none, nor one on hold, nor one with a newer controller.
        """
        async with self._turn:
            machine = self._machine
            needed = machine.state not in ENDS and machine.hold is None
            if not needed or machine.controller != self._controller:
                await self._end_worker(force=False)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _ended(self, process: Process, controller: str) -> None:
        """The worker is over. One that nobody ended has died, with all that it had under way."""
        machine = self._machine
        if not process.ending:
            detail = {"detail": "it did not answer and was killed"} if process.hung else {}
            self._observe("worker_died", controller, **process.exit, **detail)
        elif machine.controller == controller and machine.socket_state == "open":
            # The library reconnected by itself before it heard that it should end.
            self._observe("socket_closed", controller, socket=machine.socket)
        self._writes.give_up()

    # What a worker tells

    def _told(self, process: Process, controller: str, report: wire.AnyReport) -> None:
        match report:
            case wire.Observed(name="socket_closed") if process.ending:
                return  # whoever asked for the end says it, when the worker is over
            case wire.Observed(name=name, at=at, fields=fields, number=number):
                view = self._warden.projections.account(self.account)
                at = max(at, view.at) if view is not None else at
                receipt = self._observe(
                    name, controller, **{"source": "whatsmeow", "at": at, **fields}
                )
                if receipt is not None and number is not None:
                    receipt.add_done_callback(partial(self._recorded, process, controller, number))
            case wire.Written():
                self._writes.answered(report)
            case wire.Inbound() if self._bot is not None:
                message = self.inbox.accept(report, controller)
                if message is not None:
                    self._bot.hand(message)
            case wire.Ignored():
                self.inbox.ignore()
            case wire.PairingCode(kind=kind, value=value):
                self._spawn(self._codes.show(kind, value))
            case wire.Spent(socket=socket) if process is self._process:
                self._spawn(self._renew(controller, socket))
            case wire.Fault(message=message, hint=hint):
                log.error("account %s: %s. %s", self.account, message, hint or "")

    def _recorded(self, process: Process, controller: str, number: int, receipt: Any) -> None:
        """Tell the worker under which number the machine counts the socket that it opened."""
        if receipt.cancelled() or receipt.exception() is not None:
            return
        standing = self._warden.standing(self.account, controller)
        if standing is not None:
            socket, silence_s = standing
            process.tell(wire.Recorded(number=number, socket=socket, silence_s=silence_s))

    def _observe(self, name: str, controller: str, **fields: Any) -> Any:
        given = {"controller": controller, "source": "worker", **fields}
        try:
            return self._warden.observe(self.account, name, **given)
        except NotRunning:
            return None
        except InputError as error:
            log.error("account %s: %s was not recorded: %s", self.account, name, error)
            return None
