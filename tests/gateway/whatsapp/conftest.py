"""Real neonize clients, real events, and a stand-in for the service that remembers stimuli."""

import ctypes
import io
import os
import platform
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.receipt import Receipt
from linewarden.gateway.whatsapp.adapter import attach, load_neonize
from linewarden.gateway.whatsapp.attachment import Attachment
from linewarden.statemachine.parsing import parse

with pytest.MonkeyPatch.context() as patch:
    # neonize asks for the name of the system when it is imported, and leaves the pipe open.
    patch.setattr(os, "popen", lambda _: io.StringIO(platform.platform()))
    load_neonize()

import neonize.aioze.client as aioze
from neonize import client as sync
from neonize import events as ev
from neonize._binder import func_callback_bytes, func_string
from neonize.proto import Neonize_pb2 as proto

NUMBER, LID = "15550100001", "100000000000001"


class Recorder:
    """Stands in for `Linewarden`: understands stimuli as the real one does, and remembers them."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.claims: list[tuple[str, str]] = []
        self.broken: Exception | None = None
        self.machine = SimpleNamespace(
            controller="A", socket=0, policy=SimpleNamespace(silence_s=300)
        )

    def claim(self, account: str, controller: str | None = None, **how: Any) -> Receipt:
        self.claims.append((account, how["reason"]))
        return Receipt(controller or "A")

    def standing(self, _account: str, _controller: str) -> tuple[int, float]:
        return self.machine.socket, float(self.machine.policy.silence_s)

    def observe(self, account: str, name: str, **fields: Any) -> Receipt:
        if self.broken is not None:
            raise self.broken
        parse({"stimulus": name, **fields})
        assert (account, fields.pop("controller"), fields.pop("source")) == (
            "main",
            "A",
            "whatsmeow",
        )
        self.seen.append((name, fields))
        if name == "opened":
            self.machine.socket = fields.get("socket") or self.machine.socket + 1
        receipt = Receipt("A")
        receipt.set_result(None)
        return receipt

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]


def jid(user: str, server: str, device: int = 0) -> dict[str, Any]:
    return {
        "User": user, "Server": server, "Device": device,
        "RawAgent": 0, "Integrator": 0, "IsEmpty": not user,
    }  # fmt: skip


def device(user: str = NUMBER, lid: str = LID) -> Any:
    return proto.Device(
        JID=jid(user, "s.whatsapp.net", 12), LID=jid(lid, "lid", 12),
        Platform="", BussinessName="", PushName="", Initialized=True,
    )  # fmt: skip


def dispatch(client: Any, event: Any) -> None:
    """Give a client an event as the Go library does, through the thunk that it is started with."""
    raw = event.SerializePartialToString()
    buffer = ctypes.create_string_buffer(raw, len(raw) or 1)
    thunk = func_callback_bytes(client.event.execute)
    thunk(client.uuid, ctypes.addressof(buffer), len(raw), ev.EVENT_TO_INT[type(event)])


def call_private(client: Any, name: str, text: bytes) -> None:
    """Call a private callback of a client as the Go library does."""
    buffer = ctypes.create_string_buffer(text)
    kind = type(client).__name__
    thunk: Callable[[Any, int], None] = func_string(getattr(client, f"_{kind}__{name}"))
    thunk(None, ctypes.addressof(buffer))


@pytest.fixture
def warden() -> Recorder:
    return Recorder()


@pytest.fixture(params=["NewClient", "NewAClient", "a factory's"])
def client(request: pytest.FixtureRequest) -> Any:
    if request.param == "a factory's":
        return sync.ClientFactory("unused.db").new_client(uuid="unused")
    return {"NewClient": sync.NewClient, "NewAClient": aioze.NewAClient}[request.param]("unused.db")


@pytest.fixture
def attachment(warden: Recorder, client: Any) -> Iterator[Attachment]:
    made = attach(warden, client, "main", clock=VirtualClock())
    yield made
    made.detach()


@pytest.fixture(name="dispatch")
def dispatch_fixture() -> Callable[[Any, Any], None]:
    return dispatch


@pytest.fixture(name="device")
def device_fixture() -> Callable[..., Any]:
    return device


@pytest.fixture(name="call_private")
def call_private_fixture() -> Callable[[Any, str, bytes], None]:
    return call_private


@pytest.fixture
def another_warden() -> Recorder:
    return Recorder()
