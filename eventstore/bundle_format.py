"""The bundle: a stretch of one account's stream with all that a replay needs, in one file.

It is a gzip of JSON lines: a header, one CloudEvents 1.0 line a record, a trailer. Every line is
canonical, so a record's bytes are `codec.encode` of its `data` again, and each line carries the
chain after its record: the first that was changed is the first that does not fit. What stands
behind a token stays in the vault of the log, so a bundle holds no personal value.

The chain proves the records, not the snapshot of the state before them: that one is what the
exporter says, unless the bundle begins with the account's first record, where it is empty.
"""

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
from .anchor import Anchor, Count, Hash, LogId, Point
from .records import Record
from .upcast import upcast_state

FORMAT = 1

LINE_BYTES_MAX = 1 << 20
"""A record has some 1 KB; of a hostile line not more than this is held in memory. An anchor of some
9,000 accounts or more does not fit, and is left out."""

RECORDS_MAX = 1_000_000
"""About as many as `INFLATED_BYTES_MAX` holds: a header that promises more is refused at once."""

INFLATED_BYTES_MAX = 512 << 20
"""A gzip of 512 KB can inflate to this: what is made to fill the memory is refused before."""

ONWARD_MAX = 10_000
"""Leaves to the next anchor: one is due each 1,000 records of the log, so ten of them failed."""

Build = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Za-z.+-]{1,64}\Z")]
Fields = Annotated[dict[str, Any], msgspec.Meta(max_length=1_000)]
Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


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


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: of which log and account, which versions, and what was so before them.

    `snapshot` is the account before version `first` (`codec.in_order`), `policy` its overrides.
    `build`, `schema` and `table` (`table_hash`) are of the code that exported, `at` (UTC ns) when
    it did.
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

    `onward` are the leaves of the account's records after them, up to the head that the next anchor
    of the log has of it: so an anchor that left the machine proves the bundle too. `anchor` is that
    one, where its line fits.
    """

    records: Number
    head: Point
    onward: Annotated[list[Hash], msgspec.Meta(max_length=ONWARD_MAX)] = []
    anchor: Anchor | None = None
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
    plain = codec.from_order(header.snapshot)
    return msgspec.convert(upcast_state(plain, header.schema), Account)


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
