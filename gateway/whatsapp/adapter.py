"""The neonize adapter: observes a client that the gateway owns, and writes replies through it.

`attach` claims an account for a client before its `connect()`. From then on the client's events
are stimuli and the machine's effects reach the client. neonize is imported here and nowhere else,
and not before it is needed.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ...statemachine.errors import InputError, LinewardenError
from ..clock import Clock, SystemClock
from .attachment import Attachment, Warden
from .driver import NeonizeDriver
from .events import EVIDENCE, LIFECYCLE
from .tap import Tap, tap_of


class NeonizeMissing(LinewardenError):
    """neonize can't be imported."""


class Library(NamedTuple):
    """What is used of neonize: its event classes by their codes, and what makes its objects."""

    events: dict[int, type[Any]]
    jid: Callable[[str, str], Any]
    message: Any
    client: Callable[..., Any]
    proxy: Callable[[str], Any]


@functools.cache
def load_neonize() -> Library:
    """neonize, imported; raises `NeonizeMissing`, whose cause is what went wrong."""
    try:
        try:
            return _import_neonize()
        except ImportError as error:
            if "libmagic" not in str(error):
                raise
            # It carries libmagic, and makes ctypes find it.
            importlib.import_module("pylibmagic")
            return _import_neonize()
    except (ImportError, OSError, RuntimeError) as error:
        raise NeonizeMissing(
            f"neonize can't be imported: {type(error).__name__}",
            hint="pip install 'linewarden[whatsapp]'; `linewarden doctor` tells what is missing",
        ) from error


def _import_neonize() -> Library:
    from neonize._binder import ProxySettings
    from neonize.client import NewClient
    from neonize.events import INT_TO_EVENT
    from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
    from neonize.utils.jid import build_jid

    return Library(INT_TO_EVENT, build_jid, Message, NewClient, ProxySettings)


def attach(
    warden: Warden,
    client: Any,
    account: str,
    *,
    controller: str | None = None,
    reason: str = "attach",
    on_dial: Callable[[str, int], Any] | None = None,
    on_claim: Callable[[str, str], Any] | None = None,
    on_notice: Callable[[str, str, str], Any] | None = None,
    on_purge: Callable[[str], Any] | None = None,
    clock: Clock | None = None,
) -> Attachment:
    """Claim an account for a neonize client, sync or async, before its `connect()`.

    The gateway goes on as before: it registers its handlers, now or later, and calls `connect()`.
    The library redials by itself after a lost connection; `on_dial(controller, socket)` is called
    where it doesn't (after a ban's end, say) and should stop the client and connect a fresh one.
    `on_claim(account, reason)` should start and attach a successor, `on_notice(account, controller,
    notice)` tell an operator, `on_purge(controller)` delete what the gateway keeps of a session.
    Each may be a plain function, called in a thread, or a coroutine function. Raises `InputError`
    for what is no client or already connects, `NeonizeMissing` where there is no library.
    """
    tap = tap_for(client)
    driver = NeonizeDriver(
        client,
        load_neonize().jid,
        load_neonize().message,
        on_dial=on_dial,
        on_claim=on_claim,
        on_notice=on_notice,
        on_purge=on_purge,
    )
    attachment = Attachment(warden, tap, account, driver, clock or SystemClock())
    driver.line = attachment
    attachment.receipt = warden.claim(account, controller, driver=driver, reason=reason)
    attachment.controller = attachment.receipt.controller
    earlier, tap.listener = tap.listener, attachment
    if isinstance(earlier, Attachment):
        earlier.detach()
    return attachment


def tap_for(client: Any) -> Tap:
    """The tap of a client, fitted now if it has none; raises `InputError` for what is no client."""
    tap = tap_of(client) if hasattr(client, "event") else None
    return _new_tap(client) if tap is None else tap


def _new_tap(client: Any) -> Tap:
    wanted = ("event", "connect", "connect_with_proxy", "send_message", "uuid")
    if not all(hasattr(client, name) for name in wanted):
        raise InputError(
            "the client is no neonize client", hint="give a NewClient or a NewAClient of neonize"
        )
    if hasattr(client, "_connect_refs"):
        raise InputError(
            "the client is connecting already, and what it says can't be heard any more",
            hint="call attach before connect()",
        )
    events = load_neonize().events
    return Tap(
        client,
        {code: kind for code, kind in events.items() if kind.__name__ in LIFECYCLE},
        {code: kind for code, kind in events.items() if kind.__name__ in EVIDENCE},
    )
