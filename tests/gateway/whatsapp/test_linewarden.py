"""Real clients attached to the real `Linewarden` on a real file, read back from the log."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neonize.aioze.client as aioze
import pytest
from neonize import client as sync
from neonize.proto import Neonize_pb2 as proto

from linewarden.eventstore import decode, open_reader
from linewarden.gateway.warden import Linewarden

NUMBER, LID, OTHER = "15550100001", "100000000000001", "15550100002"
WITHIN_S = 30

Dispatch = Callable[[Any, Any], None]


def story(path: Path) -> list[tuple[str, str, int | None]]:
    """The rule, the state after it and the socket of each record of the account."""
    reader = open_reader(path)
    try:
        told = []
        for record in reader.read_stream("main"):
            content = decode(record.body)
            told.append((
                content["outcome"]["rule"], record.state, content["stimulus"].get("socket"),
            ))  # fmt: skip
        return told
    finally:
        reader.close()


def settle(warden: Linewarden) -> None:
    """Wait until everything observed so far is recorded: what comes last is recorded last."""
    warden.observe("other", "identity_linked", pn=f"+{NUMBER}", lid=f"{LID}@lid").result(WITHIN_S)


def test_the_life_of_a_client_is_recorded(
    tmp_path: Path, dispatch: Dispatch, device: Callable[..., Any]
) -> None:
    """Opening, identity, loss, reopening and conflict stand in the log, socket by socket."""
    client, path = sync.NewClient("unused.db"), tmp_path / "linewarden.db"
    told = threading.Event()
    notices: list[Any] = []

    def note(*given: Any) -> None:
        notices.append(given)
        told.set()

    with Linewarden.open(path) as warden:
        attachment = warden.attach(client, "main", controller="A", on_notice=note)
        attachment.receipt.result(WITHIN_S)
        dispatch(client, device())
        for event in (
            proto.Connected(status=True), proto.Disconnected(status=True),
            proto.Connected(status=True), proto.Connected(status=True), proto.StreamReplaced(),
        ):  # fmt: skip
            dispatch(client, event)
            settle(warden)
        assert told.wait(WITHIN_S)
        connection = warden.projections.account("main").connection
        assert connection.state.printed == "conflict"
    assert notices == [("main", "A", "conflict")]
    # The effect that closes the socket is confirmed at any time after the conflict.
    assert story(path)[:9] == [
        ("claim.first", "connecting", None),
        ("opened.connected", "connected", None), ("identity.proven", "connected", None),
        ("close.transient.retry", "reconnect_gap", 1),
        ("opened.reconnected", "connected", None), ("identity.proven", "connected", None),
        ("opened.new_socket", "connected", 3), ("identity.proven", "connected", None),
        ("close.replaced.conflict", "conflict", 3),
    ]  # fmt: skip
    attachment.detach()


def test_a_held_reply_leaves_through_the_attached_client(
    tmp_path: Path,
    dispatch: Dispatch,
    device: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reply waits for the identity, then goes to its chat through the client, exactly once."""
    client, sent = sync.NewClient("unused.db"), []

    def send(to: Any, message: Any) -> Any:
        sent.append((to.User, message.conversation))
        return proto.SendResponse(ID="3EB0C0FFEE")

    monkeypatch.setattr(client, "send_message", send)
    with Linewarden.open(tmp_path / "linewarden.db") as warden:
        attachment = warden.attach(client, "main")
        handle = warden.router.reply("main", f"{OTHER}@s.whatsapp.net", "hello")
        dispatch(client, proto.Connected(status=True))
        settle(warden)
        assert sent == []
        dispatch(client, device())
        result = handle.result(WITHIN_S)
    assert (result.outcome, result.via) == ("sent", attachment.controller)
    assert sent == [(OTHER, "hello")]
    attachment.detach()


def test_a_real_client_that_cannot_send_keeps_the_reply(
    tmp_path: Path, dispatch: Dispatch, device: Callable[..., Any]
) -> None:
    """What the real library provably did not send is held again, and expires as undelivered."""
    client, path = sync.NewClient("unused.db"), tmp_path / "linewarden.db"
    with Linewarden.open(path) as warden:
        attachment = warden.attach(client, "main")
        dispatch(client, device())
        dispatch(client, proto.Connected(status=True))
        handle = warden.router.reply("main", f"{OTHER}@s.whatsapp.net", "hello", deadline_s=0.1)
        assert handle.result(WITHIN_S).outcome == "expired"
    rules = [rule for rule, _, _ in story(path)]
    assert rules[3:6] == ["reply.sending", "reply.resend", "reply.expired"]
    attachment.detach()


def test_an_async_client_on_an_async_warden(
    tmp_path: Path, dispatch: Dispatch, device: Callable[..., Any]
) -> None:
    """An async gateway attaches an async client; its events come from the library's thread."""
    path = tmp_path / "linewarden.db"

    async def main() -> None:
        client = aioze.NewAClient("unused.db")
        async with Linewarden.open(path) as warden:
            attachment = warden.attach(client, "main")
            await attachment.receipt
            for event in (device(), proto.Connected(status=True)):
                await asyncio.to_thread(dispatch, client, event)
            live = warden.observe("main", "activity", controller=attachment.controller)
            await live
            state = warden.projections.account("main").machine
            assert state.live and state.controller == attachment.controller
            attachment.detach()

    asyncio.run(main())
    assert [rule for rule, _, _ in story(path)][:3] == [
        "claim.first", "opened.connected", "identity.proven",
    ]  # fmt: skip


def test_the_log_names_nobody(
    tmp_path: Path, dispatch: Dispatch, device: Callable[..., Any]
) -> None:
    """Of an attached client's identity the records hold tokens only."""
    client, path = sync.NewClient("unused.db"), tmp_path / "linewarden.db"
    with Linewarden.open(path) as warden:
        attachment = warden.attach(client, "main")
        dispatch(client, proto.Connected(status=True))
        dispatch(client, device())
        attachment.ended(RuntimeError(f"{NUMBER}:12@s.whatsapp.net is gone"))
    reader = open_reader(path)
    bodies = b"".join(record.body for record in reader.read_all())
    reader.close()
    assert b"identity_observed" in bodies and b"[id] is gone" in bodies
    assert NUMBER.encode() not in bodies and LID.encode() not in bodies
    attachment.detach()
