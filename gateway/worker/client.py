"""The neonize clients of a worker: one after another, each dialed once, none ever let go.

It is a small gateway of its own that attaches to its client as any gateway does: the library's
events become stimuli by the same code, and a message is written after the same last look.
"""

from __future__ import annotations

import base64
import logging
import os
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from ...statemachine.errors import LinewardenError
from ..clock import SystemClock
from ..driver import IdentityMismatch, NotSent, Outgoing, SendRejected
from ..redaction import redact
from ..whatsapp.adapter import Library, load_neonize, tap_for
from ..whatsapp.attachment import Attachment
from ..whatsapp.driver import NeonizeDriver
from ..whatsapp.events import is_unmapped
from .hearing import Hearing
from .protocol import (
    Alive,
    Ask,
    Begin,
    Dial,
    Fault,
    Observed,
    PairingCode,
    Show,
    Spent,
    Write,
    Written,
)
from .voice import LogToService, Voice

EXIT_DEAD_PUMP = 4
"""The process ends with this after a failure that the library can't express: it is deaf then."""

WRITES_MAX = 8
"""Writes that may wait for their acknowledgement at once; each may take 75 s (neonize.md §4)."""

ASK_S = 3.0
"""How long the client may take to say whether it is connected; a dial may hold it up for 60 s."""

EXIT_NO_LIBRARY = 5
"""… and with this where neonize can't be loaded."""

EXIT_FAULT = 6
"""… and with this where there is no client, or an order could not be carried out."""

Make = Callable[..., Any]
"""Makes a client: `make(session, uuid=…)`; the uuid must be new in the process."""

log = logging.getLogger("linewarden.worker")


def load(voice: Voice) -> Library:
    """The library, whose log lines go to the service; ends the process where there is none."""
    try:
        library = load_neonize()
    except LinewardenError as error:
        voice.tell(Fault(message=error.message, hint=error.hint))
        voice.finish(ASK_S)
        os._exit(EXIT_NO_LIBRARY)
    # It set up logging of its own as it was imported; at DEBUG it would log keys.
    logging.getLogger().handlers = [LogToService(voice)]
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("neonize.utils.log").setLevel(logging.INFO)
    # Each worker would warn that there is no ffmpeg; `linewarden doctor` says so once.
    logging.getLogger("neonize.utils.ffmpeg").setLevel(logging.ERROR)
    return library


