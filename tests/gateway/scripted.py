"""What the tests of the gateway stand on: a service on virtual time, and a driver that is told."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from linewarden.eventstore import Record, decode
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.dice import Dice
from linewarden.gateway.driver import Driver, Outgoing
from linewarden.gateway.receipt import Decided
from linewarden.gateway.service import Service
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.outcome import Effect
from linewarden.statemachine.policy import NS

ANNA = {"pn": "15550100001@s.whatsapp.net", "lid": "100000000000001@lid"}
BERT = {"pn": "15550100002@s.whatsapp.net", "lid": "100000000000002@lid"}
CHAT = "15550100009@s.whatsapp.net"
EXACT = {"jitter": 0}
WAIT_S = 20.0
"""How long a test waits for a signal before it fails; none takes that long."""


class Bench:
    """A service on a real file and a virtual clock; it remembers what it was asked to do."""

    def __init__(
        self,
        path: Path,
        *,
        holder: str | None = "main",
        clock: VirtualClock | None = None,
        seed: int = 1,
        policy: dict[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.clock = clock or VirtualClock()
        self.store = SQLiteStore.open(path, name=holder or "test")
        self.service = Service(
            self.store,
            holder=holder,
            clock=self.clock,
            dice=Dice(seed),
            policy={**EXACT, **(policy or {})},
        )
        self.effects: list[Effect] = []
        self.settled: dict[str, str] = {}
        self.on_effect: Callable[[str, Effect, Decided], None] = lambda *_: None
        self.service.perform = self._perform
        self.service.settled = lambda _account, reply, settled, _record: self.settled.update(
            {reply: settled.outcome}
        )

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def _perform(self, account: str, effect: Effect, decided: Decided) -> None:
        self.effects.append(effect)
        self.on_effect(account, effect, decided)

    def feed(self, stimulus: str, account: str = "main", **fields: Any) -> Decided:
        """Observe and commit at once."""
        return self.service.feed(account, {"stimulus": stimulus, **fields})

    def observe(
        self, stimulus: str, answers: list[Any] | None = None, account: str = "main", **fields: Any
    ) -> None:
        """Decide and queue, without a commit; what becomes of it is added to `answers`."""
        clean = self.service.check(
            account, {"at": self.service.now(), "stimulus": stimulus, **fields}
        )
        then = answers.append if answers is not None else None
        self.service.observe(account, self.service.admit(clean), then)

    def claim(self, controller: str = "A", account: str = "main", holder: str = "main") -> Decided:
        """The controller takes the account."""
        return self.feed("claimed", account, controller=controller, holder=holder)

    def up(
        self, controller: str = "A", account: str = "main", forms: dict[str, str] = ANNA
    ) -> None:
        """The controller opens and says who it is: it is live."""
        self.feed("opened", account, controller=controller)
        self.feed("identity_observed", account, controller=controller, forms=forms)

    def submit(self, reply: str, chat: str = CHAT, **fields: Any) -> Decided:
        """The gateway wants something sent."""
        return self.feed("reply_submitted", reply=reply, chat=chat, source="router", **fields)

    def go(self, seconds: float) -> None:
        """Let the time go on, with every timer at its instant."""
        until = self.clock.now() + round(seconds * NS)
        while (due := self.service.next_due()) is not None and due <= until:
            self.clock.advance_to(due)
            self.service.fire_due()
            self.service.flush()
        self.clock.advance_to(until)

    def records(self, account: str = "main") -> list[Record]:
        """The stream of an account."""
        return list(self.store.read_stream(account))

    def of_kind(self, kind: type[Effect]) -> list[Any]:
        """The effects of a kind, in order."""
        return [effect for effect in self.effects if isinstance(effect, kind)]


def content(record: Record) -> dict[str, Any]:
    """What stands in a record."""
    decoded: dict[str, Any] = decode(record.body)
    return decoded


class Scripted(Driver):
    """Notes every call; `sending` says what a send does, and every write is signalled."""

    def __init__(self, sending: Callable[[Outgoing], Any] | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.written: list[Outgoing] = []
        self.sending = sending or (lambda _outgoing: None)
        self.called = threading.Condition()

    def _note(self, *call: Any) -> None:
        with self.called:
            self.calls.append(call)
            self.called.notify_all()

    def wait_for(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """The calls of a name, once there are so many."""

        def enough() -> bool:
            return len(self.named(name)) >= count

        with self.called:
            assert self.called.wait_for(enough, WAIT_S), f"{name} was not called {count} times"
        return self.named(name)

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """The calls of a name so far."""
        return [call for call in self.calls if call[0] == name]

    async def dial(self, controller: str, socket: int) -> None:
        self._note("dial", controller, socket)

    async def close_socket(self, controller: str, socket: int, force: bool) -> None:
        self._note("close_socket", controller, socket, force)

    async def purge(self, controller: str) -> None:
        self._note("purge", controller)

    async def claim(self, account: str, reason: str) -> None:
        self._note("claim", account, reason)

    async def notify(self, account: str, controller: str, notice: str) -> None:
        self._note("notify", account, controller, notice)

    async def send(self, outgoing: Outgoing) -> Any:
        self.written.append(outgoing)
        self._note("send", outgoing.reply, outgoing.controller)
        answer = self.sending(outgoing)
        return await answer if asyncio.iscoroutine(answer) else answer


def opened(path: Path, driver: Driver | None = None, **how: Any) -> Linewarden:
    """A gateway on a file, with a clock that stands still unless it is moved."""
    policy = {**EXACT, **how.pop("policy", {})}
    given = {"clock": VirtualClock(), "dice": Dice(3), **how}
    return Linewarden.open(path, driver=driver, policy=policy, **given)


def bring_up(
    warden: Linewarden,
    controller: str = "A",
    account: str = "main",
    forms: dict[str, str] = ANNA,
    driver: Driver | None = None,
) -> None:
    """Claim, open and prove: the controller is live. From any thread but the loop's."""
    warden.claim(account, controller, driver=driver).result(WAIT_S)
    connect(warden, controller, account, forms)


def connect(
    warden: Linewarden,
    controller: str = "A",
    account: str = "main",
    forms: dict[str, str] = ANNA,
) -> None:
    """Open and prove."""
    warden.observe(account, "opened", controller=controller)
    warden.observe(account, "identity_observed", controller=controller, forms=forms).result(WAIT_S)


def drop(warden: Linewarden, controller: str = "A", account: str = "main") -> None:
    """The connection closes: a gap."""
    fields = {"controller": controller, "source": "baileys", "code": 408}
    warden.observe(account, "closed", **fields).result(WAIT_S)
