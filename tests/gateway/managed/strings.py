"""What puppets hang on: the test's end of the socket over which `puppet.py` is played.

One `Strings` plays all workers of one account, one after another; each is a `Puppet` here.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

NUMBER, LID = "15550100001", "100000000000001"
WAIT_S = 30.0
"""How long a test waits for anything; a loaded machine starts a worker in seconds."""

CLOSING = frozenset({
    "Disconnected", "StreamError", "StreamReplaced", "LoggedOut", "TemporaryBan", "ConnectFailure",
    "ClientOutdated",
})  # fmt: skip

T = TypeVar("T")
Act = dict[str, Any]


def wait_until(condition: Callable[[], T], within_s: float = WAIT_S) -> T:
    """Wait for a condition of other processes, and return what it gave."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline, f"this was waited for in vain: {condition}"
        pause.wait(0.01)
    return found


def jid(user: str, server: str = "s.whatsapp.net", device: int = 0) -> dict[str, Any]:
    """The fields of a JID of neonize."""
    return {
        "User": user, "Server": server, "Device": device,
        "RawAgent": 0, "Integrator": 0, "IsEmpty": not user,
    }  # fmt: skip


def event(kind: str, **fields: Any) -> Act:
    """An event of the library by the name of its class, and its fields."""
    return {"act": "event", "kind": kind, "fields": fields, "closes": kind in CLOSING}


def device(user: str = NUMBER, lid: str = LID) -> Act:
    """Who the client is: what the library tells before anything else."""
    return event(
        "Device", JID=jid(user, device=12), LID=jid(lid, "lid", 12),
        Platform="", BussinessName="", PushName="", Initialized=True,
    )  # fmt: skip


def connected() -> Act:
    return event("Connected", status=True)


def message(text: str, id: str = "3EB0AA", sender: str = "15550100002", **info: Any) -> Act:
    """A message that comes in, in the sender's own chat unless `MessageSource` says otherwise."""
    source = {
        "Chat": jid(sender), "Sender": jid(sender, device=3), "IsFromMe": False, "IsGroup": False,
        **info.pop("MessageSource", {}),
    }  # fmt: skip
    given = {"ID": id, "Pushname": "", "Timestamp": 1_700_000_000, "MessageSource": source, **info}
    return event("Message", Info=given, Message={"conversation": text})


def fails(text: str) -> Act:
    """`connect()` raises."""
    return {"act": "fail", "text": text}


class Puppet:
    """One worker process, as the test sees it."""

    def __init__(self, strings: Strings, connection: socket.socket) -> None:
        self.pid = 0
        self.seen: list[dict[str, Any]] = []
        self.gone = threading.Event()
        """Its end of the socket is closed: the process is over."""
        self.beside: list[int] = []
        """Other workers of the account that still lived when this one began."""
        self._strings = strings
        self._connection = connection
        self._lines = connection.makefile("r")
        self._lock = threading.Lock()

    @property
    def runs(self) -> bool:
        """Whether it lives, by its own end of the socket and by the system's word."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return not self.gone.is_set()

    def named(self, name: str) -> list[dict[str, Any]]:
        """What was seen of a kind: connect, send, stop …"""
        return [seen for seen in self.seen if seen["saw"] == name]

    def listen(self) -> None:
        with contextlib.suppress(OSError):
            for line in self._lines:
                said = json.loads(line)
                if said["saw"] == "hello":
                    self.pid = said["pid"]
                    self.beside = [one.pid for one in self._strings.puppets if one.runs]
                    self._strings.puppets.append(self)
                self.seen.append(said)
                answer = self._strings.answer_to(said)
                if answer is not None:
                    self.do("answer", call=said["call"], **answer)
        self._close()
        self.gone.set()

    def do(self, order: str, **how: Any) -> None:
        """Have it done; an order to one that is over is lost."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.sendall(json.dumps({"do": order, **how}).encode() + b"\n")

    def play(self, *acts: Act) -> None:
        """Have the client hear events, or fail, in this order."""
        for act in acts:
            self.do(act["act"], **{key: value for key, value in act.items() if key != "act"})

    def private(self, name: str, text: str) -> None:
        """Call one of the client's private callbacks: `Qr` or `LoginStatus`."""
        self.do("private", name=name, text=text)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the process a signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _close(self) -> None:
        with self._lock:
            self._lines.close()
            self._connection.close()


class Strings:
    """Plays the workers of one account. What is answered may be changed at any time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="strings-")  # its path must be short
        self.path = f"{self._folder.name}/s"
        self.puppets: list[Puppet] = []
        self.at_connect: list[Act] = [device(), connected()]
        """What each dial hears at once."""
        self.at_send: Callable[[str, str], dict[str, Any] | None] = self._acknowledge
        """Answers a write of a text to a chat: `{"id": …}`, `{"raise": …}`, or None and hangs."""
        self.at_pair: dict[str, Any] = {"code": "ABCD1234"}
        self.links: dict[str, dict[str, Any]] = {}
        """The library's map from one form to the JID of the other."""
        self.written: list[tuple[str, str]] = []
        self._all: list[tuple[Puppet, threading.Thread]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._accepting = threading.Thread(target=self._accept, name="strings", daemon=True)
        self._accepting.start()

    @property
    def command(self) -> tuple[str, ...]:
        """The command of a worker that hangs on these strings."""
        return (sys.executable, "-P", str(Path(__file__).with_name("puppet.py")), self.path)

    def _acknowledge(self, chat: str, text: str) -> dict[str, Any]:
        return {"id": f"3EB0{len(self.written):04}"}

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                puppet = Puppet(self, connection)
                thread = threading.Thread(target=puppet.listen, name="strings", daemon=True)
                self._all.append((puppet, thread))
                thread.start()

    def answer_to(self, said: dict[str, Any]) -> dict[str, Any] | None:
        match said["saw"]:
            case "connect":
                return {"acts": self.at_connect}
            case "send":
                self.written.append((said["chat"], said["text"]))
                return self.at_send(said["chat"], said["text"])
            case "pair":
                return self.at_pair
            case "map":
                return {"jid": self.links.get(said["form"], jid("", ""))}
        return None

    def puppet(self, number: int = 0) -> Puppet:
        """The worker that was started after so many others, once it dials."""
        wait_until(lambda: len(self.puppets) > number)
        wait_until(lambda: self.puppets[number].named("connect"))
        return self.puppets[number]

    @property
    def alive(self) -> list[Puppet]:
        """The workers that are not over."""
        return [puppet for puppet, _ in self._all if not puppet.gone.is_set()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of everything, and end what still lives, so that no test leaves a process."""
        for puppet in self.alive:
            puppet.kill()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(WAIT_S)
        for _, thread in self._all:
            thread.join(WAIT_S)
        self._folder.cleanup()