class Client:
    """The client that is current; those before it are kept, because Go still knows them."""

    def __init__(self, begin: Begin, voice: Voice, make: Make | None) -> None:
        self._begin = begin
        self._voice = voice
        self._make = make
        self._attachment: Attachment | None = None
        self._kept: list[Attachment] = []
        self._connecting = False
        self._writers = ThreadPoolExecutor(WRITES_MAX, thread_name_prefix="linewarden-write")
        self._hearing = Hearing(begin.allow, voice, self.other_form)
        self._phone_asked = False
        self._ending = threading.Lock()
        self._asking = threading.Lock()

    # Dialing

    def dial(self, dial: Dial) -> None:
        """Connect, unless the library dials by itself; `connect()` is called once on a client."""
        attachment = self._attachment
        if self._connecting and attachment is not None and attachment.redials:
            attachment.dialed(dial.socket)
        elif self._connecting or len(self._kept) >= self._begin.connects_max:
            self._voice.tell(Spent(socket=dial.socket))
        else:
            self._connecting = True
            threading.Thread(
                target=self._connect, args=(dial,), name="linewarden-connect", daemon=True
            ).start()

    def _connect(self, dial: Dial) -> None:
        failure: BaseException | None = None
        try:
            library = load(self._voice)
            attachment = self._fresh(library)
            attachment.asked = dial.socket
        except Exception:  # noqa: BLE001 - whatever it was: without a client there is no worker
            traceback.print_exc()
            self._voice.finish(ASK_S)
            os._exit(EXIT_FAULT)
        self._attachment = attachment
        proxy = self._begin.proxy
        try:
            attachment.client.connect(library.proxy(proxy) if proxy is not None else None)
        except Exception as error:  # noqa: BLE001 - the attachment has told what it means
            failure = error
        self._connecting = False
        if failure is not None and is_unmapped(failure):
            self._voice.finish(ASK_S)
            os._exit(EXIT_DEAD_PUMP)

    def _fresh(self, library: Library) -> Attachment:
        make = self._make or library.client
        client = make(self._begin.session, uuid=f"linewarden-{len(self._kept)}")
        client.event.qr(self._show_qr)
        client.event.paircode(lambda *_: None)  # the library's own would log the code
        [message] = [kind for kind in library.events.values() if kind.__name__ == "Message"]
        client.event(message)(lambda _client, event: self._hearing.take(event))
        driver = NeonizeDriver(client, library.jid, library.message)
        tap = tap_for(client)
        attachment = Attachment(self._voice, tap, "", driver, SystemClock(), pulse=False)
        driver.line = tap.listener = attachment
        self._kept.append(attachment)
        self._phone_asked = False
        return attachment

    # Pairing

    def _show_qr(self, client: Any, payload: bytes) -> None:
        """A code to scan; where a phone number was given, one to type in is asked for instead."""
        phone = self._begin.phone
        if phone is None:
            self._voice.tell(PairingCode(kind="qr", value=payload.decode("utf-8", "replace")))
        elif not self._phone_asked:
            self._phone_asked = True
            asked = threading.Thread(target=self._pair_phone, args=(client, phone), daemon=True)
            asked.start()

    def _pair_phone(self, client: Any, phone: str) -> None:
        try:
            code = client.PairPhone(phone.lstrip("+"), True)
        except Exception as error:  # noqa: BLE001 - whatever it was, there is no code to type in
            fields = {"reason": "error", "detail": redact(str(error))}
            at = SystemClock().now()
            self._voice.tell(Observed(name="pairing_failed", at=at, fields=fields))
        else:
            self._voice.tell(PairingCode(kind="code", value=code))

    # Messages

    def other_form(self, jid: str) -> str | None:
        """The other form of somebody by the library's map, which asks no server."""
        user, _, server = jid.partition("@")
        attachment = self._attachment
        # Asked of a client that is stopped, the library ends the process.
        with self._ending:
            if attachment is None or not attachment.identity:
                return None
            client = attachment.client
            ask = client.get_pn_from_lid if server == "lid" else client.get_lid_from_pn
            found = ask(load_neonize().jid(user, server))
        return f"{found.User}@{found.Server}" if found.User else None

    def write(self, write: Write) -> None:
        """Write one message on a thread of its own, and tell what came of it."""
        self._writers.submit(self._write, write)

    def _write(self, write: Write) -> None:
        failed = partial(Written, number=write.number)
        attachment = self._attachment
        if attachment is None:
            self._voice.tell(failed(failure="not_sent", detail="the worker has no client yet"))
            return
        try:
            content: Any = write.content
            if write.is_message:
                content = load_neonize().message.FromString(base64.b64decode(content))
            outgoing = Outgoing("", "", "", write.chat, content, write.identity)
            message_id = attachment.driver.send(outgoing)
        except IdentityMismatch as error:
            answer = failed(failure="mismatch", detail=error.message)
        except NotSent as error:
            answer = failed(failure="not_sent", detail=error.message)
        except SendRejected as error:
            answer = failed(failure="rejected", detail=error.message)
        except Exception as error:  # noqa: BLE001 - it is not known whether it left
            detail = getattr(error, "message", type(error).__name__)
            answer = failed(failure="unknown", detail=detail)
        else:
            answer = Written(number=write.number, message_id=message_id)
        self._voice.tell(answer)

    def show(self, show: Show) -> None:
        """Let a chat see something, best effort: nothing waits for it and nothing is told of it."""
        self._writers.submit(self._show, show)

    def _show(self, show: Show) -> None:
        attachment = self._attachment
        if attachment is None or not attachment.identity:
            return
        from neonize.utils.enum import ChatPresence, ChatPresenceMedia, ReceiptType

        client, jid_of = attachment.client, attachment.driver.chat_of
        chat, text = jid_of(show.chat), ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT
        try:
            match show.what:
                case "typing":
                    client.send_chat_presence(chat, ChatPresence.CHAT_PRESENCE_COMPOSING, text)
                case "paused":
                    client.send_chat_presence(chat, ChatPresence.CHAT_PRESENCE_PAUSED, text)
                case "read":
                    whose = jid_of(show.sender or show.chat)
                    client.mark_read(*show.ids, chat=chat, sender=whose, receipt=ReceiptType.READ)
        except Exception as error:  # noqa: BLE001 - best effort
            log.info("a chat could not be shown %s: %s", show.what, type(error).__name__)

    # Life and end

    def ask(self, ask: Ask) -> None:
        """Say that the worker lives, once its client was asked too, or after `ASK_S`.

        A client that dials may be held up for a minute; it is asked again when it has answered.
        """
        if not self._asking.acquire(blocking=False):
            self._voice.tell(Alive(number=ask.number))
            return
        answered = threading.Event()

        def probe() -> None:
            try:
                self._feel_pulse()
            finally:
                self._asking.release()
                answered.set()

        def answer() -> None:
            if not answered.wait(ASK_S):
                log.info("the client did not say in time whether it is connected")
            self._voice.tell(Alive(number=ask.number))

        threading.Thread(target=probe, name="linewarden-probe", daemon=True).start()
        threading.Thread(target=answer, name="linewarden-answer", daemon=True).start()

    def _feel_pulse(self) -> None:
        attachment = self._attachment
        if attachment is not None:
            client = attachment.client
            if client.is_logged_in and client.is_connected:
                attachment.probe()

    def stop(self) -> None:
        """Stop the client; it may take a minute while it dials, or for ever while it pairs."""
        attachment = self._attachment
        if attachment is not None:
            with self._ending:
                attachment.client.stop()
