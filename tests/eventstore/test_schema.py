"""The file itself: append-only, durable, private, and made for people to open."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlite_utils
from sqlite_utils import Database

from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.eventstore.sqlite_schema import APPLICATION_ID, SCHEMA, migrations
from linewarden.eventstore.statements import load

from .material import START_NS, Make


@pytest.mark.parametrize("table", ["records", "streams", "types", "states", "meta"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE"])
def test_the_log_is_append_only(path: Path, make: Make, table: str, verb: str) -> None:
    """No connection can update or delete a row of the log."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
    connection = sqlite3.connect(path)
    column = connection.execute(f"SELECT * FROM {table}").description[-1][0]
    statement = {
        "UPDATE": f"UPDATE {table} SET {column} = {column}",
        "DELETE": f"DELETE FROM {table}",
    }[verb]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("table", "row", "change"),
    [
        ("vault", "'t', 'identity', 'v', x'00'", "value = 'w'"),
        ("links", "'t', 'u', 1", "lid = 'w'"),
    ],
)
def test_what_is_erased_is_never_changed(path: Path, table: str, row: str, change: str) -> None:
    """A value of the vault, or a link, can go but can't be updated."""
    SQLiteStore.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"INSERT INTO {table} VALUES ({row})")
    with pytest.raises(sqlite3.IntegrityError, match="never updated"):
        connection.execute(f"UPDATE {table} SET {change}")
    connection.execute(f"DELETE FROM {table}")
    connection.close()


def test_the_writing_connection_is_durable(store: SQLiteStore) -> None:
    """What durability and safety rest on is set on the connection that writes."""
    connection = store._writer._connection
    assert connection is not None

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "secure_delete": 1,
        "wal_autocheckpoint": 4000,
        "journal_size_limit": 64 * 1024 * 1024,
        "cache_size": -64 * 1024,
        "application_id": APPLICATION_ID,
        "user_version": SCHEMA,
    }
    assert {name: pragma(name) for name in wanted} == wanted


def test_reading_connections_cannot_write(store: SQLiteStore, make: Make) -> None:
    """The connection that serves reads refuses to write."""
    store.append("a", [make()])
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.database.execute("INSERT INTO streams (name) VALUES ('b')")


def test_several_openings_migrate_once(path: Path, make: Make) -> None:
    """Opening a store again applies no migration twice."""
    for _ in range(3):
        with SQLiteStore.open(path) as store:
            store.append("a", [make()])
    database = Database(path, execute_plugins=False)
    assert [row["name"] for row in database["_sqlite_migrations"].rows] == ["1_log", "2_links"]
    database.conn.close()


def aged(path: Path) -> None:
    """Make a file what it was before there was a table of links."""
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE links")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = '2_links'")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def schema(path: Path) -> list[tuple[str, ...]]:
    """Every object of a file, and the version of its schema."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    found += connection.execute("PRAGMA user_version").fetchall()
    connection.close()
    return found


def test_a_file_of_schema_1_is_what_it_was(path: Path, tmp_path: Path) -> None:
    """The first migration alone makes the file that the tests of the second one begin with."""
    old = tmp_path / "old.db"
    database = Database(old, execute_plugins=False)
    migrations.apply(database, stop_before="2_links")
    database.conn.close()
    SQLiteStore.open(path).close()
    aged(path)
    assert schema(path) == schema(old)


def test_the_writer_migrates_a_file_of_schema_1(path: Path, tmp_path: Path, make: Make) -> None:
    """Its records stay, it gets the table of links, and it is as a file that is made today."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
    aged(path)
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
        assert [record.version for record in store.read_all()] == [1, 2]
        assert store.archived_links() == {}
    SQLiteStore.open(tmp_path / "new.db").close()
    assert schema(path) == schema(tmp_path / "new.db")


