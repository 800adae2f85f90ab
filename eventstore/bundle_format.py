"""What stands in a bundle: its lines, their limits, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Literal

import msgspec

from ..statemachine.account import Account
from ..statemachine.errors import LinewardenError
from ..statemachine.lifecycle import TABLE, Row
from . import codec
from .records import Record
from .upcast import upcast_state

FORMAT = 1
LINE_BYTES_MAX = 1 << 20
RECORDS_MAX = 1_000_000
INFLATED_BYTES_MAX = 512 << 20
ONWARD_MAX = 10_000

Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
LogId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Build = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z.+-]{1,64}\Z")]
Fields = Annotated[dict[str, Any], msgspec.Meta(max_length=1_000)]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class BadBundle(LinewardenError):
    """The file is no bundle, or not as it was written; `position` is the record's, where known."""

    def __init__(self, message: str = "", *, hint: str = "", position: int | None = None) -> None:
        self.position = position
        super().__init__(
            message, hint=hint or "ask for the file anew: `linewarden incident export` writes it"
        )


class FutureSchema(BadBundle):
    """The bundle was written by a newer linewarden, whose records this one can't read."""

    def __init__(self, message: str = "", *, hint: str = "", position: int | None = None) -> None:
        super().__init__(message, hint=hint or "install a newer linewarden", position=position)


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in a stream: a version and the chain (hex) after it; version 0 is its genesis."""

    version: Count
    chain: Hash


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: of which log and account, which versions, and what was so before them.

    `snapshot` is the account before version `first`, `policy` its overrides. `build`, `schema` and
    `table` (`table_hash`) are of the code that exported, `at` (UTC ns) when it did.
    """

    linewarden: Literal["incident"] = "incident"
    format: Number = FORMAT
    log: LogId
    account: str
    first: Number = msgspec.field(name="from")
    last: Number = msgspec.field(name="to")
    before: Point
    snapshot: Fields
    policy: Fields
    build: Build
    schema: Number
    table: Hash
    at: Count


class Trailer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last line: how many records there are, and the chain after them.

    `onward` are the leaves of the account's records after them, up to the head that `anchor` has of
    it (`log`, and by account in `heads` a version and a chain in hex): so an anchor that left the
    machine proves the bundle too.
    """

    records: Number
    head: Point
    onward: Annotated[list[Hash], msgspec.Meta(max_length=ONWARD_MAX)] = []
    anchor: dict[str, Any] | None = None
    trailer: bool = True


class Bundle(msgspec.Struct, frozen=True):
    """A bundle: a stretch of one account's stream, and the state before it."""

    header: Header
    records: list[Record]
    trailer: Trailer

    @property
    def before(self) -> Account:
        """The state of the account before the first record."""
        return account_before(self.header)


def account_before(header: Header) -> Account:
    """The state before the first record; raises `msgspec.ValidationError` where it is none."""
    return msgspec.convert(upcast_state(header.snapshot, header.schema), Account)


def table_hash(table: Iterable[Row] = TABLE) -> str:
    """The SHA-256 (hex) of a transition table: two of one hash have the same rows."""
    rows = [
        [row.trigger, [source.value for source in row.sources], row.target, row.rule]
        for row in table
    ]
    return sha256(codec.encode({"table": msgspec.to_builtins(rows)})).hexdigest()


def plain_line(line: Header | Trailer) -> bytes:
    """The line of a header or a trailer."""
    return codec.encode(msgspec.to_builtins(line))


def event_line(record: Record, log: str) -> bytes:
    """The line of a record, one CloudEvent; `log` is the id of the log in hex.

    Put together and not encoded: the bytes of the record are those that were hashed, and it is the
    price of a record twice, in writing and in reading.
    """
    seconds, rest = divmod(record.at, 1_000_000_000)
    time = f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:09d}Z"
    number = record.id.hex()
    uuid = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
    start = f'{{"chain":"{record.chain.hex()}","data":'
    end = (
        f',"datacontenttype":"application/json","id":"{uuid}","position":{record.position},'
        f'"source":"urn:linewarden:{log}","specversion":"1.0","subject":"{record.stream}",'
        f'"time":"{time}","type":"linewarden.{record.type}","version":{record.version}}}'
    )
    return b"".join((start.encode(), record.body, end.encode()))
