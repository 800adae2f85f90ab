"""Records of no log, chained as a log with an id of its own would have chained them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import asdict

from ..statemachine.version import SCHEMA, VERSION
from . import chain
from .anchor import Point
from .bundle_format import Bundle, Header, Trailer, table_hash
from .records import NewRecord, Record


def chained(news: Iterable[NewRecord], log: bytes, account: str, first: int = 1) -> Bundle:
    """The bundle of an account's records, at least one, from version `first` on.

    Its positions are its versions, it was exported at the last record, and nothing was known of the
    account before.
    """
    before = link = chain.genesis(log, account)
    records: list[Record] = []
    for version, new in enumerate(news, first):
        leaf = chain.leaf(new.body)
        link = chain.link(link, leaf)
        records.append(Record(version, account, version, **asdict(new), leaf=leaf, chain=link))
    last = records[-1].version
    header = Header(
        log=log.hex(),
        account=account,
        first=first,
        last=last,
        before=Point(first - 1, before.hex()),
        snapshot={},
        policy={},
        build=VERSION,
        schema=SCHEMA,
        table=table_hash(),
        at=records[-1].at,
    )
    return Bundle(header, records, Trailer(len(records), Point(last, link.hex())))
