"""Messages that a worker was given to write, until it says what came of each."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from ..driver import IdentityMismatch, NotSent, Outgoing, SendRejected, checked_text
from ..whatsapp.events import SendUncertain
from ..worker.protocol import Write, Written
from .process import Process


class Writes:
    """The writes of one account that are under way; on the service's loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Written]] = {}
        self._count = 0

    async def write(self, process: Process, outgoing: Outgoing) -> str | None:
        """Have the worker write it; gives the message's id or raises what kept it from being sent.

        `NotSent`, `IdentityMismatch` and `SendRejected` say what is proven, `SendUncertain` that
        nothing is.
        """
        content, is_message = _content_of(outgoing.message)
        self._count += 1
        order = Write(
            number=self._count,
            chat=outgoing.chat,
            identity=outgoing.identity,
            content=content,
            is_message=is_message,
        )
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting[order.number] = answer
        try:
            process.tell(order)
            return _result_of(await answer)
        finally:
            del self._waiting[order.number]

    def answered(self, written: Written) -> None:
        """The worker says what came of a write."""
        answer = self._waiting.get(written.number)
        if answer is not None and not answer.done():
            answer.set_result(written)

    def give_up(self) -> None:
        """The worker is over: of what it was given nobody knows whether it left."""
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(SendUncertain("the worker ended before it answered"))


def _content_of(message: Any) -> tuple[str, bool]:
    """What the wire carries: text, or a message of neonize as base64."""
    if isinstance(message, str):
        return checked_text(message), False
    if hasattr(message, "SerializeToString"):
        return base64.b64encode(message.SerializeToString()).decode(), True
    raise SendRejected(
        "the message is neither text nor a message of neonize", hint="give one of these"
    )


def _result_of(written: Written) -> str | None:
    detail = written.detail or ""
    match written.failure:
        case None:
            return written.message_id
        case "not_sent":
            raise NotSent(detail)
        case "mismatch":
            raise IdentityMismatch(detail)
        case "rejected":
            raise SendRejected(detail)
        case _:
            raise SendUncertain(detail)
