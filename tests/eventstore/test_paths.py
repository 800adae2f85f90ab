"""Opening what is no store, what can't be written, and what is newer than we are."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from linewarden.eventstore import errors, open_reader, open_store
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.statemachine.errors import LinewardenError

from .material import Make

OPENERS: list[Callable[[Path], object]] = [SQLiteStore.open, SQLiteReader.open]


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {f.name: f.read_bytes() if f.is_file() else None for f in sorted(folder.iterdir())}


def a_text(path: Path) -> None:
    path.write_text("this is no database\n" * 100)


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE sessions (jid TEXT)")
    connection.close()


def a_live_journal(path: Path) -> None:
    """A database of something else, whose writer was killed with all in its journal."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE sessions (jid TEXT)")
    copies = {f: f.read_bytes() for f in path.parent.iterdir() if not f.name.endswith("-shm")}
    connection.close()
    for file, content in copies.items():
        file.write_bytes(content)


def a_newer_schema(path: Path) -> None:
    SQLiteStore.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    path.with_name(path.name + ".lock").unlink()


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (a_text, errors.NotALinewardenStore),
        (another_database, errors.NotALinewardenStore),
        (Path.mkdir, errors.NotALinewardenStore),
        (a_newer_schema, errors.NewerSchema),
    ],
)
def test_what_is_not_ours_is_left_alone(
    path: Path,
    opener: Callable[[Path], object],
    prepare: Callable[[Path], None],
    error: type[LinewardenError],
) -> None:
    """A file of something else is refused with a hint, unchanged, with nothing made beside it."""
    prepare(path)
    before = snapshot(path.parent)
    with pytest.raises(error) as caught:
        opener(path)
    assert caught.value.hint
    assert snapshot(path.parent) == before


@pytest.mark.parametrize("opener", OPENERS)
def test_a_foreign_journal_is_not_lost(path: Path, opener: Callable[[Path], object]) -> None:
    """A database of something else keeps what stands in its write-ahead log only."""
    a_live_journal(path)
    with pytest.raises(errors.NotALinewardenStore):
        opener(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("sessions",)]
    connection.close()


@pytest.mark.parametrize("opener", OPENERS)
def test_a_missing_folder_is_named(tmp_path: Path, opener: Callable[[Path], object]) -> None:
    """A path whose folder is missing is refused with a hint, and the folder is not made."""
    with pytest.raises(errors.StoreNotFound, match="folder") as caught:
        opener(tmp_path / "missing" / "log.db")
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_making_is_finished(path: Path, make: Make) -> None:
    """A store whose maker was killed before the schema stood is made by the next opening."""
    path.touch()
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
    path.unlink()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with SQLiteStore.open(path) as store:
        assert store.append("a", [make()])[0].position == 1


def test_a_folder_without_rights_is_read_only(unprivileged: Path, make: Make) -> None:
    """Where nothing may be written, writing is refused with a hint and reading works."""
    path = unprivileged / "log.db"
    unprivileged.chmod(0o500)
    with pytest.raises(errors.ReadOnlyStore) as caught:
        SQLiteStore.open(path)
    assert caught.value.hint
    assert list(unprivileged.iterdir()) == []
    unprivileged.chmod(0o700)
    with SQLiteStore.open(path) as store:
        stored = store.append("a", [make()])
    unprivileged.chmod(0o500)
    with pytest.raises(errors.ReadOnlyStore):
        SQLiteStore.open(path)
    with SQLiteReader.open(path) as reader:
        assert list(reader.read_all()) == stored
        unprivileged.chmod(0o700)
        with SQLiteStore.open(path) as store:
            stored += store.append("a", [make()])
            assert list(reader.read_all()) == stored


def test_a_file_without_rights_is_read_only(unprivileged: Path, make: Make) -> None:
    """A file that may only be read is refused for writing and read."""
    path = unprivileged / "log.db"
    with SQLiteStore.open(path) as store:
        stored = store.append("a", [make()])
    path.chmod(0o400)
    with pytest.raises(errors.ReadOnlyStore) as caught:
        SQLiteStore.open(path)
    assert caught.value.hint
    with SQLiteReader.open(path) as reader:
        assert list(reader.read_all()) == stored


@pytest.mark.parametrize("name", [":memory:", ""])
def test_a_log_is_kept_in_a_file(name: str) -> None:
    """A store in memory would forget, so it is refused."""
    with pytest.raises(errors.StoreNotFound):
        SQLiteStore.open(name)


@pytest.mark.parametrize(
    "dsn", ["postgresql://host/log", "postgres://user@host/log", "mysql://host/log"]
)
def test_other_databases_are_refused_by_name(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of a database server is refused with a hint instead of becoming a file."""
    monkeypatch.chdir(tmp_path)
    for opener in (open_store, open_reader):
        with pytest.raises(errors.UnsupportedStore) as caught:
            opener(dsn)
        assert caught.value.hint
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["odd name.db", "50%.db", "a#b?c=d.db", "ü.db", "a&b.db"])
def test_odd_file_names_are_file_names(tmp_path: Path, make: Make, name: str) -> None:
    """Characters that mean something in an address mean nothing in a path."""
    with SQLiteStore.open(tmp_path / name) as store:
        store.append("a", [make()])
        assert store.last_position() == 1
    assert sorted(os.listdir(tmp_path)) == [name, name + ".lock"]


def test_a_relative_path_holds_after_a_change_of_folder(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that was opened by a relative path stays the same file."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with SQLiteStore.open("log.db") as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.append("a", [make()])
        assert store.last_position() == 1
    assert os.listdir(tmp_path / "elsewhere") == []