def test_a_reader_of_a_file_of_schema_1_sees_no_links(path: Path, make: Make) -> None:
    """It reads the records and changes nothing, before a writer opens the file and after."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
    aged(path)
    before = schema(path)
    with SQLiteReader.open(path) as reader:
        assert reader.archived_links() == {}
        assert reader.last_position() == 1
        assert schema(path) == before
        SQLiteStore.open(path).close()
        assert reader.archived_links() == {}
        assert reader.last_position() == 1


def rows(path: Path, view: str) -> list[dict[str, object]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(f"SELECT * FROM {view}")]
    connection.close()
    return found


def test_views_speak_words(path: Path, make: Make) -> None:
    """The views name accounts, times, states and rules, with nothing but sqlite3."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make(state="connected"), make(reply="r1"), make(reply="r1")])
        head = store.append("b", [make(state=None)])[0].chain
    log = rows(path, "log")
    assert START_NS == 1_760_000_000_000_000_000
    assert log[1] | {"record": ""} == {
        "position": 2,
        "time": "2025-10-09T08:53:20.002Z",
        "account": "a",
        "version": 2,
        "type": "closed",
        "state": "reconnect_gap",
        "rule": "close.transient.retry",
        "controller": "A",
        "reply": "r1",
        "record": "",
    }
    assert json.loads(str(log[1]["record"]))["stimulus"]["reply"] == "r1"
    assert rows(path, "accounts") == [
        {
            "account": "a",
            "state": "reconnect_gap",
            "since": "2025-10-09T08:53:20.002Z",
            "records": 3,
            "epoch": 1,
            "head": log_head(path, 3),
        },
        {
            "account": "b",
            "state": None,
            "since": "2025-10-09T08:53:20.004Z",
            "records": 1,
            "epoch": 1,
            "head": head.hex(),
        },
    ]
    assert rows(path, "replies") == [
        {
            "account": "a",
            "reply": "r1",
            "chat": "chat_1",
            "captured_on": "A",
            "first_time": "2025-10-09T08:53:20.002Z",
            "first_rule": "close.transient.retry",
            "last_time": "2025-10-09T08:53:20.003Z",
            "last_rule": "close.transient.retry",
            "records": 2,
        }
    ]
    assert [(row["account"], row["effect"]) for row in rows(path, "effects")] == [
        *[("a", "dial")] * 3,
        ("b", "dial"),
    ]


def log_head(path: Path, position: int) -> str:
    connection = sqlite3.connect(path)
    (head,) = connection.execute(
        "SELECT lower(hex(chain)) FROM records WHERE position = ?", (position,)
    ).fetchone()
    connection.close()
    return str(head)


@pytest.mark.parametrize("view", list(load("views.sql")))
def test_sqlite_utils_opens_every_view(path: Path, make: Make, view: str) -> None:
    """The command `sqlite-utils rows` shows every view while the store is being written."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make(reply="r1")])
        shown = subprocess.run(
            [sys.executable, "-m", "sqlite_utils", "rows", str(path), view],
            capture_output=True,
            text=True,
            check=True,
        )
    (row,) = json.loads(shown.stdout)
    assert row["account"] == "a"


def test_the_record_is_text_for_the_arrow(path: Path, make: Make) -> None:
    """The record is stored as text, so that `->>` reads it."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
    connection = sqlite3.connect(path)
    assert connection.execute(
        "SELECT typeof(record), record ->> '$.outcome.rule' FROM records"
    ).fetchone() == ("text", "close.transient.retry")
    connection.close()


def test_a_record_takes_at_most_520_bytes(path: Path, make: Make) -> None:
    """With its hashes and indexes a record of 330 bytes takes 520 in the file."""
    with SQLiteStore.open(path) as store:
        padding = "x" * (330 - len(make(padding="").body))
        for n in range(100):
            store.append(f"line-{n % 10}", [make(padding=padding) for _ in range(100)])
        assert len(next(store.read_all()).body) in range(325, 336)
    assert path.stat().st_size / 10_000 <= 520


def test_the_face_loads_no_database(path: Path) -> None:
    """Importing the package and its face loads neither sqlite_utils nor sqlite3."""
    script = (
        "import sys, linewarden.eventstore\n"
        "print([name for name in ('sqlite3', 'sqlite_utils') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert loaded.stdout.strip() == b"[]"


def test_plugins_stay_out_of_the_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins of sqlite-utils that the user has installed are not run on the store."""
    ran: list[object] = []
    monkeypatch.setattr(sqlite_utils.db, "ensure_plugins_loaded", lambda: ran.append(1))
    with SQLiteStore.open(path) as store:
        store.streams()
    assert ran == []


def test_queries_go_through_sqlite_utils(store: SQLiteStore, make: Make) -> None:
    """A store offers its reading connection to queries of one's own, by sqlite-utils."""
    store.append("a", [make()])
    assert list(store.database.query("SELECT name FROM streams")) == [{"name": "a"}]
