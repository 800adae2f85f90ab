"""What the service and a worker say to each other: JSON lines on a pair of pipes of their own.

Personal values and secrets travel here and nowhere else: chats, texts, codes to pair with. The
pipes belong to the two processes alone, so they end with either of them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

LINE_BYTES_MAX = 32 * 2**20
"""A line is at most so long; WhatsApp itself takes no message near it (media travel apart)."""


class Order(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="order", tag=str.lower
):
    """What the service asks of its worker."""


class Begin(Order, frozen=True, kw_only=True):
    """The first line: how this worker's clients are made. `phone` asks for a pairing code."""

    session: str
    proxy: str | None = None
    phone: str | None = None
    allow: tuple[str, ...] | None = None
    connects_max: int = 16

    def __repr__(self) -> str:
        return "Begin(…)"


class Dial(Order, frozen=True, kw_only=True):
    """See that exactly one attempt to connect is under way: this socket's."""

    socket: int


class Recorded(Order, frozen=True, kw_only=True):
    """The opening with this number is in the log, as this socket; `silence_s` is the policy's."""

    number: int
    socket: int
    silence_s: float


class Write(Order, frozen=True, kw_only=True):
    """Write one message, if the client is logged in as that identity at the moment of the write.

    `content` is text, or with `is_message` a serialised Message of neonize in base64.
    """

    number: int
    chat: str
    identity: dict[str, str]
    content: str
    is_message: bool = False

    def __repr__(self) -> str:
        return f"Write({self.number})"


class Show(Order, frozen=True, kw_only=True):
    """Let a chat see that we type, no longer do, or have read messages of its `sender`."""

    what: Literal["typing", "paused", "read"]
    chat: str
    sender: str | None = None
    ids: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Show({self.what})"


class Ask(Order, frozen=True, kw_only=True):
    """Do you live? And feel your client's pulse."""

    number: int


class End(Order, frozen=True, kw_only=True):
    """Stop the client and end the process."""


class Report(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="report", tag=str.lower
):
    """What a worker tells its service."""


class Observed(Report, frozen=True, kw_only=True):
    """A stimulus: its name and fields, received at `at` (UTC ns). An opening has a number."""

    name: str
    at: int
    fields: dict[str, Any] = {}
    number: int | None = None

    def __repr__(self) -> str:
        return f"Observed({self.name})"


class PairingCode(Report, frozen=True, kw_only=True):
    """A code to pair with: a QR payload or the letters to type. A secret."""

    kind: Literal["qr", "code"]
    value: str

    def __repr__(self) -> str:
        return f"PairingCode({self.kind})"


class Inbound(Report, frozen=True, kw_only=True):
    """A message that came in. `sender` and `other` are the two forms of who wrote, if known.

    `sent_at` is the sender's clock in UTC seconds; `raw` is the whole neonize event in base64.
    """

    id: str
    chat: str
    sender: str
    other: str | None = None
    name: str | None = None
    text: str | None = None
    kind: str = "text"
    is_group: bool = False
    sent_at: int = 0
    raw: str = ""

    def __repr__(self) -> str:
        return "Inbound(…)"


class Ignored(Report, frozen=True, kw_only=True):
    """A message of somebody who is not on the list of those allowed: nothing is told of it."""


class Written(Report, frozen=True, kw_only=True):
    """What came of a write: acknowledged where `failure` is absent."""

    number: int
    message_id: str | None = None
    failure: Literal["not_sent", "mismatch", "rejected", "unknown"] | None = None
    detail: str | None = None


class Alive(Report, frozen=True, kw_only=True):
    """The answer to `Ask`: the worker lives. That its client does too is observed as `activity`."""

    number: int


class Spent(Report, frozen=True, kw_only=True):
    """This worker can't dial this socket: a fresh one is needed."""

    socket: int


class Logged(Report, frozen=True, kw_only=True):
    """A line of the worker's log, redacted there already."""

    level: int
    name: str
    text: str


class Fault(Report, frozen=True, kw_only=True):
    """Why the worker can't work, for people."""

    message: str
    hint: str | None = None


AnyOrder = Begin | Dial | Recorded | Write | Show | Ask | End
AnyReport = Observed | PairingCode | Inbound | Ignored | Written | Alive | Spent | Logged | Fault

_ORDERS: msgspec.json.Decoder[AnyOrder] = msgspec.json.Decoder(AnyOrder)
_REPORTS: msgspec.json.Decoder[AnyReport] = msgspec.json.Decoder(AnyReport)
_ENCODER = msgspec.json.Encoder()


def encoded(message: Order | Report) -> bytes:
    """A message as one line."""
    return _ENCODER.encode(message) + b"\n"


def order_of(line: bytes) -> AnyOrder:
    """An order of a line; raises `msgspec.DecodeError`."""
    return _ORDERS.decode(line)


def report_of(line: bytes) -> AnyReport:
    """A report of a line; raises `msgspec.DecodeError`."""
    return _REPORTS.decode(line)
