"""The hands of an attached neonize client: effects of the machine as calls of the library.

The library redials a lost connection by itself and can't be asked to, and `connect()` is never
called twice on one client (it would open a second socket that nobody can stop). So a dial does
nothing while the library dials, and else is the gateway's to do.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from ..driver import (
    Driver,
    IdentityMismatch,
    NotSent,
    Outgoing,
    SendRejected,
    checked_text,
)
from ..redaction import package_logger
from .events import forms_of, is_same, send_failure

CLOSE_S = 10.0
"""How long an effect waits for a close; the library may hold it up for a minute while it dials."""

log = package_logger("linewarden.whatsapp")


class Line(Protocol):
    """What the driver needs of the attachment that it belongs to."""

    redials: bool

    @property
    def identity(self) -> dict[str, str]:
        """Who the client is logged in as."""
        ...

    def closed_by_us(self, controller: str, socket: int) -> None:
        """A close that was asked for is done."""
        ...

    def purged(self, controller: str) -> None:
        """A purge that was asked for is done."""
        ...


def called(call: Callable[[], Any]) -> Any:
    """What a method of the client gives, on this thread, be the client sync or async.

    An async client runs each call in the default executor of the running loop, where connected
    clients occupy threads for ever; a short-lived loop brings an executor of its own.
    """
    result = call()
    if not inspect.isawaitable(result):
        return result

    async def awaited() -> Any:
        return await result

    return asyncio.run(awaited())


class NeonizeDriver(Driver):
    """Acts on one neonize client. `jid` and `message` make the library's own messages."""

    def __init__(
        self,
        client: Any,
        jid: Callable[[str, str], Any],
        message: Callable[..., Any],
        *,
        on_dial: Callable[[str, int], Any] | None = None,
        on_claim: Callable[[str, str], Any] | None = None,
        on_notice: Callable[[str, str, str], Any] | None = None,
        on_purge: Callable[[str], Any] | None = None,
    ) -> None:
        self.line: Line | None = None
        self._client = client
        self._jid = jid
        self._message = message
        self._on_dial = on_dial
        self._on_claim = on_claim
        self._on_notice = on_notice
        self._on_purge = on_purge

    @property
    def target(self) -> Any:
        """The client itself."""
        return self._client

    def dial(self, controller: str, socket: int) -> Any:
        """Nothing while the library dials, or the gateway has yet to; else ask the gateway."""
        if self.line is None or self.line.redials:
            return None
        if self._on_dial is not None:
            return self._on_dial(controller, socket)
        log.info("controller %s needs a new connect(), which is the gateway's to do", controller)
        return None

    async def close_socket(self, controller: str, socket: int, force: bool) -> None:
        """Disconnect, or with `force` stop the client, and tell when it is done.

        A stopped client ends the process when it is asked who it is, which the gateway may do at
        any time; so a client is only disconnected as long as that is enough.
        """
        done: Future[None] = Future()
        threading.Thread(
            target=self._close,
            args=(controller, socket, force, done),
            name="linewarden-close",
            daemon=True,
        ).start()
        await asyncio.wait({asyncio.wrap_future(done)}, timeout=CLOSE_S)
        if not done.done():
            log.warning("controller %s: socket %d is slow to close", controller, socket)

    def _close(self, controller: str, socket: int, force: bool, done: Future[None]) -> None:
        try:
            called(self._client.stop if force else self._client.disconnect)
        except Exception as error:  # noqa: BLE001 - a failed close isn't confirmed
            log.error("a client could not be closed: %s", type(error).__name__)
        else:
            if self.line is not None:
                self.line.closed_by_us(controller, socket)
        done.set_result(None)

    def claim(self, account: str, reason: str) -> Any:
        """Ask the gateway for a successor."""
        return self._on_claim(account, reason) if self._on_claim is not None else None

    def notify(self, account: str, controller: str, notice: str) -> Any:
        """Tell the gateway's operator."""
        if self._on_notice is not None:
            return self._on_notice(account, controller, notice)
        return super().notify(account, controller, notice)

    def purge(self, controller: str) -> Any:
        """The library deleted its session at the logout; the gateway deletes what it keeps."""
        result = self._on_purge(controller) if self._on_purge is not None else None
        if inspect.isawaitable(result):
            return self._purged_after(result, controller)
        self._purged(controller)
        return None

    async def _purged_after(self, result: Any, controller: str) -> None:
        await result
        self._purged(controller)

    def _purged(self, controller: str) -> None:
        if self.line is not None:
            self.line.purged(controller)

    # Sending

    def check(self, outgoing: Outgoing) -> None:
        """Refuse to write as somebody else, by what the client itself says of who it is."""
        own = self.line.identity if self.line is not None else forms_of(self._client.me)
        if not own:
            raise NotSent("the client doesn't know yet who it is")
        if not is_same(own, outgoing.identity):
            raise IdentityMismatch()

    def send(self, outgoing: Outgoing) -> str | None:
        """Write one message and return its id; blocks up to 75 s, until the server has answered."""
        self.check(outgoing)
        to = self.chat_of(outgoing.chat)
        message = self._content(outgoing.message)
        try:
            response = called(lambda: self._client.send_message(to, message))
        except Exception as error:  # noqa: BLE001 - only its text tells what it is
            raise self.judge(error) from None
        return str(response.ID) or None

    def judge(self, error: Exception) -> Exception:
        """What an exception of the client proves about a message: see `send_failure`."""
        return send_failure(error)

    def chat_of(self, chat: str) -> Any:
        """The chat's JID, never with a device: the library refuses such a recipient."""
        user, _, server = chat.strip().partition("@")
        server = server or "s.whatsapp.net"
        return self._jid(user.partition(":")[0].removeprefix("+"), server)

    def _content(self, message: Any) -> Any:
        """Text is wrapped, for the library searches plain text for mentions and asks the server."""
        if isinstance(message, str):
            return self._message(conversation=checked_text(message))
        if not hasattr(message, "SerializeToString"):
            raise SendRejected(
                "the message is neither text nor a message of neonize",
                hint="give text, a Message, or a callable that is given the client",
            )
        return message
