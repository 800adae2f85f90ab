"""Plays a scenario: the real service, store, projections and router on a virtual clock.

Only the WhatsApp side is scripted: what a dial, a close or a send is answered with, and when.
"""

from __future__ import annotations

import heapq
import os
import tempfile
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from ..eventstore import open_store
from ..gateway.clock import VirtualClock
from ..gateway.dice import Dice
from ..gateway.guard import outgoing_of
from ..gateway.receipt import Decided, Promise, Receipt
from ..gateway.router import Router, Skipped
from ..gateway.service import Service
from ..projections.projections import Projections
from ..statemachine.outcome import CloseSocket, Dial, Effect, Send
from ..statemachine.policy import NS, policy_of
from .scenario_file import Line, Scenario

START = 1_700_000_000_000_000_000
"""The virtual instant (UTC ns) at which every scenario begins."""

_WIRE_CLOSES = frozenset(
    {"closed", "stream_error", "dial_failed", "replaced", "logged_out", "banned", "outdated"}
)


class StillDice(Dice):
    """Dice from a seed, whose jitter is always 0."""

    def jitter(self, share: float) -> int:
        """No jitter: the times of a scenario are exact."""
        return 0


class _Answer(msgspec.Struct, order=True):
    """An answer of the scripted side, due at an instant; equal ones in the order of asking."""

    due: int
    number: int
    kind: str
    account: str
    controller: str
    socket: int
    fields: dict[str, Any]


