"""Promises of the gateway: a thread waits for them, a coroutine awaits them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, TypeVar

import msgspec

from ..eventstore import Record
from ..statemachine.errors import InputError
from ..statemachine.outcome import Outcome

T = TypeVar("T")


class Promise(Future[T], Generic[T]):
    """A result to come: `promise.result(timeout)` in a thread, `await promise` in a coroutine.

    `hurry` is called when somebody begins to wait for it.
    """

    def __init__(self, hurry: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._hurry = hurry

    def result(self, timeout: float | None = None) -> T:
        """Wait for it in a thread; on an event loop that would stop everything: await it there."""
        self._begin_waiting()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait in a thread for what went wrong; None where nothing did."""
        self._begin_waiting()
        return super().exception(timeout)

    def _begin_waiting(self) -> None:
        if not self.done():
            if _on_a_loop():
                raise InputError("waiting here would stop the event loop", hint="await it instead")
            self._hurry()

    def tell(self, what: T | Exception) -> None:
        """Resolve it, unless whoever waited has cancelled it meanwhile, in whatever thread."""
        try:
            if isinstance(what, Exception):
                self.set_exception(what)
            else:
                self.set_result(what)
        except InvalidStateError:
            return

    def __await__(self) -> Generator[Any, None, T]:
        if not self.done():
            self._hurry()
        return asyncio.wrap_future(self).__await__()


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Decided(msgspec.Struct, frozen=True):
    """What became of a stimulus: the outcome, and the record that is on disk."""

    account: str
    outcome: Outcome
    record: Record


class Receipt(Promise[Decided]):
    """The promise that a stimulus is decided and its record committed."""

    def __init__(
        self, controller: str | None = None, hurry: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(hurry)
        self.controller = controller


class ReplyResult(msgspec.Struct, frozen=True):
    """The one outcome of a reply; `reason` says why it was refused, `via` who wrote it."""

    reply: str
    outcome: str
    reason: str | None = None
    via: str | None = None
    message_id: str | None = None

    @property
    def sent(self) -> bool:
        """Whether the server acknowledged it."""
        return self.outcome == "sent"


class ReplyHandle(Promise[ReplyResult]):
    """The promise of a reply's outcome. Cancelling it takes a reply back that is still held."""

    def __init__(self, account: str, reply: str) -> None:
        super().__init__()
        self.account = account
        self.reply = reply
