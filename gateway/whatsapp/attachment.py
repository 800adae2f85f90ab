"""A client that is observed: its events become stimuli of one controller of one account.

What an event means stands in `events`. Here is what has to be remembered for it: whether a
socket is open and which one, whether the library dials by itself, and who the client is.
"""

from __future__ import annotations

import functools
import threading
from typing import Any, Protocol

from ..clock import Clock
from ..loophost import NotRunning
from ..redaction import package_logger
from .driver import NeonizeDriver, called
from .events import (
    CLOSING,
    EVIDENCE,
    LIFECYCLE,
    UNRETRIED,
    dial_failure,
    forms_of,
    login_status,
)
from .tap import Tap

PROOFS_A_SILENCE = 5
"""Signs of life of a kind are recorded this often within the policy's `silence_s`, and not more."""

ACTIVITY_S = 60.0
"""Seconds between them, until the policy is known."""

log = package_logger("linewarden.whatsapp")

_OF_THE_OPEN_SOCKET = frozenset({"Disconnected", "StreamError", "StreamReplaced"})
_AFTER_DETACHING = frozenset({"socket_closed", "session_purged"})


class Warden(Protocol):
    """What is needed of `Linewarden`."""

    def standing(self, account: str, controller: str) -> tuple[int, float] | None:
        """The newest socket of a controller, and its `silence_s`; None where it is not newest."""
        ...

    def observe(self, account: str, name: str, **fields: Any) -> Any:
        """Record a stimulus; gives a receipt and never blocks."""
        ...

    def claim(
        self, account: str, controller: str | None = None, *, driver: Any = None, reason: str = ""
    ) -> Any:
        """Take the account for a new controller."""
        ...


class Attachment:
    """A client that is observed as one controller of one account."""

    def __init__(
        self,
        warden: Warden,
        tap: Tap,
        account: str,
        driver: NeonizeDriver,
        clock: Clock,
        *,
        pulse: bool = True,
    ) -> None:
        self.account = account
        self.controller = ""
        self.driver = driver
        self.receipt: Any = None
        self.redials = True
        """Whether somebody dials unasked: the library, or the gateway that has yet to connect."""
        self.asked: int | None = None
        """The socket that a worker was asked to dial and that has not answered yet."""
        self._warden = warden
        self._pulsing = pulse
        self._tap = tap
        self._clock = clock
        self._activity_s = ACTIVITY_S
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
        """An event: what it means is in `events`; which socket it is about, only here."""
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
            self._observe(name, socket=None if opened else self.asked, **fields)
        else:
            self._observe("socket_closed", socket=self._number if opened else None)

    def dialed(self, socket: int) -> None:
        """A worker was asked for this socket; where one is open already, that is the answer."""
        self.asked = socket
        if self._open:
            self._number = None
            self._opened()

    def closed_by_us(self, controller: str, socket: int) -> None:
        """The driver closed the connection, of which the library tells nobody either."""
        for attachment in (self, self._tap.listener):
            if isinstance(attachment, Attachment):
                attachment._open, attachment.redials = False, False
        self._observe("socket_closed", controller=controller, socket=socket)

    def purged(self, controller: str) -> None:
        """The session of a logged-out controller is gone."""
        self._observe("session_purged", controller=controller)

    # What it comes to

    def _opened(self) -> None:
        """A socket is open. Its number is the machine's, so it is asked and not guessed.

        A number that is too low would be taken for an old socket's. So an opening names none,
        unless the one before was never closed: the library reconnected without a word, and only
        a new number says so; or it answers the dial that a worker was asked for.
        """
        unseen = self._open and self._number is not None
        self._number = self._number + 1 if unseen and self._number is not None else self.asked
        self.asked = None
        self._open, self._muted, self.redials = True, False, True
        self._openings += 1
        self._last.clear()
        receipt = self._observe("opened", socket=self._number)
        if receipt is not None:
            receipt.add_done_callback(functools.partial(self._recorded, self._openings))
        self._observe_identity()

    def _recorded(self, opening: int, receipt: Any) -> None:
        """The opening is recorded: the live view says which socket it was, and by which policy."""
        if not receipt.cancelled() and receipt.exception() is None:
            standing = self._warden.standing(self.account, self.controller)
            if standing is not None:
                self._activity_s = standing[1] / PROOFS_A_SILENCE
                self._number = standing[0] if opening == self._openings else self._number
        if self._pulsing and self._pulse is None:
            self._pulse = threading.Thread(
                target=self._feel_pulse, name="linewarden-pulse", daemon=True
            )
            self._pulse.start()

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
        if self._over.is_set() and name not in _AFTER_DETACHING:
            return None
        given = {"controller": self.controller, "source": "whatsmeow", **fields}
        known = {key: value for key, value in given.items() if value is not None}
        try:
            return self._warden.observe(self.account, name, **known)
        except NotRunning:
            return None  # linewarden ended, and the gateway goes on without it
        except Exception as error:  # noqa: BLE001 - the client must not feel that we can't record
            if type(error) not in self._refused:
                self._refused.add(type(error))
                log.error(
                    "account %s: %s was not recorded: %s", self.account, name, type(error).__name__
                )
            return None
