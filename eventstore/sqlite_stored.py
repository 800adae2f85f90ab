"""Recognises a request that was committed before: its ids are stored already."""

import sqlite3
from collections.abc import Iterable
from typing import Any

from .errors import DuplicateId
from .records import Append, NewRecord, Record
from .statements import STATEMENTS


def stored(
    append: Append, connection: sqlite3.Connection, staged: Iterable[list[Record]]
) -> list[Record] | None:
    """Return the records that a request was stored as, None when all of its ids are new.

    `staged` are the records that the transaction is about to write. An id that is stored with
    other content, or with a part of the request only, raises `DuplicateId`.
    """
    wanted = {record.id for record in append.records}
    if len(wanted) != len(append.records):
        raise DuplicateId("Two records of one append have the same id")
    known = {record.id: record for records in staged for record in records if record.id in wanted}
    for record_id in wanted - known.keys():
        row = connection.execute(STATEMENTS["select_named_by_id"], (record_id,)).fetchone()
        if row is not None:
            known[record_id] = Record(*row)
    if not known:
        return None
    if len(known) != len(wanted):
        raise DuplicateId("Some records of this append are stored already, others are not")
    answer = [known[record.id] for record in append.records]
    for record, found in zip(append.records, answer, strict=True):
        if found.stream != append.stream or _content(record) != _content(found):
            raise DuplicateId(
                f"The id of record {found.position} of the log is stored with other content"
            )
    return answer


def _content(record: NewRecord | Record) -> tuple[Any, ...]:
    return record.id, record.at, record.type, record.state, record.reply, record.body
