"""Bundles of made-up records, and their lines, to be changed by whoever means harm."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from linewarden.eventstore import NewRecord, Record, chain
from linewarden.eventstore.anchor import Point
from linewarden.eventstore.bundle_format import (
    Bundle,
    Header,
    Trailer,
    event_line,
    plain_line,
    table_hash,
)

from .material import START_NS, Make

LOG = bytes(range(16))
ACCOUNT = "support"


def chained(
    made: Iterable[NewRecord], previous: bytes | None = None, version: int = 0
) -> list[Record]:
    """Records as a log would hold them, every third position of which is another account's."""
    head = previous or chain.genesis(LOG, ACCOUNT)
    records = []
    for number, new in enumerate(made, version + 1):
        leaf = chain.leaf(new.body)
        head = chain.link(head, leaf)
        position = number + number // 2
        records.append(
            Record(
                position=position,
                stream=ACCOUNT,
                version=number,
                **msgspec.structs.asdict(new),
                leaf=leaf,
                chain=head,
            )
        )
    return records


def bundle(count: int = 3, *, after: int = 0, **header: Any) -> Bundle:
    """A bundle of so many records, after so many others; `header` overrides what stands there."""
    make = Make()
    whole = chained(make() for _ in range(after + count))
    records = whole[after:]
    before = whole[after - 1].chain if after else chain.genesis(LOG, ACCOUNT)
    snapshot = {"epoch": 1, "controller": "A", "state": "reconnect_gap"} if after else {}
    given: dict[str, Any] = {
        "log": LOG.hex(),
        "account": ACCOUNT,
        "first": after + 1,
        "last": after + count,
        "before": Point(after, before.hex()),
        "snapshot": snapshot,
        "policy": {},
        "build": "0.1.0",
        "schema": 1,
        "table": table_hash(),
        "at": START_NS,
    }
    head = Point(after + count, records[-1].chain.hex())
    return Bundle(Header(**given | header), records, Trailer(count, head))


def lines(bundle: Bundle) -> list[bytes]:
    """The lines of a bundle, without their ends."""
    return [
        plain_line(bundle.header),
        *(event_line(record, bundle.header.log) for record in bundle.records),
        plain_line(bundle.trailer),
    ]


def joined(rows: Iterable[bytes]) -> bytes:
    """Lines as they stand in a file."""
    return b"".join(row + b"\n" for row in rows)


def packed(content: bytes) -> bytes:
    """The gzip of a content, as the format wants it."""
    return gzip.compress(content, 6, mtime=0)


def write(path: Path, rows: Iterable[bytes]) -> Path:
    """A file of these lines."""
    path.write_bytes(packed(joined(rows)))
    return path
