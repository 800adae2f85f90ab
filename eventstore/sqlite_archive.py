"""Takes archived records out of the file: the one deletion there is, and the room it leaves."""

import sqlite3

from .archived import archive_id, archive_of
from .links import Links
from .records import Record
from .sqlite_connection import connect_writing, typed
from .statements import STATEMENTS, load

_GUARD = "records_are_never_deleted"


def delete(connection: sqlite3.Connection, stream: str, last: int, links: Links) -> int:
    """Delete the records of a stream up to a version, inside a transaction; return how many.

    The links that they name are kept, but for numbers that were erased. The trigger that forbids it
    is away only inside this transaction: nobody else ever sees the file without it.
    """
    connection.executemany(
        STATEMENTS["insert_link"],
        [{"pn": pn, "lid": lid, "position": position} for (pn, lid), position in links.items()],
    )
    connection.execute(STATEMENTS["drop_guard"])
    deleted = connection.execute(STATEMENTS["delete_archived"], (stream, last)).rowcount
    connection.execute(load("schema.sql")[_GUARD])
    return deleted


def shrink(path: str) -> None:
    """Give the room of what was deleted back to the disk: the file is written anew.

    Whoever calls holds the owner lock, and has closed the connection that writes.
    """
    try:
        connection = connect_writing(path)
        try:
            (free,) = connection.execute("PRAGMA freelist_count").fetchone()
            if free:
                connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise typed(error, path) from error


def chain_after(
    connection: sqlite3.Connection, log_id: bytes, stream: str, last: int
) -> bytes | None:
    """The link after a version that was archived, by the record that stands for it."""
    row = connection.execute(
        STATEMENTS["select_named_by_id"], (archive_id(log_id, stream, last),)
    ).fetchone()
    return archive_of(Record(*row)).chain if row is not None else None
