"""The neonize adapter: observes a client that the gateway owns, and writes replies through it.

`attach` claims an account for a client before its `connect()`. From then on the client's events
are stimuli and the machine's effects reach the client. neonize is imported here and nowhere else,
and not before it is needed.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ..statemachine.errors import InputError, LinewardenError
from .clock import Clock, SystemClock
from .redaction import package_logger
from .whatsapp_driver import NeonizeDriver, called
from .whatsapp_events import (
    CLOSING, EVIDENCE, LIFECYCLE, UNRETRIED, dial_failure, forms_of, login_status,
)  # fmt: skip
from .whatsapp_tap import Tap, tap_of

ACTIVITY_S = 60
"""Signs of life are recorded at most this often, a fifth of the policy's `silence_s`."""

log = package_logger("linewarden.whatsapp")

_OF_THE_OPEN_SOCKET = frozenset({"Disconnected", "StreamError", "StreamReplaced"})


class NeonizeMissing(LinewardenError):
    """neonize can't be imported."""


class Library(NamedTuple):
    """What is used of neonize: its event classes by their codes, and two of its messages."""

    events: dict[int, type[Any]]
    jid: Callable[[str, str], Any]
    message: Callable[..., Any]


@functools.cache
def load_neonize() -> Library:
    """neonize, imported; raises `NeonizeMissing` with what to install."""
    try:
        return _import_neonize()
    except ImportError as error:
        if "libmagic" not in str(error):
            raise NeonizeMissing(
                f"neonize can't be imported: {type(error).__name__}",
                hint="pip install 'linewarden[whatsapp]'",
            ) from error
    try:
        # It carries libmagic, and makes ctypes find it.
        importlib.import_module("pylibmagic")
        return _import_neonize()
    except ImportError as error:
        raise NeonizeMissing(
            "neonize needs libmagic, which is missing",
            hint="apt-get install libmagic1, brew install libmagic, or pip install pylibmagic",
        ) from error


def _import_neonize() -> Library:
    from neonize.events import INT_TO_EVENT
    from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
    from neonize.utils.jid import build_jid

    return Library(INT_TO_EVENT, build_jid, Message)


class Warden(Protocol):
    """What is needed of `Linewarden`."""

    @property
    def projections(self) -> Any:
        """The live view of the log."""
        ...

    def observe(self, account: str, name: str, **fields: Any) -> Any:
        """Record a stimulus; gives a receipt and never blocks."""
        ...

    def claim(
        self, account: str, controller: str | None = None, *, driver: Any = None, reason: str = ""
    ) -> Any:
        """Take the account for a new controller."""
        ...


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
    activity_s: int = ACTIVITY_S,
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
    tap = tap_of(client) if hasattr(client, "event") else None
    if tap is None:
        tap = _new_tap(client)
    driver = NeonizeDriver(
        client,
        load_neonize().jid,
        load_neonize().message,
        on_dial=on_dial,
        on_claim=on_claim,
        on_notice=on_notice,
        on_purge=on_purge,
    )
    attachment = Attachment(warden, tap, account, driver, activity_s, clock or SystemClock())
    driver.line = attachment
    attachment.receipt = warden.claim(account, controller, driver=driver, reason=reason)
    attachment.controller = attachment.receipt.controller
    earlier, tap.listener = tap.listener, attachment
    if isinstance(earlier, Attachment):
        earlier.detach()
    return attachment


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


