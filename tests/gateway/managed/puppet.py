"""The real worker with a client that a test plays: `puppet.py STRINGS R W`.

The client is a real `NewClient`; only what would reach the network is played. Its events go through
the very thunk that the Go library is given, on the thread that connects. What it is to do comes
over the Unix socket STRINGS, one JSON object a line; see `strings.py` for the other end.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

from linewarden.gateway.worker import client as worker
from linewarden.gateway.worker.__main__ import main

worker.ASK_S = 0.5  # a test has less patience with a client that doesn't say how it is

LOGGERS = ("whatsmeow.Client", "neonize", "linewarden.worker", "transitions.core")


class Hand:
    """The puppet's end of the strings."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._answers: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self.client: Any = None
        self.say("hello", pid=os.getpid())
        threading.Thread(target=self._obey, name="puppet-hand", daemon=True).start()

    def say(self, saw: str, **what: Any) -> None:
        """Tell the test what was seen."""
        with self._lock:
            self._socket.sendall(json.dumps({"saw": saw, **what}).encode() + b"\n")

    def ask(self, saw: str, **what: Any) -> dict[str, Any]:
        """Tell the test what was called, and wait for its answer; raise what it says to raise."""
        number = next(self._numbers)
        answer = self._answers[number] = queue.SimpleQueue()
        self.say(saw, call=number, **what)
        given = answer.get()
        if "raise" in given:
            raise neonize().exc.SendMessageError(given["raise"])
        return given

    def _obey(self) -> None:
        with self._socket.makefile("r") as orders:
            for line in orders:
                order = json.loads(line)
                match order.pop("do"):
                    case "answer":
                        self._answers.pop(order["call"]).put(order)
                    case "abort":
                        os.abort()
                    case "spawn":
                        child = "import threading; threading.Event().wait(60)"
                        spawned = subprocess.Popen(
                            [sys.executable, "-c", child, *order["words"]],
                            start_new_session=order.get("leaves", False),
                        )
                        self.say("spawned", pid=spawned.pid)
                    case "print":
                        print(order["text"], flush=True)
                        print(order["text"], file=sys.stderr, flush=True)
                    case "log":
                        self._log(order["text"])
                    case act:
                        self.client.acts.put({"act": act, **order})

    def _log(self, text: str) -> None:
        for name in LOGGERS:
            for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
                logging.getLogger(name).log(level, "it said %s", text)
            try:
                raise ValueError(text)
            except ValueError:
                logging.getLogger(name).exception(text)
        self.say("logged")


@functools.cache
def neonize() -> Any:
    """What is used of the library; the worker has loaded it by now."""
    from neonize import _binder, client, events, exc
    from neonize.proto import Neonize_pb2 as proto

    return SimpleNamespace(binder=_binder, client=client, events=events, exc=exc, proto=proto)


class Played:
    """What a test plays of a client; the rest is the real one, which comes after it."""

    def __init__(self, session: str, uuid: str) -> None:
        super().__init__(session, uuid=uuid)  # type: ignore[call-arg] - it is NewClient's
        self.acts: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.open = self.logged_in = False
        self.busy = threading.Lock()
        hand.client = self

    def connect_with_proxy(self: Any, proxy_settings: Any = None) -> None:
        """Block until stopped, as the real one does, on the thread that hears the events."""
        # As the library does: the callbacks are bound here, and whoever comes later is deaf.
        self._connect_refs = {
            "event": neonize().binder.func_callback_bytes(self.event.execute),
            "Qr": neonize().binder.func_string(self._NewClient__onQr),
            "LoginStatus": neonize().binder.func_string(self._NewClient__onLoginStatus),
        }
        self._subscribed = {0, *self.event.list_func}
        proxy = getattr(proxy_settings, "proxy_address", None)
        uuid = self.uuid.decode()
        for act in hand.ask("connect", uuid=uuid, session=self.name, proxy=proxy)["acts"]:
            self.acts.put(act)
        while (act := self.acts.get())["act"] != "stop":
            getattr(self, f"do_{act['act']}")(act)

    def do_event(self: Any, act: dict[str, Any]) -> None:
        kind = getattr(neonize().proto, act["kind"])
        raw = kind(**act["fields"]).SerializePartialToString()
        self.open = act["kind"] == "Connected" or (self.open and not act["closes"])
        self.logged_in = self.logged_in or self.open
        code = neonize().events.EVENT_TO_INT[kind]
        if code in self._subscribed:
            buffer = ctypes.create_string_buffer(raw, len(raw) or 1)
            self._connect_refs["event"](self.uuid, ctypes.addressof(buffer), len(raw), code)

    def do_private(self: Any, act: dict[str, Any]) -> None:
        buffer = ctypes.create_string_buffer(act["text"].encode())
        self._connect_refs[act["name"]](None, ctypes.addressof(buffer))

    def do_dial(self, act: dict[str, Any]) -> None:
        self.busy.acquire()  # as the library holds its lock while it dials

    def do_lose(self, act: dict[str, Any]) -> None:
        self.open = False  # without a word

    def do_fail(self, act: dict[str, Any]) -> None:
        raise neonize().exc.NeonizeError(act["text"])

    def stop(self) -> None:
        hand.say("stop")
        self.open = False
        self.acts.put({"act": "stop"})

    def disconnect(self) -> None:
        hand.say("disconnect")
        self.open = False

    @property
    def is_connected(self) -> bool:
        with self.busy:
            return self.open

    @property
    def is_logged_in(self) -> bool:
        return self.logged_in

    def send_message(self, to: Any, message: Any, *_: Any, **__: Any) -> Any:
        chat = f"{to.User}@{to.Server}"
        answer = hand.ask("send", chat=chat, text=message.conversation)
        return neonize().proto.SendResponse(ID=answer["id"])

    def PairPhone(self, phone: str, *_: Any, **__: Any) -> str:  # noqa: N802 - its name there
        return str(hand.ask("pair", phone=phone)["code"])

    def get_pn_from_lid(self, jid: Any) -> Any:
        return neonize().proto.JID(**hand.ask("map", form=f"{jid.User}@{jid.Server}")["jid"])

    get_lid_from_pn = get_pn_from_lid


if __name__ == "__main__":
    hand = Hand(sys.argv[1])

    def make(session: str, uuid: str) -> Any:
        """A client, made when the worker has loaded the library."""
        return type("Puppet", (Played, neonize().client.NewClient), {})(session, uuid)

    main(sys.argv[2:], make)
