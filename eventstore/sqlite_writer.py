"""Writes groups of requests to SQLite, each group in one transaction.

There is one writer, so heads, numbers and the last position are known without asking. Every
request is checked against them alone: a conflict fails its own request and no other. That an id
is new is not asked beforehand; the unique index says so in the rare case that it isn't, and the
group is then gone through again with care.

After an error of the disk the connection is closed and never used again: what a failed sync left
in the caches of the kernel is unknown, so it is never tried again. The next group opens a new one
and checks the tail of the log before it writes.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from hashlib import sha256
from typing import Any

from ..statemachine.errors import LinewardenError
from . import chain
from .errors import Corrupt, StoreUnavailable, WrongExpectedVersion
from .records import Append, Record
from .sqlite_archive import chain_after
from .sqlite_connection import BUSY_SECONDS, connect_writing, primary_code, typed
from .sqlite_numbers import Numbers
from .sqlite_schema import migrate
from .sqlite_stored import stored
from .sqlite_vault import erase
from .statements import STATEMENTS

HEADS_MAX = 200_000
TAIL_RECORDS = 32

_Head = tuple[int, int, bytes]
_Checkpoints = Mapping[tuple[str, str], tuple[int, bytes]]


class _Group:
    """What one transaction is about to write."""

    __slots__ = ("answers", "erased", "heads", "position", "rows", "vault")

    def __init__(self, position: int) -> None:
        self.position = position
        self.rows: list[tuple[Any, ...]] = []
        self.vault: list[tuple[str, str, str, bytes]] = []
        self.erased: list[str] = []
        self.heads: dict[str, _Head] = {}
        self.answers: list[tuple[Append, list[Record]]] = []


class Writer:
    """Owns the only writing connection. Its caller holds a lock around every call."""

    def __init__(self, path: str, size_bytes_max: int | None = None) -> None:
        self.path = path
        self.log_id = b""
        self.size_bytes_max = size_bytes_max
        self._connection: sqlite3.Connection | None = None
        self._heads: dict[str, _Head] = {}
        self._streams, self._types, self._states = map(Numbers, ("stream", "type", "state"))
        self._numbers = (self._streams, self._types, self._states)
        self._position = 0

    def open(self, *, create: bool = False, log_id: bytes | None = None) -> None:
        """Connect, make the schema where asked to, and check the end of the log."""
        try:
            connection = connect_writing(self.path, self.size_bytes_max)
            try:
                if create:
                    migrate(connection, log_id)
                self._begin(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise typed(error, self.path) from error
        self._connection = connection

    def close(self) -> None:
        """Close the connection, which moves the write-ahead log into the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def limit_size(self, size_bytes_max: int | None) -> None:
        """Let the file grow to so many bytes and no further; None lifts the limit."""
        self.size_bytes_max = size_bytes_max
        self.close()

    def commit(self, batch: Sequence[Append], checkpoints: _Checkpoints) -> LinewardenError | None:
        """Write a group; set `result` or `error` of each. Return why the group failed, if it did.

        A group that failed is not tried again, and all of its requests hear of it: what one was
        told of another's head may not be so.
        """
        try:
            if self._connection is None:
                self.open()
            try:
                self._write(batch, checkpoints, careful=False)
            except sqlite3.IntegrityError:
                self._roll_back()
                self._write(batch, checkpoints, careful=True)
        except sqlite3.Error as error:
            if primary_code(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                self._roll_back()
            else:
                self._abandon()
            return _fail(batch, typed(error, self.path), error)
        except LinewardenError as error:
            self._abandon()
            return _fail(batch, error, error)
        except BaseException as error:
            self._abandon()
            broken = StoreUnavailable(f"The commit broke off: {type(error).__name__}")
            _fail(batch, broken, error)
            raise
        return None

    def run(self, work: Callable[[sqlite3.Connection], int]) -> int:
        """Do work in a transaction of its own; return what it returns."""
        try:
            if self._connection is None:
                self.open()
            assert self._connection is not None
            self._connection.execute("BEGIN IMMEDIATE")
            result = work(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._abandon()
            raise typed(error, self.path) from error
        return result

    def empty_journal(self) -> bool:
        """Move the write-ahead log into the file and cut it to nothing; say whether readers let us.

        Nobody is waited for: it may be an event loop that asks.
        """
        try:
            if self._connection is None:
                self.open()
            assert self._connection is not None
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                row = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
        except sqlite3.Error as error:
            if primary_code(error) in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                return False
            self._abandon()
            raise typed(error, self.path) from error
        return bool(row[0] == 0)

    def _write(self, batch: Sequence[Append], checkpoints: _Checkpoints, *, careful: bool) -> None:
        connection = self._connection
        assert connection is not None
        group = _Group(self._position)
        connection.execute("BEGIN IMMEDIATE")
        for append in batch:
            append.error = None
            try:
                self._stage(append, group, connection, careful=careful)
            except LinewardenError as error:
                append.error = error
        for numbers in self._numbers:
            if numbers.new:
                connection.executemany(numbers.insert, numbers.new)
        if len(group.rows) == 1:
            connection.execute(STATEMENTS["insert_record"], group.rows[0])
        elif group.rows:
            connection.executemany(STATEMENTS["insert_record"], group.rows)
        if group.vault:
            connection.executemany(STATEMENTS["insert_vault"], group.vault)
        if group.erased:
            erase(connection, group.erased)
        if checkpoints:
            connection.executemany(
                STATEMENTS["upsert_checkpoint"], [key + value for key, value in checkpoints.items()]
            )
        connection.execute("COMMIT")
        for numbers in self._numbers:
            if numbers.new:
                numbers.keep()
        self._heads.update(group.heads)
        self._position = group.position
        for append, records in group.answers:
            append.result = records

    def _stage(
        self, append: Append, group: _Group, connection: sqlite3.Connection, *, careful: bool
    ) -> None:
        stream = append.stream
        head = group.heads.get(stream) or self._heads.get(stream) or self._load_head(stream)
        number, version, chained = head
        expected = append.expected_version
        if append.follows is not None and append.follows.error is not None:
            raise WrongExpectedVersion(stream, expected or 0, version)
        if careful or (expected is not None and expected != version):
            # A caller that never saw the answer appends again: its ids say so.
            answer = stored(append, connection, [records for _, records in group.answers])
            if answer is not None:
                group.answers.append((append, answer))
                return
            if expected is not None and expected != version:
                raise WrongExpectedVersion(stream, expected, version)
        if number == 0:
            number = self._streams.of(stream)
        position = group.position
        rows, records = group.rows, []
        types, states = self._types.of, self._state
        # This loop is the cost of an append beside the sync: chain.leaf and chain.link, inlined.
        for new in append.records:
            body, state, reply = new.body, new.state, new.reply
            leaf = sha256(b"\x00" + body).digest()
            chained = sha256(b"\x11" + chained + leaf).digest()
            version += 1
            position += 1
            rows.append((
                position, number, version, new.id, new.at, types(new.type), states(state), reply,
                body.decode(), leaf, chained,
            ))  # fmt: skip
            records.append(Record(
                position, stream, version, new.id, new.at, new.type, state, reply, body, leaf,
                chained,
            ))  # fmt: skip
        for entry in append.vault:
            group.vault.append((entry.token, entry.kind, entry.value, entry.salt))
        group.erased += append.erased
        group.position = position
        group.heads[stream] = (number, version, chained)
        group.answers.append((append, records))

    def _state(self, state: str | None) -> int | None:
        return None if state is None else self._states.of(state)

    def _load_head(self, stream: str) -> _Head:
        assert self._connection is not None
        if len(self._heads) > HEADS_MAX:
            self._heads.clear()
        row = self._connection.execute(STATEMENTS["select_head"], (stream,)).fetchone()
        if row is None or row[1] is None:
            return (row[0] if row else 0, 0, chain.genesis(self.log_id, stream))
        head: _Head = row
        self._heads[stream] = head
        return head

    def _begin(self, connection: sqlite3.Connection) -> None:
        select = connection.execute
        (log_id,) = select(STATEMENTS["log_id"]).fetchone() or (b"",)
        if len(log_id) != 16:
            raise Corrupt(f"The store {self.path} has lost its log id")
        self.log_id = log_id
        self._heads.clear()
        (last,) = select(STATEMENTS["last_stream_number"]).fetchone()
        self._streams.skip_to(last)
        self._types.load(select(STATEMENTS["select_types"]).fetchall())
        self._states.load(select(STATEMENTS["select_states"]).fetchall())
        (self._position,) = select(STATEMENTS["last_position"]).fetchone()
        check_tail(connection, log_id)

    def _roll_back(self) -> None:
        for numbers in self._numbers:
            numbers.forget()
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _abandon(self) -> None:
        self.close()
        self._heads.clear()


def check_tail(connection: sqlite3.Connection, log_id: bytes) -> None:
    """Raise `Corrupt` where the newest records are not what was written.

    A disk that failed, or a power cut on one that lies about its cache, damages the end first.
    """
    for row in connection.execute(STATEMENTS["select_tail"], (TAIL_RECORDS,)):
        position, stream, version, body, leaf, chained, previous = row
        if stream is not None and previous is None:
            genesis = chain.genesis(log_id, stream)
            previous = (
                genesis if version == 1 else chain_after(connection, log_id, stream, version - 1)
            )
        if previous is None or leaf != chain.leaf(body) or chained != chain.link(previous, leaf):
            raise Corrupt(f"Record {position} is not what was written", position=position)


def _fail(batch: Sequence[Append], error: LinewardenError, cause: BaseException) -> LinewardenError:
    for append in batch:
        if append.result is None:
            # One exception raised in several tasks would gather all their tracebacks.
            append.error = copy(error)
            append.error.__cause__ = cause
    return error
