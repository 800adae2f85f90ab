"""What `attach` leaves as it is: the gateway's handlers, its exceptions, its pairing."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

import neonize.aioze.client as aioze
import neonize.aioze.events
import pytest
from neonize import client as sync
from neonize import events as ev
from neonize.proto import Neonize_pb2 as proto

from linewarden.gateway.whatsapp.adapter import attach
from linewarden.gateway.whatsapp.attachment import Attachment
from linewarden.statemachine.errors import InputError

NUMBER = "15550100001"
QR = "https://wa.me/settings/linked_devices#ref,noise,identity,secret,3"
SELF = {
    "User": NUMBER, "Server": "s.whatsapp.net",
    "Device": 0, "RawAgent": 0, "Integrator": 0, "IsEmpty": False,
}  # fmt: skip

Dispatch = Callable[[Any, Any], None]


@pytest.mark.parametrize("when", ["before", "after", "before and after"])
def test_the_gateways_handlers_are_called(warden: Any, when: str, dispatch: Dispatch) -> None:
    """A handler that the gateway registers before or after `attach` gets client and event."""
    client, got = sync.NewClient("unused.db"), []

    def register(name: str) -> None:
        client.event(ev.DisconnectedEv)(lambda *given: got.append((name, *given)))

    if "before" in when:
        register("before")
    attachment = attach(warden, client, "main")
    if "after" in when:
        register("after")
    event = proto.Disconnected(status=True)
    dispatch(client, event)
    assert got == [(when.rpartition(" ")[2], client, event)]
    assert warden.names == ["closed"]
    attachment.detach()


def test_bound_methods_stay_as_weak_as_they_were(warden: Any, dispatch: Dispatch) -> None:
    """A bound method is called while the gateway keeps its object, and no longer."""

    class Gateway:
        calls = 0

        def gone(self, _client: Any, _event: Any) -> None:
            Gateway.calls += 1

    client, gateway = sync.NewClient("unused.db"), Gateway()
    client.event(ev.DisconnectedEv)(gateway.gone)
    attachment = attach(warden, client, "main")
    dispatch(client, proto.Disconnected(status=True))
    del gateway
    dispatch(client, proto.Disconnected(status=True))
    assert (Gateway.calls, warden.names) == (1, ["closed", "closed"])
    attachment.detach()


def test_coroutine_handlers_run_on_the_gateways_loop(
    warden: Any, monkeypatch: pytest.MonkeyPatch, dispatch: Dispatch
) -> None:
    """The handlers of an async client run where they ran before, from the library's thread too."""
    client, got = aioze.NewAClient("unused.db"), []
    attachment = attach(warden, client, "main")

    @client.event(ev.ConnectedEv)
    async def connected(of: Any, event: Any) -> None:
        got.append((of, event, asyncio.get_running_loop()))
        done.set()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(neonize.aioze.events, "event_global_loop", loop)
        event = proto.Connected(status=True)
        await loop.run_in_executor(None, dispatch, client, event)
        await done.wait()
        assert got == [(client, event, loop)]

    done = asyncio.Event()
    asyncio.run(main())
    assert warden.names == ["opened"]
    attachment.detach()


def test_the_gateways_exceptions_are_its_own(
    warden: Any, monkeypatch: pytest.MonkeyPatch, dispatch: Dispatch
) -> None:
    """What a handler of the gateway raises goes where it always went, and the event is recorded."""
    client, fault = sync.NewClient("unused.db"), ValueError("the gateway's")

    @client.event(ev.DisconnectedEv)
    def broken(_client: Any, _event: Any) -> None:
        raise fault

    attachment = attach(warden, client, "main")
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_value))
    dispatch(client, proto.Disconnected(status=True))
    assert (unraisable, warden.names) == ([fault], ["closed"])
    attachment.detach()


