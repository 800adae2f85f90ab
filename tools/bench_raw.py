"""The floor of an append: the standard library's sqlite3 doing the bare inserts, and no more.

The layout is the plain one that most would begin with: stream, type, a UUID and hex hashes as
text, an index on the type. The connection is made by the store's own function, so every pragma is
the same: WAL, `synchronous=FULL`, secure delete. Bodies and hashes are made before the clock runs.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..eventstore import chain, encode
from ..eventstore.sqlite_connection import connect_writing
from .bench_material import START_NS, content

_TABLE = """
CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, version INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, type TEXT NOT NULL, state TEXT, reply TEXT,
    record TEXT NOT NULL, leaf TEXT NOT NULL, chain TEXT NOT NULL, UNIQUE (stream, version)
)
"""
_INDEX = "CREATE INDEX events_by_type ON events (type)"
_INSERT = """
INSERT INTO events (stream, version, id, at, type, state, reply, record, leaf, chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

Row = tuple[Any, ...]


class Raw:
    """Bare inserts into the plain text layout."""

    def __init__(self, folder: Path) -> None:
        path = folder / "raw.db"
        path.touch()
        self._connection = connect_writing(str(path))
        self._connection.execute(_TABLE)
        self._connection.execute(_INDEX)
        self._number = 0

    def rows(self, count: int) -> list[Row]:
        """The next rows, of 16 streams in turn."""
        first, self._number = self._number, self._number + count
        return [_row(number) for number in range(first, self._number)]

    def single(self, rows: Sequence[Row]) -> None:
        """One durable commit a row."""
        execute = self._connection.execute
        for row in rows:
            execute("BEGIN IMMEDIATE")
            execute(_INSERT, row)
            execute("COMMIT")

    def batches(self, rows: Sequence[Row], size: int) -> None:
        """One durable commit a batch."""
        for start in range(0, len(rows), size):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, rows[start : start + size])
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _row(number: int) -> Row:
    body = encode(content(number))
    leaf = chain.leaf(body)
    return (
        f"line-{number % 16}", number // 16 + 1, str(uuid.uuid4()), START_NS + number, "closed",
        "reconnect_gap", None, body.decode(), leaf.hex(), chain.link(leaf, leaf).hex(),
    )  # fmt: skip
