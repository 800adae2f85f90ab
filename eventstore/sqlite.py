"""The store on SQLite: one writing process, group commit, reads beside it.

Requests wait in a queue. Whoever flushes first leads: it commits all that is queued, up to 512 in
a transaction, while the others wait and mostly find their request answered. No timer gathers
requests; what arrives during a commit is the next group.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NoReturn

from ..statemachine.errors import InputError, LinewardenError
from .archived import archive_id, archive_of
from .bundle_reading import Reading
from .errors import InvalidRecord, StoreClosed, StoreNotFound
from .links import links_of
from .records import Append, NewRecord, Record, VaultEntry, check_append, check_stream
from .sqlite_archive import delete, shrink
from .sqlite_owner import OwnerLock
from .sqlite_reader import SQLiteReader
from .sqlite_rights import check_rights, make_private
from .sqlite_schema import is_new
from .sqlite_writer import Writer
from .statements import STATEMENTS
from .turns import Turns
from .verify_archive import contents

REQUESTS_PER_COMMIT_MAX = 512

_log = logging.getLogger("linewarden.eventstore")


class SQLiteStore(SQLiteReader):
    """The one writer of a log in a SQLite file. Any thread and any event loop may use it."""

    def __init__(self, path: str, owner: OwnerLock, writer: Writer) -> None:
        super().__init__(path)
        self._log_id = writer.log_id
        self._pid = os.getpid()
        self._owner = owner
        self._writer = writer
        self._queue: deque[Append] = deque()
        self._checkpoints: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._checked: set[str] = set()
        self._commit_lock = threading.Lock()
        self._leader: int | None = None
        self._failure: Exception | None = None  # of a `done`
        self._journal_told = False  # what was erased may still stand in the write-ahead log
        self._open = True
        self._turns = Turns(self.enqueue, self.flush)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str = "linewarden",
        log_id: bytes | None = None,
        size_bytes_max: int | None = None,
    ) -> "SQLiteStore":
        """Open a store for writing and make it where there is none, readable by its user only.

        `name` tells others who holds it. `log_id` is the identity of a new log, 16 bytes that the
        database draws if none are given. Beyond `size_bytes_max` the file does not grow: appends
        are then refused as they are on a full disk.
        """
        if os.fspath(path) in (":memory:", ""):
            raise StoreNotFound(
                "A log is kept in a file", hint="give a path, such as linewarden.db"
            )
        if log_id is not None and len(log_id) != 16:
            raise InputError("A log id has 16 bytes")
        place = os.path.realpath(os.fspath(path))
        is_new(place)
        check_rights(place)
        owner = OwnerLock(place, name)
        try:
            if is_new(place):
                make_private(place)
            writer = Writer(place, size_bytes_max)
            writer.open(create=True, log_id=log_id)
        except BaseException:
            owner.release()
            raise
        return cls(place, owner, writer)

    def enqueue(self, append: Append) -> None:
        """Queue a request without waiting; the next flush by any thread commits it."""
        if not self._open or os.getpid() != self._pid:
            self._refuse_use()
        stream = append.stream
        if stream not in self._checked:
            check_stream(stream)
            if len(self._checked) > 100_000:
                self._checked.clear()
            self._checked.add(stream)
        check_append(append)
        self._queue.append(append)

    def flush(self) -> None:
        """Commit what is queued, in groups, and return when all of it is answered.

        An exception of a request's `done` is raised here, after all others were called.
        """
        self._check_usable()
        if self._leader == threading.get_ident():
            return  # called by a `done`: the flush that is under way goes on with the queue
        with self._commit_lock:
            while self._queue or self._checkpoints:
                error = self._commit_group()
                if error is not None and not self._queue:
                    break
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def append(
        self,
        stream: str,
        records: Sequence[NewRecord],
        expected_version: int | None = None,
        vault: Sequence[VaultEntry] = (),
    ) -> list[Record]:
        """Append records and return them as stored, after the commit.

        `expected_version` is the version that the stream must be at: 0 for a stream without a
        record, None for any. Raises `WrongExpectedVersion`, `DuplicateId`, `InvalidRecord` or
        `StoreUnavailable`; then nothing was written, or, if the disk failed while it was synced,
        all of it: append the same ids again to learn which.
        """
        append = Append(stream, tuple(records), expected_version, tuple(vault))
        if self._leader == threading.get_ident():
            raise InputError(
                "An append inside a `done` would wait for itself", hint="enqueue it instead"
            )
        self.enqueue(append)
        with self._commit_lock:
            while append.result is None and append.error is None:
                self._check_usable()
                self._commit_group()
        if append.error is not None:
            raise append.error
        assert append.result is not None
        return append.result

    async def append_async(
        self,
        stream: str,
        records: Sequence[NewRecord],
        expected_version: int | None = None,
        vault: Sequence[VaultEntry] = (),
    ) -> list[Record]:
        """Append from a coroutine; what one turn of the loop asks for shares a commit.

        A coroutine that is cancelled while it waits takes nothing back: the ids of its records
        tell what became of them.
        """
        return await self._turns.submit(
            Append(stream, tuple(records), expected_version, tuple(vault))
        )

    def save_checkpoint(self, projection: str, stream: str, version: int, body: bytes) -> None:
        """Queue a checkpoint: the next flush, or closing, writes it."""
        self._check_usable()
        self._checkpoints[projection, stream] = (version, body)

    def save_checkpoints(
        self, projection: str, checkpoints: Mapping[str, tuple[int, bytes]]
    ) -> None:
        """Queue the checkpoints of many streams, by stream as (version, body)."""
        for stream, (version, body) in checkpoints.items():
            self.save_checkpoint(projection, stream, version, body)

    def drop_checkpoints(self, projection: str) -> None:
        """Delete a projection's checkpoints at once, so that it is rebuilt from zero."""
        self._check_usable()
        with self._commit_lock:
            for key in [key for key in self._checkpoints if key[0] == projection]:
                del self._checkpoints[key]
            self._writer.run(
                lambda on: on.execute(STATEMENTS["drop_checkpoints"], (projection,)).rowcount
            )

    def release(self, record: Record, bundle: str) -> int:
        """Delete the records that an `archived` record stands for; return how many there were.

        Their links stay (`archived_links`). Only once that record is in the log, and the bundle was
        read whole and is the one that it names: raises `BadBundle` or `InvalidRecord`.
        """
        self._check_usable()
        last = archive_of(record).last
        known = archive_id(self.log_id, record.stream, last)
        if record.id != known or self.get(known) != record:
            raise InvalidRecord("The record that stands for archived ones is not in the log")
        links = links_of(contents(Reading(bundle), record, self.log_id))  # which proves it
        with self._commit_lock:
            return self._writer.run(lambda on: delete(on, record.stream, last, links))

    def shrink(self) -> None:
        """Give the room of deleted records back to the disk; it takes as much again meanwhile."""
        self._check_usable()
        with self._commit_lock:
            self._writer.close()
            shrink(self.path)

    def limit_size(self, size_bytes_max: int | None) -> None:
        """Set how far the file may grow from now on; None lifts the limit."""
        self._check_usable()
        with self._commit_lock:
            self._writer.limit_size(size_bytes_max)

    def close(self) -> None:
        """Commit what is queued, close the file and let another process write."""
        if not self._open:
            return
        if os.getpid() != self._pid:
            self._open = False
            return
        try:
            self.flush()
        finally:
            self._turns.close()
            with self._commit_lock:
                self._open = False
                super().close()
                self._writer.close()
                self._owner.release()

    def _commit_group(self) -> LinewardenError | None:
        """Commit one group and call its `done`s. The caller holds the commit lock."""
        queue = self._queue
        batch: list[Append] = []
        while queue and len(batch) < REQUESTS_PER_COMMIT_MAX:
            batch.append(queue.popleft())
        checkpoints = self._checkpoints.copy()
        self._leader = threading.get_ident()
        try:
            error = self._writer.commit(batch, checkpoints)
            if error is None:
                for key, value in checkpoints.items():
                    if self._checkpoints.get(key) is value:
                        del self._checkpoints[key]
                if self._journal_told or any(append.erased for append in batch):
                    self._journal_told = not self._emptied()
            elif checkpoints:
                _log.warning("checkpoints wait for the store: %s", type(error).__name__)
        finally:
            for append in batch:
                if append.done is not None:
                    self._call_done(append)
            self._leader = None
        return error

    def _emptied(self) -> bool:
        """Whether the write-ahead log could be emptied; what was committed stays so if it fails."""
        try:
            return self._writer.empty_journal()
        except LinewardenError as error:
            _log.warning("what was erased waits for the store: %s", type(error).__name__)
            return False

    def _call_done(self, append: Append) -> None:
        assert append.done is not None
        try:
            append.done(append)
        except Exception as error:  # noqa: BLE001 - the others in the group are owed their answer
            # Its name only: the text of a foreign error may hold anything.
            _log.error("the `done` of an append raised %s", type(error).__name__)
            self._failure = self._failure or error

    def _check_usable(self) -> None:
        if not self._open or os.getpid() != self._pid:
            self._refuse_use()

    def _refuse_use(self) -> NoReturn:
        if os.getpid() != self._pid:
            raise StoreClosed(
                "The store belongs to the process that this one was forked from",
                hint="open it in the process that writes",
            )
        raise StoreClosed("The store is closed")
