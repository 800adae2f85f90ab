"""Messages that came in, as a bot gets them: each once, with a reply bound to where it came from.

Nothing of a message is stored. What was handed over is remembered by its id, for as long as the
service runs; a message that WhatsApp delivers again after a crash gives replies of the same ids,
and a reply of a known id is not written again.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from hashlib import sha256

import msgspec

from ..receipt import ReplyHandle
from ..worker.protocol import Inbound

REMEMBERED_MAX = 10_000
"""Messages that are known again; a redelivery comes within the newest few."""


class Message(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A message that came in on a controller of an account.

    `chat` is where it stands, `sender` who wrote it and `other` the sender's other form (phone
    number or LID), if known. `sent_at` is the sender's clock in UTC seconds; `raw` is the whole
    event, to be read by `neonize.events.MessageEv.FromString`.
    """

    account: str
    controller: str
    id: str
    chat: str
    sender: str
    other: str | None
    name: str | None
    text: str | None
    kind: str
    is_group: bool
    sent_at: int
    raw: bytes
    _key: str
    _submit: Callable[..., ReplyHandle]
    _ordinals: Iterator[int] = msgspec.field(default_factory=itertools.count)

    def __repr__(self) -> str:
        return f"Message({self.account}, {self.controller}, {self.kind})"

    def reply(self, content: object, *, deadline_s: float | None = None) -> ReplyHandle:
        """Answer in the same chat, as the identity on which the message came in.

        `content` is text or a Message of neonize. It may be called from any thread and any loop;
        the handle can be awaited or waited for. The n-th reply to one message has one id for ever.
        """
        name = sha256(f"{self._key} {next(self._ordinals)}".encode()).hexdigest()
        return self._submit(
            self.account,
            self.chat,
            content,
            captured_on=self.controller,
            id=f"r{name[:32]}",
            deadline_s=deadline_s,
        )


class Inbox:
    """Hands over each message of an account once, and counts."""

    def __init__(self, account: str, reply: Callable[..., ReplyHandle]) -> None:
        self._account = account
        self._reply = reply
        self._known: dict[str, None] = {}
        self.handed = 0
        self.repeated = 0
        self.ignored = 0

    def accept(self, report: Inbound, controller: str) -> Message | None:
        """The message of a report; None where it was handed over before."""
        key = self._key(report)
        if key in self._known:
            self.repeated += 1
            return None
        self._known[key] = None
        if len(self._known) > REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        self.handed += 1
        return Message(
            account=self._account,
            controller=controller,
            id=report.id,
            chat=report.chat,
            sender=report.sender,
            other=report.other,
            name=report.name,
            text=report.text,
            kind=report.kind,
            is_group=report.is_group,
            sent_at=report.sent_at,
            raw=base64.b64decode(report.raw),
            _key=key,
            _submit=self._reply,
        )

    def __str__(self) -> str:
        return (
            f"{self.handed} messages handed over, {self.repeated} repeated, "
            f"{self.ignored} of others ignored"
        )

    def ignore(self) -> None:
        """Count a message of somebody who is not heard."""
        self.ignored += 1

    def _key(self, report: Inbound) -> str:
        """What a message is known by; one chat may come once by its number and once by its LID."""
        forms = (report.chat,) if report.is_group else (report.chat, report.other or "")
        chat = next((form for form in forms if form.endswith("@lid")), report.chat)
        return sha256(f"{self._account}\0{chat}\0{report.id}".encode()).hexdigest()
