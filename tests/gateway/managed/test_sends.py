"""Replies through a worker: what an error proves, and who is asked right before the write."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from linewarden.gateway.supervisor.process import Process
from linewarden.gateway.worker import protocol as wire

from .conftest import Stage
from .strings import LID, NUMBER, WAIT_S, Strings, connected, device, message, wait_until

USYNC = "failed to send usync query: websocket not connected"
ERRORS = {
    "client is nil": "not_sent",
    "the store doesn't contain a device JID": "not_sent",
    f"failed to get user info for {NUMBER}@s.whatsapp.net to fill LID cache: {USYNC}": "not_sent",
    f"failed to get device list: {USYNC}": "not_sent",
    "failed to get device list: info query timed out": "not_sent",
    "failed to get group members: websocket not connected": "not_sent",
    f"no LID found for {NUMBER}@s.whatsapp.net from server": "not_sent",
    "message recipient must be a user JID with no device part": "not_sent",
    "websocket disconnected before message send returned response": "unknown",
    "websocket disconnected before message send (retry) returned response": "unknown",
    "timed out waiting for message send response": "unknown",
    "a text that nobody has seen": "unknown",
    "server returned error 479": "rejected",
}
"""What was measured of neonize 0.5.2 (neonize.md §4)."""

OUTCOMES = {"unknown": "uncertain", "rejected": "rejected"}


def test_errors_are_told_apart_by_their_text(stage: Stage) -> None:
    """Each error is told as what it proves; nothing but a `not_sent` is ever written again."""
    stage.string().at_send = lambda chat, text: {"raise": text}
    stage.open(resend_s=0.2, reply_deadline_s=WAIT_S)
    stage.manage()
    stage.live()
    handles = {
        text: stage.reply(text, chat=f"155501000{number}", id=f"reply-{number}", deadline_s=2)
        for number, text in enumerate(ERRORS, 10)
    }
    outcomes = {text: handle.result(WAIT_S).outcome for text, handle in handles.items()}
    told: dict[str, set[str]] = {}
    for failed in stage.told(name="send_failed"):
        told.setdefault(failed.stimulus["reply"], set()).add(failed.stimulus["kind"])
    kinds = {text: told[handle.reply] for text, handle in handles.items()}
    assert kinds == {text: {kind} for text, kind in ERRORS.items()}
    assert outcomes == {text: OUTCOMES.get(kind, "expired") for text, kind in ERRORS.items()}
    times = {text: [one for _, one in stage.string().written].count(text) for text in ERRORS}
    assert all((times[text] > 1) == (kind == "not_sent") for text, kind in ERRORS.items())
    assert stage.state() == "connected"


def test_replies_of_a_chat_keep_their_order(stage: Stage) -> None:
    """A reply waits for the one before it in its chat, and other chats don't wait."""
    strings = stage.string()
    acknowledge = strings.at_send
    strings.at_send = lambda chat, text: None if text == "slow" else acknowledge(chat, text)
    stage.open(send_deadline_s=1)
    stage.manage()
    stage.live()
    slow, after = stage.reply("slow"), stage.reply("after")
    assert stage.reply("beside", chat="15550100004").result(WAIT_S).outcome == "sent"
    assert [text for _, text in strings.written] == ["slow", "beside"]
    assert not after.done()
    assert slow.result(WAIT_S).outcome == "uncertain"
    assert after.result(WAIT_S).outcome == "sent"


