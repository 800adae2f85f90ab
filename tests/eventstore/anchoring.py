"""Logs with anchors beside them, and what somebody with the machine does to both."""

import sqlite3
from pathlib import Path

from linewarden.eventstore import chain
from linewarden.eventstore.anchors import AnchorFile, anchors_path, read_anchors
from linewarden.eventstore.report import Report
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.eventstore.verify import verify

from .material import START_NS, Make

AT = START_NS + 10**12


def fill(path: Path, rounds: int, make: Make, log_id: bytes | None = None) -> list[bytes]:
    """Append to three accounts, ten records a round, and anchor each round; gives the lines."""
    lines = []
    with SQLiteStore.open(path, log_id=log_id) as store:
        anchors = AnchorFile(store, anchors_path(path))
        for number in range(rounds):
            for n in range(5):
                store.append(f"line-{n % 3}", [make(), make(reply=f"r{number}.{n}")])
            line = anchors.add(AT + number)
            assert line is not None
            lines.append(line)
    return lines


def tamper(path: Path, *statements: str) -> None:
    """Change a log as somebody with the machine could."""
    connection = sqlite3.connect(path, isolation_level=None)
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def compute_anew(path: Path, stream: str = "line-1") -> None:
    """Compute the leaves and the chain of a stream as linewarden does."""
    connection = sqlite3.connect(path, isolation_level=None)
    (log_id,) = connection.execute("SELECT value FROM meta WHERE key = 'log_id'").fetchone()
    head = chain.genesis(log_id, stream)
    for position, body in connection.execute(
        "SELECT position, CAST(record AS BLOB) FROM records WHERE stream = "
        "(SELECT number FROM streams WHERE name = ?) ORDER BY version",
        (stream,),
    ).fetchall():
        leaf = chain.leaf(body)
        head = chain.link(head, leaf)
        connection.execute(
            "UPDATE records SET leaf = ?, chain = ? WHERE position = ?", (leaf, head, position)
        )
    connection.close()


def audit(path: Path, copy: Path | None = None) -> Report:
    """Verify a log with its own anchors, or with a copy of them."""
    with SQLiteReader.open(path) as reader:
        file = copy or Path(anchors_path(path))
        anchors = read_anchors(file, reader.log_id.hex(), copy=copy is not None)
        return verify(reader, anchors=anchors if copy or file.exists() else ())
