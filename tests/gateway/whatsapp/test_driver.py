"""The driver of an attached client: what is written, what is refused, what is asked of whom."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import neonize.aioze.client as aioze
import pytest
from neonize import client as sync
from neonize.exc import SendMessageError
from neonize.proto import Neonize_pb2 as proto
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message

from linewarden.gateway.driver import IdentityMismatch, NotSent, Outgoing, SendRejected
from linewarden.gateway.whatsapp.adapter import attach
from linewarden.gateway.whatsapp.attachment import Attachment
from linewarden.gateway.whatsapp.events import SendUncertain

NUMBER, LID, OTHER = "15550100001", "100000000000001", "15550100002"
OWN = {"pn": f"{NUMBER}@s.whatsapp.net", "lid": f"{LID}@lid"}

Dispatch = Callable[[Any, Any], None]


def outgoing(**changes: Any) -> Outgoing:
    given = {
        "account": "main", "controller": "A", "reply": "r1",
        "chat": f"{OTHER}@s.whatsapp.net", "message": "hello", "identity": OWN,
    }  # fmt: skip
    return Outgoing(**(given | changes))


@pytest.fixture
def known(attachment: Attachment, dispatch: Dispatch, device: Callable[..., Any]) -> Attachment:
    """An attachment whose real client knows who it is, and never connected."""
    dispatch(attachment.client, device())
    return attachment


@pytest.fixture
def wire(known: Attachment, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Takes down what would be sent, where the real client would hand it to the Go library."""
    written: list[Any] = []

    def take(*given: Any) -> Any:
        written.append(given)
        return proto.SendResponse(ID="3EB0C0FFEE")

    async def take_later(*given: Any) -> Any:
        return take(*given)

    later = isinstance(known.client, aioze.NewAClient)
    monkeypatch.setattr(known.client, "send_message", take_later if later else take)
    return written


def test_a_real_client_that_never_connected_proves_it_sent_nothing(known: Attachment) -> None:
    """The library's own refusal is told as `NotSent`, so that the reply may go out later."""
    with pytest.raises(NotSent, match="client is nil"):
        known.driver.send(outgoing())


@pytest.mark.parametrize(
    ("chat", "to"),
    [
        (f"{OTHER}@s.whatsapp.net", (OTHER, "s.whatsapp.net")),
        (f"{OTHER}:7@s.whatsapp.net", (OTHER, "s.whatsapp.net")),
        (f"+{OTHER}", (OTHER, "s.whatsapp.net")),
        (f"{LID}:3@lid", (LID, "lid")),
        ("120363000000000001@g.us", ("120363000000000001", "g.us")),
        ("status@broadcast", ("status", "broadcast")),
    ],
)
def test_a_message_goes_to_its_chat(
    known: Attachment, wire: list[Any], chat: str, to: tuple[str, str]
) -> None:
    """The recipient is the chat without a device, text is wrapped, and the id comes back."""
    assert known.driver.send(outgoing(chat=chat)) == "3EB0C0FFEE"
    recipient, message = wire[0]
    assert (recipient.User, recipient.Server, recipient.Device) == (*to, 0)
    assert message == Message(conversation="hello")
    assert recipient.SerializeToString()


def test_a_message_of_the_library_is_passed_as_it_is(known: Attachment, wire: list[Any]) -> None:
    """Media, reactions and quoted messages are the library's own and are not touched."""
    message = Message(conversation="@15550100003")
    known.driver.send(outgoing(message=message))
    assert wire[0][1] is message


def test_what_is_no_message_is_rejected(known: Attachment, wire: list[Any]) -> None:
    """A message that the library can't write never will be: it is rejected, not tried again."""
    with pytest.raises(SendRejected, match="neither text nor"):
        known.driver.send(outgoing(message=b"bytes"))
    assert wire == []


@pytest.mark.parametrize(
    "identity",
    [
        {"pn": f"{OTHER}@s.whatsapp.net"},
        {"pn": f"{NUMBER}@s.whatsapp.net", "lid": "100000000000002@lid"},
        {},
    ],
    ids=["another number", "another lid", "nobody"],
)
def test_somebody_else_writes_nothing(
    known: Attachment, wire: list[Any], identity: dict[str, str]
) -> None:
    """A client that is not who the reply must leave as, at the write, writes nothing."""
    with pytest.raises(IdentityMismatch):
        known.driver.send(outgoing(identity=identity))
    assert wire == []


def test_the_phone_number_alone_is_enough(known: Attachment, wire: list[Any]) -> None:
    """An identity of which one form is known is the same person by that form."""
    known.driver.send(outgoing(identity={"pn": f"{NUMBER}:3@s.whatsapp.net"}))
    assert len(wire) == 1


