"""Messages as a bot gets them: each once, with a reply bound to where it came from."""

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

from linewarden.gateway.dice import Dice
from linewarden.gateway.receipt import ReplyHandle
from linewarden.gateway.supervisor.inbound import REMEMBERED_MAX, Inbox, Message
from linewarden.gateway.warden import Linewarden
from linewarden.gateway.worker.protocol import Inbound

from ..scripted import WAIT_S, Scripted, bring_up, opened

ANNA, ANNAS_LID = "15550100002@s.whatsapp.net", "100000000000002@lid"
GROUP = "120363000000000000@g.us"


def report(id: str = "3EB0AA", chat: str = ANNA, **fields: Any) -> Inbound:
    given = {"sender": chat, "text": "under the old bridge", "name": "Anna", **fields}
    return Inbound(id=id, chat=chat, raw=base64.b64encode(b"event").decode(), **given)


class Replies:
    """Stands in for the router: notes what it is asked to send."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, dict[str, Any]]] = []

    def __call__(self, account: str, chat: str, content: Any, **how: Any) -> ReplyHandle:
        self.asked.append((account, chat, content, how))
        return ReplyHandle(account, how["id"])

    @property
    def ids(self) -> list[str]:
        return [how["id"] for *_, how in self.asked]


def accepted(inbox: Inbox, given: Inbound, controller: str = "A") -> Message:
    message = inbox.accept(given, controller)
    assert message is not None
    return message


def test_a_message_says_everything_but_shows_nothing() -> None:
    """All fields reach the bot; neither repr nor str holds anything personal."""
    given = report(chat=GROUP, sender=ANNAS_LID, other=ANNA, is_group=True, sent_at=7, kind="image")
    message = accepted(Inbox("main", Replies()), given)
    assert (message.account, message.controller, message.id) == ("main", "A", "3EB0AA")
    assert (message.chat, message.sender, message.other) == (GROUP, ANNAS_LID, ANNA)
    assert (message.name, message.text, message.kind) == ("Anna", "under the old bridge", "image")
    assert (message.is_group, message.sent_at, message.raw) == (True, 7, b"event")
    assert repr(message) == str(message) == f"{message}" == "Message(main, A, image)"


def test_a_reply_is_bound_to_its_message() -> None:
    """It goes to the chat, as the controller that heard the message, under an id of its own."""
    replies = Replies()
    message = accepted(Inbox("main", replies), report(chat=GROUP, sender=ANNA, is_group=True))
    handles = [message.reply("one"), message.reply("two", deadline_s=5)]
    assert [asked[:3] for asked in replies.asked] == [
        ("main", GROUP, "one"),
        ("main", GROUP, "two"),
    ]
    how = [asked[3] for asked in replies.asked]
    assert [one["captured_on"] for one in how] == ["A", "A"]
    assert [one["deadline_s"] for one in how] == [None, 5]
    assert [handle.reply for handle in handles] == replies.ids
    assert len(set(replies.ids)) == 2
    assert all(re.fullmatch(r"r[0-9a-f]{32}", one) for one in replies.ids)


def test_ids_of_replies_are_the_same_in_every_process() -> None:
    """They follow from account, chat, message and ordinal, and from nothing else."""
    replies = Replies()
    for account, given in (
        ("main", report()),
        ("main", report(text="other words", sender="100000000000003@lid", sent_at=9)),
        ("sales", report()),
        ("main", report(id="3EB0AB")),
        ("main", report(chat="15550100003@s.whatsapp.net")),
    ):
        accepted(Inbox(account, replies), given, controller="whoever").reply("x")
    assert replies.ids[0] == replies.ids[1] == "r74689ae281cf47dc755fc30f4a70b9f4"
    assert len(set(replies.ids)) == 4


def test_a_message_is_handed_over_once() -> None:
    """A redelivery is counted, by whatever controller and form of the chat it comes."""
    inbox = Inbox("main", Replies())
    accepted(inbox, report())
    assert inbox.accept(report(), "A") is None
    assert inbox.accept(report(), "B") is None
    accepted(inbox, report(id="3EB0AB", other=ANNAS_LID))
    assert inbox.accept(report(id="3EB0AB", chat=ANNAS_LID, other=ANNA), "B") is None
    accepted(inbox, report(chat="15550100003@s.whatsapp.net"))
    inbox.ignore()
    assert (inbox.handed, inbox.repeated, inbox.ignored) == (3, 3, 1)


def test_one_id_in_two_groups_is_two_messages() -> None:
    """In a group the chat decides, and not the sender's LID."""
    inbox = Inbox("main", Replies())
    for group in (GROUP, "120363000000000001@g.us"):
        accepted(inbox, report(chat=group, sender=ANNA, other=ANNAS_LID, is_group=True))
    assert inbox.handed == 2


def test_memory_of_messages_is_bounded() -> None:
    """The newest are known again; the oldest is forgotten for one more."""
    inbox = Inbox("main", Replies())
    for number in range(REMEMBERED_MAX):
        accepted(inbox, report(id=f"3EB0{number}"))
    assert inbox.accept(report(id="3EB00"), "A") is None
    accepted(inbox, report(id="one more"))
    assert inbox.accept(report(id="3EB01"), "A") is None
    accepted(inbox, report(id="3EB00"))
    assert inbox.handed == REMEMBERED_MAX + 2


def asks(warden: Linewarden, text: str) -> ReplyHandle:
    """Hand over the same message, as the first of this process, and answer it."""
    return accepted(Inbox("main", warden.router.reply), report()).reply(text)


def test_a_message_is_answered_once_across_a_crash(tmp_path: Path) -> None:
    """Delivered again to the next service, it gives the same reply, which is not written again."""
    path, line = tmp_path / "log.db", Scripted()
    for number in range(2):
        with opened(path, line, dice=Dice(number)) as warden:
            if number == 0:
                bring_up(warden, "A")
            result = asks(warden, f"answer {number}").result(WAIT_S)
            assert (result.outcome, result.via) == ("sent", "A")
    assert [written.message for written in line.written] == ["answer 0"]


def test_a_reply_can_be_awaited_on_any_loop(tmp_path: Path) -> None:
    """The bot's loop is another than the service's; the outcome reaches it all the same."""

    async def answer(warden: Linewarden) -> str:
        return (await asks(warden, "from here")).outcome

    with opened(tmp_path / "log.db", Scripted()) as warden:
        bring_up(warden, "A")
        assert asyncio.run(asyncio.wait_for(answer(warden), WAIT_S)) == "sent"
