"""What is fitted to a neonize client so that its words can be overheard, once and for good.

The bound Go library calls `event.execute`, the login and QR callbacks of the client object that it
was started with. The tap stands in front of those: it tells its listener and hands everything on
unchanged. So the gateway's handlers are called as if nobody listened, whenever they are registered,
with their own exceptions, and a factory's clients, which share one registry, are still told apart.
Nothing that goes wrong in the listener reaches the client.
"""

from __future__ import annotations

import asyncio
import ctypes
import inspect
from collections.abc import Callable
from typing import Any, Protocol

from ..redaction import package_logger

log = package_logger("linewarden.whatsapp")

_DEVICE = 0
"""The code by which the library sets `client.me`; it calls no handler."""

_STARTED: list[Any] = []
"""Clients that were started; one that is freed while Go calls it ends the process (neonize#202)."""


class Listener(Protocol):
    """Who is told; the library's own thread tells, so each of these returns at once."""

    def heard(self, name: str, event: Any) -> None:
        """An event by the name of its class; decoded where it was asked for."""
        ...

    def identified(self) -> None:
        """`client.me` was set."""
        ...

    def showed_code(self) -> None:
        """A code to pair with is shown."""
        ...

    def login_changed(self, status: str) -> None:
        """The library's word about a pairing."""
        ...

    def starting(self) -> None:
        """`connect()` is called."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """`connect()` is over; `error` is what it raised."""
        ...


def _unheard(_client: Any, _event: Any) -> None:
    """Stands where the gateway has no handler, so that the library reports the event."""


class Tap:
    """The tap of one client. `decoded` and `noticed` are the classes of events by their code."""

    def __init__(
        self, client: Any, decoded: dict[int, type[Any]], noticed: dict[int, type[Any]]
    ) -> None:
        self.client = client
        self.listener: Listener | None = None
        self.started = False
        self.asynchronous = inspect.iscoroutinefunction(client.connect)
        self._decoded = decoded
        self._noticed = noticed
        self._execute = client.event.execute
        self._connect = client.connect_with_proxy
        client.event.execute = self.execute
        client.connect_with_proxy = self._connect_later if self.asynchronous else self._connect_now
        self._wrap_private("onQr", lambda _address: self._tell("showed_code"))
        self._wrap_private("onLoginStatus", self._login_status)

    def execute(self, uuid: Any, binary: int, size: int, code: int) -> Any:
        """Overhear one event, then let the client have it as ever."""
        if code in self._decoded or code in self._noticed:
            self._guard(self._hear, binary, size, code)
        result = self._execute(uuid, binary, size, code)
        if code == _DEVICE:
            self._tell("identified")
        return result

    def _hear(self, binary: int, size: int, code: int) -> None:
        if self.listener is None:
            return
        kind = self._decoded.get(code)
        if kind is None:
            self.listener.heard(self._noticed[code].__name__, None)
        else:
            self.listener.heard(kind.__name__, kind.FromString(ctypes.string_at(binary, size)))

    def _login_status(self, address: int) -> None:
        self._tell("login_changed", ctypes.string_at(address).decode("utf-8", "replace"))

    def _wrap_private(self, name: str, tell: Callable[[int], None]) -> None:
        """Stand before a private callback; without it pairing is overheard less closely."""
        for kind in type(self.client).__mro__:
            private = f"_{kind.__name__.lstrip('_')}__{name}"
            own = getattr(self.client, private, None)
            if own is not None:

                def told(uuid: Any, address: int, own: Callable[..., Any] = own) -> Any:
                    self._guard(tell, address)
                    return own(uuid, address)

                setattr(self.client, private, told)
                return

    def _tell(self, what: str, *given: Any) -> None:
        if self.listener is not None:
            self._guard(getattr(self.listener, what), *given)

    def _guard(self, call: Callable[..., None], *given: Any) -> None:
        try:
            call(*given)
        except Exception as error:  # noqa: BLE001 - the gateway's client must not feel our faults
            log.error("an event of WhatsApp was not recorded: %s", type(error).__name__)

    # Connecting

    def _subscribe(self) -> list[int]:
        """Ask for the events that are listened to; returns the codes nobody else asked for."""
        handlers = self.client.event.list_func
        added = [code for code in (*self._decoded, *self._noticed) if code not in handlers]
        for code in added:
            handlers[code] = _unheard
        return added

    def _begin(self) -> list[int]:
        if not self.started:
            self.started = True
            _STARTED.append(self.client)
        self._tell("starting")
        return self._subscribe()

    def _connect_now(self, *given: Any, **named: Any) -> Any:
        """`connect()` of a `NewClient`: blocks until the client is stopped."""
        self._begin()
        try:
            result = self._connect(*given, **named)
        except BaseException as error:
            self._tell("ended", error)
            raise
        self._tell("ended", None)
        return result

    async def _connect_later(self, *given: Any, **named: Any) -> Any:
        """`connect()` of a `NewAClient`: gives a task that lasts as long as the connection."""
        added = self._begin()
        try:
            task: asyncio.Task[Any] = await self._connect(*given, **named)
        except BaseException as error:
            self._tell("ended", error)
            raise
        finally:
            # The subscription is made; a stand-in would be called as if it were a coroutine.
            handlers = self.client.event.list_func
            for code in added:
                if handlers.get(code) is _unheard:
                    del handlers[code]
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tell("ended", None if task.cancelled() else task.exception())


def tap_of(client: Any) -> Tap | None:
    """The tap that was fitted to a client before, if any."""
    owner = getattr(client.event.execute, "__self__", None)
    return owner if isinstance(owner, Tap) else None
