"""Message events of the real library: what is handed over of them, and who is heard."""

import base64
import io
import os
import platform
from typing import Any

import pytest

from linewarden.gateway.whatsapp.adapter import load_neonize
from linewarden.gateway.worker.messages import Allowlist, inbound_of
from linewarden.gateway.worker.protocol import Inbound, encoded, report_of
from linewarden.statemachine.identity import IdentityError

from .strings import jid, message

with pytest.MonkeyPatch.context() as patch:
    # neonize asks for the name of the system when it is imported, and leaves the pipe open.
    patch.setattr(os, "popen", lambda _: io.StringIO(platform.platform()))
    load_neonize()

from neonize.proto import Neonize_pb2 as proto

ANNA, ANNAS_LID = "15550100002", "100000000000002"
BERT = "15550100003"
GROUP = jid("120363000000000000", "g.us")
ANNA_JID, LID_JID = f"{ANNA}@s.whatsapp.net", f"{ANNAS_LID}@lid"


def event(content: dict[str, Any], text: str = "", **info: Any) -> Any:
    """A real event with this content, as the library's bytes make it."""
    made = message(text, **info)
    made["fields"]["Message"] = content
    whole = proto.Message(**made["fields"])
    return proto.Message.FromString(whole.SerializePartialToString())


def source(**fields: Any) -> dict[str, Any]:
    return {"MessageSource": fields}


def handed(content: dict[str, Any], **info: Any) -> Inbound:
    """What is handed over of a message, after its way through the pipe."""
    inbound = inbound_of(event(content, **info))
    assert inbound is not None
    report = report_of(encoded(inbound))
    assert isinstance(report, Inbound)
    return report


def test_a_message_is_handed_over_whole() -> None:
    """Id, chat, sender without the device, name, text, time, and the event as it came."""
    given = event({"conversation": "hello"}, id="3EB0FF", Pushname="Anna")
    inbound = inbound_of(given)
    assert inbound == Inbound(
        id="3EB0FF",
        chat=ANNA_JID,
        sender=ANNA_JID,
        name="Anna",
        text="hello",
        kind="text",
        sent_at=1_700_000_000,
        raw=base64.b64encode(given.SerializePartialToString()).decode(),
    )
    again = proto.Message.FromString(base64.b64decode(inbound.raw))
    assert again.Info.MessageSource.Sender.Device == 3
    assert repr(inbound) == "Inbound(…)"


def test_milliseconds_are_seconds() -> None:
    """A release of the library that tells milliseconds is understood."""
    assert handed({"conversation": "now"}, Timestamp=1_700_000_000_999).sent_at == 1_700_000_000


CAPTION = {"caption": "look"}
KINDS = [
    ({"conversation": "look"}, "text", "look"),
    ({"extendedTextMessage": {"text": "look", "title": "a page"}}, "text", "look"),
    ({"imageMessage": CAPTION}, "image", "look"),
    ({"imageMessage": {"mimetype": "image/png"}}, "image", None),
    ({"videoMessage": CAPTION}, "video", "look"),
    ({"ptvMessage": {"seconds": 3}}, "video", None),
    ({"audioMessage": {"PTT": True}}, "audio", None),
    ({"documentMessage": {"title": "a title", **CAPTION}}, "document", "look"),
    ({"documentMessage": {"fileName": "a.pdf", "title": "a title"}}, "document", None),
    ({"stickerMessage": {"isAnimated": True}}, "sticker", None),
    ({"locationMessage": {"degreesLatitude": 1.0}}, "location", None),
    ({"liveLocationMessage": CAPTION}, "location", "look"),
    ({"contactMessage": {"displayName": "Bert"}}, "contact", None),
    ({"contactsArrayMessage": {"displayName": "two"}}, "contact", None),
    ({"reactionMessage": {"text": "👍"}}, "reaction", "👍"),
    ({"buttonsResponseMessage": {"selectedDisplayText": "look"}}, "other", "look"),
    ({"interactiveMessage": {"body": {"text": "inside"}}}, "other", None),
    ({"pollCreationMessage": {"name": "which?"}}, "other", None),
]


@pytest.mark.parametrize(("content", "kind", "text"), KINDS)
def test_kinds_and_texts(content: dict[str, Any], kind: str, text: str | None) -> None:
    """Each kind is named, and its text is what the sender wrote with it."""
    inbound = handed(content)
    assert (inbound.kind, inbound.text) == (kind, text)


WRAPPERS = (
    "ephemeralMessage viewOnceMessage viewOnceMessageV2 documentWithCaptionMessage "
    "groupMentionedMessage associatedChildMessage"
).split()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_looked_through(wrapper: str) -> None:
    """A disappearing picture, or one to be seen once, is a picture; keys beside it are nothing."""
    keys = {
        "senderKeyDistributionMessage": {"groupID": "keys"},
        "messageContextInfo": {"messageSecret": b"secret"},
    }
    inner = {"message": {"imageMessage": CAPTION, **keys}}
    inbound = handed({wrapper: {"message": {"ephemeralMessage": inner}}, **keys})
    assert (inbound.kind, inbound.text) == ("image", "look")


