"""What outcomes ask for, carried out after their commit; what comes of it is a stimulus again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..statemachine.outcome import CloseSocket, Effect, Send
from .driver import Driver
from .guard import guarded_target, outgoing_of
from .hands import Hands
from .loophost import LoopHost
from .notices import Notices
from .receipt import Decided, Promise
from .router import Router, Skipped
from .service import Service

if TYPE_CHECKING:
    from .supervisor.line import Line

HEAR_S = 0.5
"""How long whoever is cancelled at an end has to hear of it."""


class Effects:
    """Runs on the loop's thread only, while `host` runs and as it ends."""

    def __init__(
        self,
        host: LoopHost,
        loop: asyncio.AbstractEventLoop,
        service: Service,
        router: Router,
        default: Driver,
    ) -> None:
        self.hands = Hands(default, loop)
        self.notices = Notices(service.store)
        self._host = host
        self._service = service
        self._router = router
        self._left: set[str | None] = set()

    def begin(self) -> None:
        """Before the service starts: deliver the notices that the last run still owes."""
        service = self._service
        for account, notice, version in self.notices.undelivered(service):
            self.notices.asked(account, notice, version)
            done = partial(self.notices.performed, account, notice, version)
            self.hands.perform(account, notice.controller, notice, done)
        self._left = {service.account(name).controller for name in service.accounts()}

    async def end(self, lines: Sequence[Line], within_s: float) -> None:
        """Let what is under way end, and the workers; whatever is not done in time is left."""
        loop = asyncio.get_running_loop()
        ends = [self.hands.end(within_s), *(line.end() for line in lines)]
        tasks = [loop.create_task(end) for end in ends]
        _, late = await asyncio.wait(tasks, timeout=within_s + HEAR_S)
        for line in lines:
            line.abandon()
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def heard_of(self, controller: str | None) -> None:
        """Something in this process speaks for the controller."""
        self._left.discard(controller)

    def claimed(self, account: str) -> None:
        """Let go of the drivers that a claim made needless."""
        state = self._service.account(account)
        self.hands.release(account, {state.controller, *(state.lingering or ())})

    def perform(self, account: str, effect: Effect, decided: Decided) -> None:
        """Carry out one effect of a committed decision."""
        version = decided.record.version
        if isinstance(effect, Send):
            self.hands.send(
                account,
                lambda: outgoing_of(self._service, self._router, account, effect),
                lambda name, **fields: self._answer(account, effect, decided, name, fields),
            )
            return
        if isinstance(effect, CloseSocket) and self._is_gone(effect.controller):
            if self._host.running:
                self._confirm(account, effect, decided)
            return
        self.notices.asked(account, effect, version)
        self.hands.perform(
            account,
            self._service.account(account).controller,
            effect,
            partial(self.notices.performed, account, effect, version),
        )

    def _is_gone(self, controller: str) -> bool:
        """Whether the process that held a controller's socket has ended, and this one has none."""
        return controller in self._left and not self.hands.is_bound(controller)

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
        if not self._host.admitting:
            return
        self._router.note_message_id(account, effect.reply, fields.get("message_id"))
        given = {
            "at": self._service.now(),
            "stimulus": name,
            "controller": effect.controller,
            "source": "worker",
            "reply": effect.reply,
            **fields,
        }
        self._service.observe_answer(account, given, _caused_by(decided))

    def operate(
        self,
        account: str,
        operation: Callable[[Any], Any],
        captured_on: str | None,
        promise: Promise[Any],
    ) -> None:
        """Run an operation on the live controller, under the identity guard of a reply."""
        controller = guarded_target(self._service.account(account), captured_on)
        if controller is None:
            promise.tell(Skipped(hint="best effort: nothing was done in the gap"))
            return

        async def run() -> None:
            try:
                target = self.hands.driver(controller).target
                promise.tell(await self.hands.run(operation, target))
            except Exception as error:  # noqa: BLE001 - it is the gateway's, and told to it
                promise.tell(error)

        self.hands.spawn(run())


def _caused_by(decided: Decided) -> tuple[int, int]:
    return decided.record.version, decided.record.version
