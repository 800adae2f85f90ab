"""What came in, read from a message event of neonize; and who may be heard at all.

Handed over is what somebody wrote to this account or to a group it is in. Not handed over: what the
account's own devices wrote, posts that can't be answered (status, channels), and what only changes
or serves another message: edits, deletions, withdrawn reactions, votes, keys.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from ...statemachine.identity import IdentityError, normalise
from .protocol import Inbound

_KINDS = {
    "conversation": "text",
    "extendedTextMessage": "text",
    "imageMessage": "image",
    "audioMessage": "audio",
    "videoMessage": "video",
    "ptvMessage": "video",
    "documentMessage": "document",
    "stickerMessage": "sticker",
    "locationMessage": "location",
    "liveLocationMessage": "location",
    "contactMessage": "contact",
    "contactsArrayMessage": "contact",
    "reactionMessage": "reaction",
}
"""Fields of a message's content, and the kinds they are; any other field is of kind `other`."""

_SILENT = frozenset({
    "albumMessage", "call", "callLogMesssage", "encEventResponseMessage", "encReactionMessage",
    "fastRatchetKeySenderKeyDistributionMessage", "groupRootKeyShare", "keepInChatMessage",
    "messageContextInfo", "messageHistoryBundle", "messageHistoryNotice", "pinInChatMessage",
    "placeholderMessage", "pollUpdateMessage", "protocolMessage", "rootSecretDistributeMessage",
    "secretEncryptedMessage", "senderKeyDistributionMessage", "stickerSyncRmrMessage",
})  # fmt: skip
"""Fields that are no content of their own; an album's pictures come as messages after it."""

_TEXTS = ("text", "caption", "selectedDisplayText")
_WRAPPER = "FutureProofMessage"
_WRAPPERS_MAX = 8
_POSTS = frozenset({"broadcast", "newsletter"})
_MILLISECONDS_MIN = 10**11
"""No clock stands there in seconds; releases of neonize differ in the unit."""


def inbound_of(event: Any) -> Inbound | None:
    """A message event as it is handed over; None where there is nothing to hand over."""
    source = event.Info.MessageSource
    found = _content(event.Message, _WRAPPERS_MAX)
    if source.IsFromMe or found is None or source.Chat.User == "status":
        return None
    name, content = found
    text = _text(content)
    if name == "reactionMessage" and text is None:
        return None
    # What was sent to a list of people stands in the sender's own chat, and is answered there.
    chat = source.Sender if source.Chat.Server == "broadcast" else source.Chat
    if chat.Server in _POSTS:
        return None
    sent_at = event.Info.Timestamp
    return Inbound(
        id=event.Info.ID,
        chat=_written(chat),
        sender=_written(source.Sender),
        other=_written(source.SenderAlt) if source.SenderAlt.User else None,
        name=event.Info.Pushname or None,
        text=text,
        kind=_KINDS.get(name, "other"),
        is_group=chat.Server == "g.us",
        sent_at=sent_at // 1000 if sent_at >= _MILLISECONDS_MIN else sent_at,
        raw=base64.b64encode(event.SerializePartialToString()).decode(),
    )


def _content(message: Any, depth: int) -> tuple[str, Any] | None:
    """The field that holds what was said, out of its wrappers (disappearing, seen once, …)."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name == _WRAPPER:
            return _content(value.message, depth - 1) if depth else None
        if field.name not in _SILENT:
            return field.name, value
    return None


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content or None
    texts = (getattr(content, name, None) for name in _TEXTS)
    return next((text for text in texts if text and isinstance(text, str)), None)


def _written(jid: Any) -> str:
    """Somebody or a group as text, without the device."""
    return f"{jid.User}@{jid.Server}"


class Allowlist:
    """The senders that are heard, each by any form: phone number, JID of one, or LID."""

    def __init__(self, forms: Iterable[str]) -> None:
        self._allowed = {form for text in forms for form in normalise({"pn": text}).items()}

    def allows(self, inbound: Inbound, resolve: Callable[[str], str | None]) -> bool:
        """Whether the sender is on the list; `resolve` gives the other form of a JID, if known.

        It is asked only where the forms at hand don't decide and the list holds the other one.
        """
        forms = _forms(inbound.sender) | _forms(inbound.other)
        if self._allowed & forms.items():
            return True
        listed = {kind for kind, _ in self._allowed}
        if len(forms) != 1 or not listed - set(forms):
            return False
        return bool(self._allowed & _forms(resolve(inbound.sender)).items())


def _forms(jid: str | None) -> dict[str, str]:
    """A JID as an identity form; empty where it is nobody's."""
    try:
        return normalise({"pn": jid})
    except IdentityError:
        return {}