def test_wrappers_without_end_are_nothing() -> None:
    """A message that is wrapped absurdly often stops nobody and is not handed over."""
    content: dict[str, Any] = {"conversation": "deep"}
    for _ in range(20):
        content = {"ephemeralMessage": {"message": content}}
    assert inbound_of(event(content)) is None


NOTHING = [
    {},
    {"senderKeyDistributionMessage": {"groupID": "keys"}},
    {"protocolMessage": {"type": "REVOKE", "key": {"ID": "3EB0"}}},
    {"protocolMessage": {"type": "MESSAGE_EDIT", "editedMessage": {"conversation": "new"}}},
    {"editedMessage": {"message": {"protocolMessage": {"type": "MESSAGE_EDIT"}}}},
    {"reactionMessage": {"text": ""}},
    {"pollUpdateMessage": {"senderTimestampMS": 1}},
    {"pinInChatMessage": {"type": 1}},
    {"ephemeralMessage": {}},
]


@pytest.mark.parametrize("content", NOTHING)
def test_what_only_serves_other_messages_is_not_handed_over(content: dict[str, Any]) -> None:
    """Keys, deletions, edits, withdrawn reactions, votes and pins are no messages to a bot."""
    assert inbound_of(event(content)) is None


@pytest.mark.parametrize(
    "where",
    [
        {"IsFromMe": True},
        {"Chat": jid("status", "broadcast"), "IsGroup": True},
        {"Chat": jid("120363000000000000", "newsletter")},
    ],
    ids=["own", "status", "channel"],
)
def test_own_messages_and_posts_are_not_handed_over(where: dict[str, Any]) -> None:
    """What our own devices wrote would be answered for ever; a post has no chat to answer in."""
    assert inbound_of(event({"conversation": "hello"}, **source(**where))) is None


def test_a_message_to_a_list_is_answered_to_its_sender() -> None:
    """A broadcast to a list of people stands in the chat with its sender."""
    inbound = handed(
        {"conversation": "to all"}, **source(Chat=jid("list", "broadcast"), IsGroup=True)
    )
    assert (inbound.chat, inbound.is_group) == (ANNA_JID, False)


def test_both_forms_of_a_sender_in_a_group() -> None:
    """The chat is the group; the sender's number and LID stand beside each other, if known."""
    group = {"Chat": GROUP, "IsGroup": True, "Sender": jid(ANNAS_LID, "lid", 7)}
    known = handed({"conversation": "hi"}, **source(**group, SenderAlt=jid(ANNA, device=7)))
    assert (known.chat, known.is_group) == (f"{GROUP['User']}@g.us", True)
    assert (known.sender, known.other) == (LID_JID, ANNA_JID)
    assert handed({"conversation": "hi"}, **source(**group, SenderAlt=jid(""))).other is None


def of(sender: str, other: str | None = None) -> Inbound:
    return Inbound(id="3EB0", chat=sender, sender=sender, other=other)


@pytest.mark.parametrize("form", [f"+{ANNA}", ANNA, ANNA_JID, f"{ANNA}:3@c.us", LID_JID])
def test_a_sender_is_allowed_in_any_form(form: str) -> None:
    """The list and the message may name somebody by different forms; nobody else gets through."""
    heard = Allowlist([form, f"+{BERT}"])
    resolve = {ANNA_JID: LID_JID, LID_JID: ANNA_JID}.get
    assert heard.allows(of(ANNA_JID), resolve)
    assert heard.allows(of(LID_JID), resolve)
    assert heard.allows(of(LID_JID, ANNA_JID), resolve)
    assert heard.allows(of(f"{BERT}@s.whatsapp.net"), resolve)
    assert not heard.allows(of("100000000000009@lid"), resolve)
    assert not heard.allows(of("15550100009@s.whatsapp.net"), resolve)


def test_the_library_is_asked_only_where_it_can_decide() -> None:
    """Its map is read for a form that the list holds and the message lacks, and for no other."""
    asked: list[str] = []

    def resolve(one: str) -> str | None:
        asked.append(one)
        return None

    assert Allowlist([ANNA]).allows(of(ANNA_JID), resolve)
    assert not Allowlist([BERT]).allows(of(ANNA_JID), resolve)
    assert not Allowlist([BERT, "100000000000009@lid"]).allows(of(ANNA_JID, LID_JID), resolve)
    assert not Allowlist([BERT]).allows(of("120363000000000000@bot"), resolve)
    assert not Allowlist([]).allows(of(ANNA_JID), resolve)
    assert asked == []
    assert not Allowlist([BERT]).allows(of(LID_JID), resolve)
    assert asked == [LID_JID]


def test_a_list_that_is_not_understood_is_refused() -> None:
    """A form without digits is an error that doesn't repeat it."""
    with pytest.raises(IdentityError) as caught:
        Allowlist([ANNA, "anna"])
    assert "anna" not in str(caught.value)