class _VirtualHost:
    """What the router needs, without threads and loops: everything happens at once."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def projections(self) -> Projections:
        return self._service.projections

    def observe(self, account: str, name: str, **fields: Any) -> Receipt:
        receipt = Receipt(fields.get("controller"))
        receipt.set_result(self._service.feed(account, {**fields, "stimulus": name}))
        return receipt

    def new_name(self, prefix: str) -> str:
        return prefix + self._service.dice.record_id(self._service.now()).hex()

    def operate(
        self, account: str, operation: Callable[[Any], Any], captured_on: str | None
    ) -> Promise[Any]:
        promise: Promise[Any] = Promise()
        promise.set_exception(Skipped(hint="a scenario has no client to operate"))
        return promise


def nanoseconds(seconds: float | int) -> int:
    """Exact nanoseconds of a decimal number of seconds."""
    return int(Decimal(str(seconds)) * NS)


class Run:
    """One run of a scenario on a store of its own; `path` keeps the file for whoever wants it."""

    def __init__(self, scenario: Scenario, path: str | None = None) -> None:
        self.scenario = scenario
        self.clock = VirtualClock(START)
        self._folder = tempfile.TemporaryDirectory(prefix="linewarden-")
        self.path = path or os.path.join(self._folder.name, "scenario.db")
        self._dials = {name: deque(row) for name, row in scenario.header.dials.items()}
        self._sends = {name: deque(row) for name, row in scenario.header.sends.items()}
        self._answers: list[_Answer] = []
        self._asked = 0
        self._crashes = 0
        self.service = self._open()

    def close(self) -> None:
        """Release the store and its file."""
        self.service.store.close()
        self._folder.cleanup()

    def _open(self) -> Service:
        service = Service(
            open_store(self.path, name="scenario"),
            holder=None,
            clock=self.clock,
            dice=StillDice(self._crashes),
            policy=self.scenario.header.policy,
        )
        service.perform = self._perform
        self.router = Router(_VirtualHost(service))
        service.settled = self.router.settled
        return service

    # Time

    def advance(self, seconds: float | int) -> None:
        """Let everything happen that is due up to a time: timers, then answers."""
        upto = START + nanoseconds(seconds)
        while True:
            timer = self.service.next_due()
            answer = self._answers[0].due if self._answers else None
            if timer is not None and timer <= upto and (answer is None or timer <= answer):
                self.clock.advance_to(timer)
                self._fire()
            elif answer is not None and answer <= upto:
                self.clock.advance_to(answer)
                self._give(heapq.heappop(self._answers))
            else:
                break
        self.clock.advance_to(upto)

    def next_event(self) -> float | None:
        """When (in seconds) the next timer or answer is due."""
        due = [at for at in (self.service.next_due(),) if at is not None]
        due += [answer.due for answer in self._answers]
        return (min(due) - START) / NS if due else None

    def _fire(self) -> None:
        self.service.fire_due()
        self.service.flush()

    def play(self, line: Line) -> None:
        """Feed a line at its time."""
        self.advance(line.t)
        if line.is_crash:
            self._crash()
        else:
            self.feed(line.account, line.fields)

    def feed(self, account: str, fields: dict[str, Any]) -> None:
        """Feed a stimulus now, with what the runner adds to it."""
        before = self.service.account(account)
        if fields["stimulus"] == "reply_submitted":
            given = {key: value for key, value in fields.items() if key != "stimulus"}
            self.router.submit(account, given, f"message of {fields['reply']}")
        else:
            self.service.feed(account, fields)
        after = self.service.account(account)
        name, controller = fields["stimulus"], fields.get("controller")
        was_open = before.socket_state in ("open", "dialing")
        if (
            controller is not None
            and name in _WIRE_CLOSES
            and was_open
            and before.controller == after.controller == controller
            and after.socket_state == "closed"
        ):
            self._confirm(account, controller, before.socket)
        if name == "worker_died":
            self._drop(lambda answer: answer.kind == "send" and answer.controller == controller)
        if name == "claimed":
            self._drop(
                lambda answer: (
                    answer.kind == "dial"
                    and answer.account == account
                    and answer.controller != after.controller
                )
            )
        forms = self.scenario.header.identity.get(controller or "")
        if name == "opened" and forms:
            source = fields.get("source", "gateway")
            self.feed(
                account,
                {
                    "stimulus": "identity_observed",
                    "controller": controller,
                    "source": source,
                    "forms": forms,
                },
            )

    def _crash(self) -> None:
        """Drop the service and its memory, open the store again, and start anew."""
        self._drop(lambda answer: answer.kind in ("dial", "send"))
        self.service.store.close()
        self._crashes += 1
        self.service = self._open()
        if policy_of(self.scenario.header.policy).durable_outbox:
            for account in self.service.accounts():
                for reply in self.service.account(account).replies or ():
                    self.router.restore(account, reply, f"message of {reply}")
        self.service.start()
        self.service.flush()

    # The scripted side

    def _perform(self, account: str, effect: Effect, decided: Decided) -> None:
        match effect:
            case Dial(controller, socket):
                self._dial(account, controller, socket)
            case CloseSocket(controller, socket):
                self._confirm(account, controller, socket)
            case Send():
                self._send(account, effect)

    def _dial(self, account: str, controller: str, socket: int) -> None:
        row = self._dials.get(controller)
        answer = row.popleft() if row else "none"
        fields: dict[str, Any] = {"controller": controller, "socket": socket, "source": "baileys"}
        if answer == "open":
            fields["stimulus"] = "opened"
        elif answer == "fail":
            fields |= {"stimulus": "dial_failed", "code": 408}
        else:
            return
        self._ask(1, "dial", account, controller, socket, fields)

    def _confirm(self, account: str, controller: str, socket: int) -> None:
        delay = self.scenario.header.close_confirm_s
        if delay is None:
            return
        fields = {
            "stimulus": "socket_closed",
            "controller": controller,
            "socket": socket,
            "source": "worker",
        }
        self._ask(delay, "confirm", account, controller, socket, fields)

    def _send(self, account: str, effect: Send) -> None:
        controller, reply = effect.controller, effect.reply
        row = self._sends.get(reply)
        answer: Any = row.popleft() if row else "acked"
        word, delay = answer if isinstance(answer, list) else (answer, 0)
        fields: dict[str, Any] = {"controller": controller, "reply": reply, "source": "worker"}
        if outgoing_of(self.service, self.router, account, effect) is None:
            word = "not_sent"
        if word == "acked":
            fields |= {"stimulus": "send_acked", "message_id": f"m-{reply}"}
        elif word == "silent":
            return
        else:
            fields |= {"stimulus": "send_failed", "kind": word}
        self._ask(delay, "send", account, controller, 0, fields)

    def _ask(
        self,
        delay: float | int,
        kind: str,
        account: str,
        controller: str,
        socket: int,
        fields: dict[str, Any],
    ) -> None:
        self._asked += 1
        due = self.clock.now() + nanoseconds(delay)
        answer = _Answer(due, self._asked, kind, account, controller, socket, fields)
        heapq.heappush(self._answers, answer)

    def _give(self, answer: _Answer) -> None:
        if answer.kind == "confirm":
            self._drop(
                lambda other: (
                    other.kind == "dial"
                    and other.account == answer.account
                    and (other.controller, other.socket) == (answer.controller, answer.socket)
                )
            )
        self.feed(answer.account, answer.fields)

    def _drop(self, unwanted: Any) -> None:
        self._answers = [answer for answer in self._answers if not unwanted(answer)]
        heapq.heapify(self._answers)