class Built:
    """A message of neonize as far as a gateway can tell: it serialises itself."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - its name there
        return b"\n\x05built"


def test_what_a_message_may_be(stage: Stage) -> None:
    """Text and messages of the library are written, a callable is rejected: its client is away."""
    stage.open()
    stage.manage()
    stage.live()
    chat = "15550100002:7@s.whatsapp.net"
    router = stage.warden.router
    assert router.reply("main", chat, Built()).result(WAIT_S).outcome == "sent"
    assert router.reply("main", chat, "text").result(WAIT_S).message_id == "3EB00002"
    assert router.reply("main", chat, lambda client: client).result(WAIT_S).outcome == "rejected"
    assert router.reply("main", chat, 7).result(WAIT_S).outcome == "rejected"
    assert stage.string().written == [
        ("15550100002@s.whatsapp.net", "built"), ("15550100002@s.whatsapp.net", "text"),
    ]  # fmt: skip


def test_another_identity_refuses_the_reply(stage: Stage) -> None:
    """A reply that was captured as one identity doesn't leave as another after a relink."""
    stage.open(initial_s=0.2, max_s=0.2)
    stage.manage()
    first = stage.live()
    stage.string().at_connect = [device("15550100003", "100000000000003"), connected()]
    captured = stage.told(name="claimed")[0].stimulus["controller"]
    first.kill()
    stage.wait_told("worker_died")
    handle = stage.reply("for somebody else", captured_on=captured)
    result = handle.result(WAIT_S)
    assert (result.outcome, result.reason) == ("refused", "identity_mismatch")
    assert stage.string().written == []


def test_a_message_is_answered_by_the_next_worker(stage: Stage) -> None:
    """What was heard before a death is answered after it, and what is heard again only once."""
    heard: list[Any] = []
    stage.open()
    stage.manage(on_message=heard.append)
    first = stage.live()
    first.play(message("hello", "3EB01"))
    wait_until(lambda: heard)
    first.kill()
    stage.wait_told("worker_died")
    handle = heard[0].reply("hello to you")
    assert handle.result(WAIT_S).outcome == "sent"
    stage.live(number=1).play(message("hello", "3EB01"), message("again", "3EB02"))
    wait_until(lambda: len(heard) == 2)
    assert [given.text for given in heard] == ["hello", "again"]
    assert heard[0].controller == stage.told(name="claimed")[0].stimulus["controller"]
    assert stage.string().written == [("15550100002@s.whatsapp.net", "hello to you")]


@pytest.fixture
def strings() -> Iterator[Strings]:
    with Strings() as made:
        yield made


PN, OTHER_PN = f"{NUMBER}@s.whatsapp.net", "15550100003@s.whatsapp.net"
IDENTITIES: dict[str, tuple[dict[str, str], str | None]] = {
    "both forms": ({"pn": PN, "lid": f"{LID}@lid"}, None),
    "its number": ({"pn": PN}, None),
    "its LID": ({"lid": f"{LID}@lid"}, None),
    "another number": ({"pn": OTHER_PN}, "mismatch"),
    "another LID": ({"pn": PN, "lid": "100000000000003@lid"}, "mismatch"),
    "nobody": ({}, "mismatch"),
}


def test_the_worker_looks_once_more_before_it_writes(strings: Strings) -> None:
    """Whatever the service believes, the client that writes must be who the reply is from."""
    answers: list[Any] = []

    async def converse() -> None:
        process = Process("main")
        await process.start(
            strings.command, wire.Begin(session="unused.db"), answers.append, lambda: None
        )
        try:
            process.tell(wire.Write(number=0, chat=PN, identity={"pn": PN}, content="too early"))
            await until(lambda: len(written()) == 1)
            process.tell(wire.Dial(socket=1))
            await until(lambda: [one for one in answers if _is_opening(one)])
            for number, (identity, _) in enumerate(IDENTITIES.values(), 1):
                process.tell(
                    wire.Write(number=number, chat=PN, identity=identity, content=str(number))
                )
            await until(lambda: len(written()) == 1 + len(IDENTITIES))
        finally:
            await process.end()

    def written() -> dict[int, str | None]:
        return {one.number: one.failure for one in answers if isinstance(one, wire.Written)}

    async def until(condition: Any) -> None:
        await asyncio.to_thread(wait_until, condition)

    asyncio.run(converse())
    expected = [failure for _, failure in IDENTITIES.values()]
    assert written() == dict(enumerate(["not_sent", *expected]))
    assert sorted(text for _, text in strings.written) == ["1", "2", "3"]


def _is_opening(report: Any) -> bool:
    return isinstance(report, wire.Observed) and report.name == "opened"