def test_our_faults_never_reach_the_client(
    attachment: Attachment, warden: Any, caplog: pytest.LogCaptureFixture, dispatch: Dispatch
) -> None:
    """A warden that fails at every call is logged once, by type, and the client feels nothing."""
    warden.broken = RuntimeError(f"no place for {NUMBER}")
    for event in (
        proto.Connected(status=True), proto.Message(), proto.KeepAliveRestored(),
        proto.StreamReplaced(), proto.Disconnected(status=True),
    ):  # fmt: skip
        dispatch(attachment.client, event)
    assert attachment.client.connected is True
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "RuntimeError" in caplog.text and NUMBER not in caplog.text


def test_a_fault_of_the_attachment_is_swallowed(
    attachment: Attachment,
    dispatch: Dispatch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever else fails on the way to the warden is logged by type, and the client goes on."""

    def fail(*_: Any) -> None:
        raise ValueError(NUMBER)

    monkeypatch.setattr(attachment, "heard", fail)
    dispatch(attachment.client, proto.Connected(status=True))
    assert attachment.client.connected is True
    assert "ValueError" in caplog.text and NUMBER not in caplog.text


def test_a_code_to_pair_with_is_told_when_it_is_shown(
    warden: Any, dispatch: Dispatch, call_private: Callable[[Any, str, bytes], None]
) -> None:
    """The QR callback starts a pairing and gets its payload; the library's late echo is dropped."""
    client, shown = sync.NewClient("unused.db"), []
    client.event.qr(lambda _client, payload: shown.append(payload))
    attachment = attach(warden, client, "main")
    call_private(client, "onQr", QR.encode())
    dispatch(client, proto.QR(Codes=[QR]))
    dispatch(client, proto.PairStatus(ID=SELF, BusinessName="", Platform="", Status=2, Error=""))
    assert shown == [QR.encode()]
    assert warden.seen == [("pairing_started", {}), ("paired", {}), ("credentials_saved", {})]
    attachment.detach()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (b"timeout", [("pairing_failed", {"reason": "timeout"})]),
        (b"error", [("pairing_failed", {"reason": "error"})]),
        (b"err-client-outdated", [("outdated", {})]),
        (b"success", []),
        (b"err-scanned-without-multidevice", []),
    ],
)
def test_a_failed_pairing_is_told_by_the_login_status(
    attachment: Attachment,
    warden: Any,
    status: bytes,
    told: list[Any],
    call_private: Callable[[Any, str, bytes], None],
) -> None:
    """A pairing that ran out is told, though the library gives no event for it."""
    call_private(attachment.client, "onLoginStatus", status)
    assert warden.seen == told


def test_clients_of_a_factory_are_told_apart(
    warden: Any, another_warden: Any, dispatch: Dispatch
) -> None:
    """Clients that share one registry of handlers report each to its own attachment."""
    factory, other = sync.ClientFactory("unused.db"), another_warden
    clients = [factory.new_client(uuid="one"), factory.new_client(uuid="two")]
    attachments = [attach(w, c, "main") for w, c in zip((warden, other), clients, strict=True)]
    dispatch(clients[0], proto.StreamReplaced())
    dispatch(clients[1], proto.ClientOutdated())
    assert (warden.names, other.names) == (["replaced"], ["outdated"])
    for attachment in attachments:
        attachment.detach()


def test_a_second_attachment_takes_over(
    attachment: Attachment, warden: Any, another_warden: Any, dispatch: Dispatch
) -> None:
    """A client that is attached again, even while it runs, reports to the newest attachment."""
    attachment.client._connect_refs = ()
    other = another_warden
    second = attach(other, attachment.client, "main")
    dispatch(attachment.client, proto.StreamReplaced())
    attachment.heard("StreamReplaced", None)
    assert (warden.names, other.names) == ([], ["replaced"])
    second.detach()
    dispatch(attachment.client, proto.ClientOutdated())
    assert other.names == ["replaced"]


def test_what_is_no_client_is_refused(warden: Any) -> None:
    """What isn't a neonize client, or is one that connects already, is the caller's fault."""
    with pytest.raises(InputError, match="no neonize client"):
        attach(warden, object(), "main")
    client = sync.NewClient("unused.db")
    client._connect_refs = ()
    with pytest.raises(InputError, match="before connect"):
        attach(warden, client, "main")
    assert warden.claims == []