class Attachment:
    """A client that is observed as one controller of one account."""

    def __init__(
        self,
        warden: Warden,
        tap: Tap,
        account: str,
        driver: NeonizeDriver,
        activity_s: int,
        clock: Clock,
    ) -> None:
        self.account = account
        self.controller = ""
        self.driver = driver
        self.receipt: Any = None
        self.redials = True
        """Whether the library, or the gateway that has yet to connect, dials without being asked."""
        self._warden = warden
        self._tap = tap
        self._clock = clock
        self._activity_s = activity_s
        self._open = False
        self._muted = False
        self._number: int | None = None
        self._openings = 0
        self._shown = False
        self._stale_me: Any = None
        self._last: dict[str, int] = {}
        self._refused: set[type[Exception]] = set()
        self._over = threading.Event()
        self._pulse: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"Attachment({self.account}, {self.controller})"

    @property
    def client(self) -> Any:
        """The neonize client."""
        return self._tap.client

    @property
    def identity(self) -> dict[str, str]:
        """The forms that the client is logged in as, from its own memory; empty if not known.

        Real values: they belong in no log. `get_me()` is never called, since it ends the process
        where the client isn't connected.
        """
        me = self.client.me
        return {} if me is None or me is self._stale_me else forms_of(me)

    def detach(self) -> None:
        """Stop observing; the client and the gateway's handlers stay as they are."""
        self._over.set()
        if self._tap.listener is self:
            self._tap.listener = None

    # What the tap tells, mostly on the library's thread

    def heard(self, name: str, event: Any) -> None:
        """An event: what it means is in `whatsapp_events`, which socket it is about is known here."""
        if name in EVIDENCE:
            self._prove_life(EVIDENCE[name])
            return
        if name == "Connected":
            self._opened()
            return
        if name == "QR" and self._shown:
            return  # the library repeats it when the pairing is over
        fields: dict[str, Any] = {}
        if self._open and (
            name in _OF_THE_OPEN_SOCKET or (name == "LoggedOut" and not event.OnConnect)
        ):
            fields["socket"] = self._number
        if name in CLOSING:
            self._open = False
            self.redials = name not in UNRETRIED
        if name in ("KeepAliveTimeout", "KeepAliveRestored"):
            self._muted = name == "KeepAliveTimeout"
        if name == "PairStatus":
            self._shown = False
        for stimulus, said in LIFECYCLE[name](event):
            self._observe(stimulus, **fields, **said)

    def identified(self) -> None:
        """The client knows who it is, which may be before or after it is connected."""
        if self._open:
            self._observe_identity()

    def showed_code(self) -> None:
        """A code to pair with is shown; the code itself goes to the gateway only."""
        self._shown = True
        self._observe("pairing_started")

    def login_changed(self, status: str) -> None:
        """The end of a pairing; its success is told by an event."""
        told = login_status(status)
        if told is not None:
            self._shown = False
            self._observe(told[0], **told[1])

    def starting(self) -> None:
        """`connect()` is called: who the client was before says nothing about who it will be."""
        self._stale_me = self.client.me
        self._shown = False
        self.redials = True

    def ended(self, error: BaseException | None) -> None:
        """`connect()` is over: raised, or stopped, of which the library tells nobody."""
        opened, self._open, self.redials = self._open, False, False
        if isinstance(error, Exception):
            name, fields = dial_failure(error, opened=opened)
            self._observe(name, **fields)
        else:
            self._observe("socket_closed", socket=self._number if opened else None)

    def closed_by_us(self, controller: str, socket: int) -> None:
        """The driver closed the connection, of which the library tells nobody either."""
        self._open, self.redials = False, False
        self._observe("socket_closed", controller=controller, socket=socket)

    def purged(self, controller: str) -> None:
        """The session of a logged-out controller is gone."""
        self._observe("session_purged", controller=controller)

    # What it comes to

    def _opened(self) -> None:
        """A socket is open. Its number is the machine's, so it is asked and not guessed.

        A number that is too low would be taken for an old socket's. So an opening names none,
        unless the one before was never closed: the library reconnected without a word, and only
        a new number says so.
        """
        unseen = self._open and self._number is not None
        self._number = self._number + 1 if unseen and self._number is not None else None
        self._open, self._muted, self.redials = True, False, True
        self._openings += 1
        self._last.clear()
        receipt = self._observe("opened", socket=self._number)
        if receipt is not None:
            receipt.add_done_callback(functools.partial(self._learn_number, self._openings))
        self._observe_identity()
        if self._pulse is None:
            self._pulse = threading.Thread(
                target=self._feel_pulse, name="linewarden-pulse", daemon=True
            )
            self._pulse.start()

    def _learn_number(self, opening: int, receipt: Any) -> None:
        """The opening is recorded: the live view says which socket it was."""
        if receipt.cancelled() or receipt.exception() is not None:
            return
        view = self._warden.projections.account(self.account)
        newest = view is not None and view.machine.controller == self.controller
        if newest and opening == self._openings:
            self._number = view.machine.socket

    def _observe_identity(self) -> None:
        forms = self.identity
        if forms:
            self._observe("identity_observed", forms=forms)

    def _prove_life(self, evidence: str) -> None:
        """Record a sign of life, at most one of a kind in a while."""
        now, last = self._clock.now(), self._last.get(evidence)
        if last is None or now - last >= self._activity_s * 1_000_000_000:
            self._last[evidence] = now
            self._observe("activity", evidence=evidence)

    def _feel_pulse(self) -> None:
        while not self._over.wait(self._activity_s):
            self.probe()

    def probe(self) -> None:
        """Ask the client whether it lives, so that a quiet account isn't taken for a dead one.

        `is_logged_in` never blocks but stays true after a lost connection, of which there are
        events; missed keepalives are events too. `is_connected` could block for a minute.
        """
        try:
            if self._open and not self._muted and called(lambda: self.client.is_logged_in) is True:
                self._prove_life("probe")
        except Exception as error:  # noqa: BLE001 - a pulse that can't be felt is none
            log.error("the client could not be asked: %s", type(error).__name__)

    def _observe(self, name: str, **fields: Any) -> Any:
        if self._over.is_set() and name != "socket_closed":
            return None
        given = {"controller": self.controller, "source": "whatsmeow", **fields}
        try:
            return self._warden.observe(
                self.account, name, **{key: value for key, value in given.items() if value is not None}
            )
        except Exception as error:  # noqa: BLE001 - the client must not feel that we can't record
            if type(error) not in self._refused:
                self._refused.add(type(error))
                log.error(
                    "account %s: %s was not recorded: %s", self.account, name, type(error).__name__
                )
            return None