def test_a_client_that_reconnects_is_nobody_until_it_says_so(
    known: Attachment, wire: list[Any], dispatch: Dispatch, device: Callable[..., Any]
) -> None:
    """Who it was before a new `connect()` doesn't count: the session may be another one's."""
    known.starting()
    with pytest.raises(NotSent, match="who it is"):
        known.driver.send(outgoing())
    dispatch(known.client, device(user=OTHER, lid=""))
    with pytest.raises(IdentityMismatch):
        known.driver.send(outgoing())
    assert wire == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("client is nil", NotSent),
        ("the store doesn't contain a device JID", NotSent),
        (f"failed to get user info for {OTHER}@s.whatsapp.net to fill LID cache: failed to send "
         "usync query: websocket not connected", NotSent),
        ("failed to get device list: failed to send usync query: websocket not connected", NotSent),
        ("failed to get device list: failed to send usync query: info query timed out", NotSent),
        ("failed to get group members: websocket not connected", NotSent),
        (f"no LID found for {OTHER}@s.whatsapp.net from server", NotSent),
        ("message recipient must be a user JID with no device part", NotSent),
        ("server returned error 479", SendRejected),
        ("websocket disconnected before message send returned response", SendUncertain),
        ("websocket disconnected before message send (retry) returned response", SendUncertain),
        ("timed out waiting for message send response", SendUncertain),
        ("websocket not connected", SendUncertain),
        ("something new", SendUncertain),
    ],
)  # fmt: skip
def test_what_an_error_of_the_library_proves(
    known: Attachment, monkeypatch: pytest.MonkeyPatch, text: str, kind: type[Exception]
) -> None:
    """Only measured texts prove that nothing left or that the server refused; no text is shown."""

    def fail(*_: Any) -> None:
        raise SendMessageError(text)

    monkeypatch.setattr(known.client, "send_message", fail)
    with pytest.raises(kind) as caught:
        known.driver.send(outgoing())
    assert caught.type is kind and OTHER not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("force", [False, True])
def test_closing_disconnects_and_is_confirmed(
    attachment: Attachment, warden: Any, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    """A real client is disconnected, by force stopped, and only then the socket is confirmed."""
    calls = []

    def overheard(name: str, own: Callable[[], Any]) -> Any:
        calls.append((name, warden.names))
        return own()

    for name in ("disconnect", "stop"):
        own = getattr(attachment.client, name)
        monkeypatch.setattr(attachment.client, name, functools.partial(overheard, name, own))
    asyncio.run(attachment.driver.close_socket("A", 3, force))
    assert calls == [("stop" if force else "disconnect", [])]
    assert warden.seen == [("socket_closed", {"socket": 3})]
    assert attachment.redials is False


def test_a_client_that_cannot_be_closed_confirms_nothing(
    attachment: Attachment, warden: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close that the library fails at is no confirmed close, and not the service's failure."""
    monkeypatch.delattr(type(attachment.client), "disconnect")
    asyncio.run(attachment.driver.close_socket("A", 1, False))
    assert warden.seen == []


def test_the_gateway_dials_only_where_the_library_does_not(warden: Any, dispatch: Dispatch) -> None:
    """A dial is the library's after a lost connection and the gateway's after any other end."""
    dialed = []
    client = sync.NewClient("unused.db")
    attachment = attach(warden, client, "main", on_dial=lambda *given: dialed.append(given))
    unasked = [None, proto.Connected(status=True), proto.Disconnected(status=True)]
    asked = [
        proto.TemporaryBan(Code=1, Expire=1), proto.ClientOutdated(), proto.StreamReplaced(),
        proto.StreamError(Code="516"), proto.LoggedOut(OnConnect=True, Reason=2),
        proto.ConnectFailure(Reason=1, Message=""),
    ]  # fmt: skip
    for number, event in enumerate(unasked + asked):
        if event is not None:
            dispatch(client, event)
        attachment.driver.dial("A", number)
    assert [socket for _, socket in dialed] == list(range(3, 9))
    attachment.detach()


def test_what_is_the_gateways_is_asked_of_it(warden: Any) -> None:
    """Claims, notices and purges go to the gateway's callbacks; a purge is told when it is done."""
    asked: list[Any] = []

    async def purge(controller: str) -> None:
        asked.append(("purge", controller, warden.names))

    client = sync.NewClient("unused.db")
    attachment = attach(
        warden, client, "main", on_purge=purge,
        on_claim=lambda *given: asked.append(("claim", *given)),
        on_notice=lambda *given: asked.append(("notice", *given)),
    )  # fmt: skip
    attachment.driver.claim("main", "restart_requested")
    attachment.driver.notify("main", "A", "conflict")
    asyncio.run(attachment.driver.purge("A"))
    assert asked == [
        ("claim", "main", "restart_requested"), ("notice", "main", "A", "conflict"),
        ("purge", "A", []),
    ]  # fmt: skip
    assert warden.seen == [("session_purged", {})]
    attachment.detach()


def test_a_purge_needs_no_gateway(attachment: Attachment, warden: Any) -> None:
    """The library deletes its session at the logout, so a purge is done when it is asked for."""
    attachment.driver.purge("A")
    assert warden.names == ["session_purged"]
    assert attachment.driver.target is attachment.client
