"""P6: a disk that is full or fails. Nothing is lost, and service resumes without a restart."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linewarden.eventstore import Append, NewRecord, sqlite_connection
from linewarden.eventstore.errors import Corrupt, StoreUnavailable
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify

from .material import Make


@contextmanager
def no_file_grows_beyond(bytes_max: int) -> Iterator[None]:
    """Let the kernel refuse writes beyond a size, as a failing disk does: an I/O error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(store: SQLiteStore, make: Make, stream: str) -> tuple[list[bytes], NewRecord, Exception]:
    """Append until it fails; return the acknowledged ids, the record that failed, and why."""
    acknowledged = []
    for _ in range(100_000):
        record = make(padding="x" * 2000)
        try:
            store.append(stream, [record])
        except StoreUnavailable as error:
            return acknowledged, record, error
        acknowledged.append(record.id)
    raise AssertionError("the disk never got full")


def test_a_full_disk_costs_no_acknowledged_record(path: Path, make: Make) -> None:
    """A full disk is a typed error with a hint; readers go on; with space, so do appends."""
    with SQLiteStore.open(path, size_bytes_max=300_000) as store:
        acknowledged, failed, error = fill(store, make, "a")
        assert isinstance(error, StoreUnavailable) and error.hint
        assert "SQLITE_FULL" in str(error)
        with pytest.raises(StoreUnavailable):
            store.append("a", [failed])
        assert [r.id for r in store.read_all()] == acknowledged
        assert verify(store).ok
        store.limit_size(None)
        (record,) = store.append("a", [failed], len(acknowledged))
        assert record.version == len(acknowledged) + 1
        assert verify(store).ok


def test_an_io_error_costs_no_acknowledged_record(path: Path, make: Make) -> None:
    """An I/O error is a typed error; the next append on a healthy disk succeeds, once."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
        with no_file_grows_beyond(200_000):
            acknowledged, failed, error = fill(store, make, "a")
            assert isinstance(error, StoreUnavailable) and error.hint
            assert "SQLITE_IOERR" in str(error)
            assert len(list(store.read_all())) == 1 + len(acknowledged)
        (record,) = store.append("a", [failed])
        assert record.version == 2 + len(acknowledged)
        assert [r.id for r in store.read_stream("a", 1)] == [*acknowledged, failed.id]
        assert verify(store).ok


def test_every_request_of_a_failed_group_hears_of_it(path: Path, make: Make) -> None:
    """All requests of a transaction that failed get an error of their own, and none is stored."""
    with SQLiteStore.open(path, size_bytes_max=300_000) as store:
        acknowledged, _, _ = fill(store, make, "a")
        done: list[Append] = []
        requests = [
            Append("a", (make(padding="x" * 4000),), expected, done=done.append)
            for expected in (len(acknowledged), 99_999, None)
        ]
        for request in requests:
            store.enqueue(request)
        store.flush()
        assert done == requests
        errors = [request.error for request in requests]
        assert [type(error) for error in errors] == [StoreUnavailable] * 3
        assert len({id(error) for error in errors}) == 3
        assert all(request.result is None for request in requests)
        store.limit_size(None)
        assert store.append("new", [make()])[0].position == len(acknowledged) + 1


def test_checkpoints_wait_for_the_disk(path: Path, make: Make) -> None:
    """A checkpoint that could not be written is written when the disk is well again."""
    with SQLiteStore.open(path, size_bytes_max=300_000) as store:
        fill(store, make, "a")
        store.save_checkpoint("p", "a", 1, b"x" * 50_000)
        store.flush()
        assert store.load_checkpoint("p", "a") is None
        store.limit_size(None)
        store.flush()
        assert store.load_checkpoint("p", "a") == (1, b"x" * 50_000)


def test_a_lock_of_another_program_passes(
    path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program holds the file appends fail with a hint; afterwards they succeed."""
    monkeypatch.setitem(sqlite_connection._PRAGMAS, "busy_timeout", 10)
    with SQLiteStore.open(path) as store:
        store.limit_size(None)  # opens the connection anew, with the short patience
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        record = make()
        with pytest.raises(StoreUnavailable, match="another program"):
            store.append("a", [record])
        other.execute("ROLLBACK")
        other.close()
        assert store.append("a", [record])[0].position == 1


def test_a_damaged_tail_stops_the_writer(path: Path, make: Make) -> None:
    """A store whose newest records were altered is not opened for writing, and stays as it is."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make() for _ in range(5)])
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TRIGGER records_are_never_updated")
    connection.execute(
        "UPDATE records SET record = replace(record, 'dial', 'dine') WHERE version = 5"
    )
    connection.close()
    for _ in range(2):
        with pytest.raises(Corrupt, match="5") as caught:
            SQLiteStore.open(path)
        assert caught.value.position == 5 and "verify" in caught.value.hint


def test_damage_found_while_running_stops_the_writer(path: Path, make: Make) -> None:
    """After a disk error the tail is checked: damage makes appends fail instead of going on."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make() for _ in range(5)])
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("DROP TRIGGER records_are_never_updated")
        connection.execute("UPDATE records SET chain = zeroblob(32) WHERE version = 5")
        connection.close()
        store.limit_size(None)  # as after an error, the next append opens a new connection
        with pytest.raises(Corrupt):
            store.append("a", [make()])
        assert store.last_position() == 5
