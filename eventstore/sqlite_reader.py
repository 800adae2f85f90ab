"""Reads the log from SQLite, in this or another process, while one writer appends to it."""

import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Self, cast

from sqlite_utils import Database

from . import chain
from .archived import archive_id
from .errors import Corrupt, StoreNotFound
from .links import Links
from .records import Head, Link, Record, VaultEntry
from .sqlite_schema import is_new
from .sqlite_session import Session

PAGE_RECORDS = 2_000
TAIL_SECONDS = 0.005
GONE = "?"  # in place of a name that is gone: no account can be called so
_ALL = 2**63 - 1


class SQLiteReader:
    """A connection that can't write. Threads may share it: each page is read under a lock."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._session = Session(path)
        self._log_id = b""
        self._streams: dict[int, str] = {}
        self._types: dict[int, str] = {}
        self._states: dict[int | None, str | None] = {None: None}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "SQLiteReader":
        """Open an existing store for reading; raise `StoreNotFound` where there is none."""
        place = os.path.realpath(os.fspath(path))
        if is_new(place):
            raise StoreNotFound(
                f"There is no linewarden store at {place}",
                hint="a gateway makes one when it starts; look at the path",
            )
        reader = cls(place)
        try:
            rows = reader._session.rows("log_id")
            if not rows:
                raise Corrupt(f"The store {place} has no log id")
            reader._log_id = rows[0][0]
        except BaseException:
            reader.close()
            raise
        return reader

    @property
    def log_id(self) -> bytes:
        """The 16 bytes that this log was given when it was made."""
        return self._log_id

    def streams(self) -> list[str]:
        """Name all streams, in the order of their first record."""
        return [row["name"] for row in self._session.query("select_streams", (0,))]

    def head(self, stream: str) -> Head:
        """Return the end of a stream; version 0 and its genesis where it has no record."""
        rows = self._session.rows("select_head", (stream,))
        if not rows or rows[0][1] is None:
            return Head(0, chain.genesis(self.log_id, stream))
        return Head(rows[0][1], rows[0][2])

    def heads(self) -> dict[str, Head]:
        """Return the end of every stream."""
        rows = self._session.rows("select_heads")
        return {name: Head(version, chained) for name, version, chained in rows}

    def last_position(self) -> int:
        """Return the position of the newest record, 0 in an empty log."""
        position: int = self._session.rows("last_position")[0][0]
        return position

    def read_stream(
        self, stream: str, after_version: int = 0, upto_version: int | None = None
    ) -> Iterator[Record]:
        """Read a stream in order of version."""
        last = _ALL if upto_version is None else upto_version
        while True:
            parameters = (stream, after_version, last, PAGE_RECORDS)
            rows = self._session.rows("select_stream_page", parameters)
            yield from self._records(rows)
            if len(rows) < PAGE_RECORDS:
                return
            after_version = rows[-1][2]

    def archived(self, stream: str) -> Record | None:
        """Return the record that stands for the archived beginning of a stream, if it has none."""
        rows = self._session.rows("select_first_version", (stream,))
        if not rows or rows[0][0] <= 1:
            return None
        return self.get(archive_id(self.log_id, stream, rows[0][0] - 1))

    def archived_links(self) -> Links:
        """Return the links of numbers to LIDs that archived records named, by tokens."""
        if self._session.rows("schema")[0][0] < 2:
            return {}  # no writer has opened the file since there is a table of them
        rows = self._session.rows("select_archived_links")
        return {(pn, lid): position for pn, lid, position in rows}

    def read_all(
        self, after_position: int = 0, upto_position: int | None = None
    ) -> Iterator[Record]:
        """Read the log in order of position."""
        for page in self.pages(after_position, upto_position):
            yield from page

    def pages(
        self, after_position: int = 0, upto_position: int | None = None, *, checked: bool = True
    ) -> Iterator[list[Record]]:
        """Read the log in lists of about 2,000 records; unchecked, damage is served as it is."""
        last = _ALL if upto_position is None else upto_position
        while rows := self._session.rows("select_page", (after_position, last, PAGE_RECORDS)):
            yield self._records(rows, checked=checked)
            if len(rows) < PAGE_RECORDS:
                return
            after_position = rows[-1][0]

    def links(
        self, after_position: int = 0, upto_position: int | None = None
    ) -> Iterator[list[Link]]:
        """Read, unchecked, as much of each record as its chain needs."""
        last = _ALL if upto_position is None else upto_position
        while rows := self._session.rows("select_links", (after_position, last, PAGE_RECORDS)):
            yield cast("list[Link]", rows)
            if len(rows) < PAGE_RECORDS:
                return
            after_position = rows[-1][0]

    def stream_name(self, number: int) -> str:
        """Name the stream that a link gives the number of."""
        if number not in self._streams:
            self._read_names()
        return self._streams.get(number, GONE)

    def get(self, id: bytes) -> Record | None:
        """Find a record by its id."""
        rows = self._session.rows("select_by_id", (id,))
        return self._records(rows)[0] if rows else None

    def of_reply(self, stream: str, reply: str) -> list[Record]:
        """Read the records of one reply in order."""
        return self._records(self._session.rows("select_of_reply", (stream, reply)))

    def tail(
        self, after_position: int = 0, stop: threading.Event | None = None
    ) -> Iterator[Record]:
        """Read the log and go on with what is committed later, until `stop` is set.

        SQLite tells nobody of a commit, but asking for its data version costs a few microseconds:
        it is asked every 5 ms.
        """
        stop = stop or threading.Event()
        seen = None
        while not stop.is_set():
            version = self._session.data_version()
            if version == seen:
                stop.wait(TAIL_SECONDS)
                continue
            # The version was read before the records: a commit in between shows once more.
            seen = version
            for record in self.read_all(after_position):
                after_position = record.position
                yield record
                if stop.is_set():
                    return

    def tokens(self, values: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Find the tokens of (kind, value) pairs; unknown ones are left out."""
        found: dict[tuple[str, str], str] = {}
        for kind, value in values:
            for row in self._session.query("select_token", (value, kind)):
                found[kind, value] = row["token"]
        return found

    def reveal(self, token: str) -> str | None:
        """Return the value behind a token, None once it was erased."""
        entry = self.vault_entries((token,)).get(token)
        return None if entry is None else entry.value

    def vault_entries(self, tokens: Iterable[str]) -> dict[str, VaultEntry]:
        """Return what the vault holds of these tokens; erased ones are left out."""
        found: dict[str, VaultEntry] = {}
        for token in tokens:
            for row in self._session.rows("select_vault", (token,)):
                found[token] = VaultEntry(*row)
        return found

    def vault(self) -> Iterator[VaultEntry]:
        """Read the whole vault by token; what comes or goes meanwhile may be missed."""
        last = ""
        while rows := self._session.rows("select_vault_page", (last, PAGE_RECORDS)):
            for row in rows:
                yield VaultEntry(*row)
            last = rows[-1][0]

    def load_checkpoint(self, projection: str, stream: str) -> tuple[int, bytes] | None:
        """Return (version, body) of a projection's checkpoint for a stream."""
        rows = self._session.rows("select_checkpoint", (projection, stream))
        return (rows[0][0], rows[0][1]) if rows else None

    def load_checkpoints(self, projection: str) -> dict[str, tuple[int, bytes]]:
        """Return all checkpoints of a projection by stream."""
        rows = self._session.rows("select_checkpoints", (projection,))
        return {stream: (version, body) for stream, version, body in rows}

    @property
    def database(self) -> Database:
        """The reading connection as sqlite-utils has it, for queries of one's own.

        It is SQLite's only, not part of the protocol, and for one thread at a time.
        """
        return self._session.database()

    def close(self) -> None:
        """Release what the reader holds. Closing twice does nothing."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _records(self, rows: list[tuple[Any, ...]], *, checked: bool = True) -> list[Record]:
        try:
            records = _named(rows, self._streams, self._types, self._states)
        except KeyError:
            # The writer met a new account, type or state since the names were read.
            self._read_names()
            try:
                records = _named(rows, self._streams, self._types, self._states)
            except KeyError as error:
                if checked:
                    raise Corrupt(
                        "A record names an account, type or state that is gone"
                    ) from error
                records = _named(
                    rows, _Gone(self._streams), _Gone(self._types), _Gone(self._states)
                )
        if checked:
            leaf = chain.leaf
            for record in records:
                if leaf(record.body) != record.leaf:
                    raise Corrupt(
                        f"Record {record.position} is not what was written",
                        position=record.position,
                    )
        return records

    def _read_names(self) -> None:
        session = self._session
        self._streams.update(session.rows("select_streams", (len(self._streams),)))
        self._types.update(session.rows("select_types"))
        self._states.update(session.rows("select_states"))


class _Gone(dict[Any, Any]):
    """Names, with a question mark for those that are gone.

    It keeps a damaged record readable for the audit, whose chains and columns can't agree with it.
    """

    def __missing__(self, key: object) -> str:
        return GONE


def _named(
    rows: list[tuple[Any, ...]],
    streams: dict[int, str],
    types: dict[int, str],
    states: dict[int | None, str | None],
) -> list[Record]:
    return [
        Record(
            row[0], streams[row[1]], row[2], row[3], row[4], types[row[5]], states[row[6]],
            row[7], row[8], row[9], row[10],
        )
        for row in rows
    ]  # fmt: skip
