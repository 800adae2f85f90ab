"""P7 and invariant 19: what was changed behind our back is reported, and where it begins."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linewarden.eventstore import VaultEntry, chain
from linewarden.eventstore.errors import Corrupt
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.eventstore.verify import Report, verify

from .anchoring import tamper
from .material import Make

RECORDS = 60
ENTRY = VaultEntry("idn_1", "identity", "15550100001@c.us", b"s" * 16)


@pytest.fixture
def written(path: Path, make: Make) -> Path:
    """A store of three accounts with 60 records."""
    promise = {"idn_1": chain.commitment(ENTRY.salt, ENTRY.kind, ENTRY.value).hex()}
    with SQLiteStore.open(path) as store:
        for n in range(RECORDS // 2):
            more = {"commitments": promise} if n == 3 else {}
            state = ("connecting", "connected", None)[n % 3]
            store.append(
                f"line-{n % 3}",
                [make(state=state, **more), make(state=state, reply=f"r{n}", type="send_acked")],
                vault=[ENTRY] if n == 3 else [],
            )
    return path


def audit(path: Path, *, columns: bool = True) -> Report:
    with SQLiteReader.open(path) as reader:
        return verify(reader, columns=columns)


def test_an_untouched_log_verifies(written: Path) -> None:
    """A log as it was written is intact in both modes, and its commitments are counted."""
    full = audit(written)
    assert full == Report(True, RECORDS, 3, RECORDS, commitments=1)
    assert audit(written, columns=False) == Report(True, RECORDS, 3, RECORDS)


def test_an_empty_log_verifies(path: Path) -> None:
    """A log without a record is intact."""
    SQLiteStore.open(path).close()
    assert audit(path) == Report(True, 0, 0, 0)


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE records SET record = replace(record, 'dial', 'dine') WHERE position = 17", 17),
        ("UPDATE records SET record = record || ' ' WHERE position = 60", 60),
        ("UPDATE records SET leaf = zeroblob(32) WHERE position = 5", 5),
        ("UPDATE records SET chain = zeroblob(32) WHERE position = 5", 5),
        ("UPDATE records SET version = 999 WHERE position = 20", 20),
        ("UPDATE records SET stream = 2, version = 999 WHERE position = 1", 1),
        ("DELETE FROM records WHERE position = 1", 1),
        ("DELETE FROM records WHERE position = 30", 30),
        ("DELETE FROM records WHERE stream = 2", 3),
        ("UPDATE records SET position = 1000 WHERE position = 60", 60),
        ("UPDATE records SET position = -1 WHERE position = 7", 7),
        ("UPDATE streams SET name = 'line-9' WHERE number = 2", 3),
        ("DELETE FROM streams WHERE number = 2", 3),
        ("UPDATE meta SET value = zeroblob(16) WHERE key = 'log_id'", 1),
    ],
)
def test_a_change_is_found_where_it_begins(
    written: Path, statement: str, position: int, columns: bool
) -> None:
    """A changed, moved, renamed or missing record is reported with the first bad position."""
    tamper(written, statement)
    report = audit(written, columns=columns)
    assert not report.ok and report.reason
    assert (report.first_bad_position, report.last_good_position) == (position, position - 1)
    assert report.records == position - 1


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE records SET type = 1 WHERE position = 20", 20),
        ("UPDATE records SET type = 99 WHERE position = 20", 20),
        ("UPDATE records SET state = NULL WHERE position = 21", 21),
        ("UPDATE records SET state = 1 WHERE position = 9", 9),
        ("UPDATE records SET reply = 'r99' WHERE position = 2", 2),
        ("UPDATE records SET reply = NULL WHERE position = 2", 2),
        ("UPDATE records SET at = at + 1 WHERE position = 60", 60),
        ("UPDATE types SET name = 'opened' WHERE name = 'closed'", 1),
        ("UPDATE states SET name = 'conflict' WHERE name = 'connected'", 3),
        ("UPDATE vault SET value = '15550100002@c.us'", 7),
        ("UPDATE vault SET salt = zeroblob(16)", 7),
        ("UPDATE vault SET kind = 'chat'", 7),
    ],
)
def test_columns_say_what_the_record_says(written: Path, statement: str, position: int) -> None:
    """A column or a vault value that is not what the hashed bytes say is reported."""
    tamper(written, statement)
    report = audit(written)
    assert not report.ok and report.reason
    assert (report.first_bad_position, report.last_good_position) == (position, position - 1)
    assert audit(written, columns=False).ok


def test_the_first_of_several_changes_is_reported(written: Path) -> None:
    """A changed column before a broken chain, and the other way round, is reported first."""
    tamper(written, "UPDATE records SET at = 1 WHERE position IN (10, 50)")
    tamper(written, "UPDATE records SET leaf = chain WHERE position = 30")
    assert audit(written).first_bad_position == 10
    assert audit(written, columns=False).first_bad_position == 30


def test_replacing_a_record_is_found(written: Path) -> None:
    """A record put in another's place past the triggers is found by its gap or its chain."""
    connection = sqlite3.connect(written, isolation_level=None)
    connection.execute(
        "INSERT OR REPLACE INTO records SELECT position, stream, version, id, at, type, state, "
        "reply, replace(record, 'dial', 'dine'), leaf, chain FROM records WHERE position = 12"
    )
    connection.close()
    assert audit(written).first_bad_position == 12


def test_damaged_records_are_not_served(written: Path) -> None:
    """A read that meets a damaged record raises and names its position; others are served."""
    tamper(
        written, "UPDATE records SET record = replace(record, 'dial', 'dine') WHERE position = 17"
    )
    with SQLiteReader.open(written) as reader:
        assert len(list(reader.read_all(0, 16))) == 16
        with pytest.raises(Corrupt) as caught:
            list(reader.read_all())
        assert caught.value.position == 17
        assert sum(len(page) for page in reader.pages(checked=False)) == RECORDS


def test_records_without_a_name_are_not_served(written: Path) -> None:
    """A record whose account or type is gone raises instead of getting a made-up one."""
    tamper(written, "DELETE FROM types WHERE name = 'closed'")
    with SQLiteReader.open(written) as reader, pytest.raises(Corrupt):
        list(reader.read_all())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    position=st.integers(1, RECORDS),
    column=st.sampled_from(["record", "leaf", "chain"]),
    place=st.integers(0, 10_000),
    bit=st.integers(0, 6),
)
def test_any_changed_hashed_byte_is_found(
    written: Path, position: int, column: str, place: int, bit: int
) -> None:
    """Invariant 19: whichever bit of record, leaf or chain is flipped, the audit names it."""
    copy = written.with_name("copy.db")
    copy.write_bytes(written.read_bytes())
    connection = sqlite3.connect(copy, isolation_level=None)
    connection.execute("DROP TRIGGER records_are_never_updated")
    where = (position,)
    (value,) = connection.execute(
        f"SELECT CAST({column} AS BLOB) FROM records WHERE position = ?", where
    ).fetchone()
    flipped = bytearray(value)
    flipped[place % len(value)] ^= 1 << bit
    target = "CAST(? AS TEXT)" if column == "record" else "?"
    connection.execute(
        f"UPDATE records SET {column} = {target} WHERE position = ?", (bytes(flipped), position)
    )
    connection.close()
    for columns in (True, False):
        report = audit(copy, columns=columns)
        assert (report.ok, report.first_bad_position) == (False, position)


@pytest.mark.parametrize("damage", [b"\x00" * 64, b"\xff" * 64, b"\x0d\x00\x00" + b"\x07" * 61])
def test_a_damaged_page_is_reported(written: Path, damage: bytes) -> None:
    """A page of the file overwritten behind SQLite's back never passes for intact."""
    content = written.read_bytes()
    reported = 0
    for page in range(1, len(content) // 4096):
        broken = bytearray(content)
        broken[page * 4096 : page * 4096 + 64] = damage
        copy = written.with_name("copy.db")
        copy.write_bytes(broken)
        try:
            report = audit(copy)
        except Corrupt:
            reported += 1
            continue
        reported += not report.ok
        assert report.ok or report.reason
    # Pages of the vault, the ids and the sequence of replies are not what an audit reads.
    assert reported >= RECORDS * 445 // 4096


def test_a_text_that_is_none_is_damage(written: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are no text, where a text belongs, are reported as damage and not repeated."""
    tamper(written, "UPDATE records SET reply = CAST(x'ff31353535' AS TEXT) WHERE position = 2")
    report = audit(written)
    assert (report.ok, report.first_bad_position) == (False, 2)
    assert "1555" not in str(report)


def test_an_index_that_lost_a_head_is_reported(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that is not the newest record of its stream is reported."""
    read: Callable[..., object] = SQLiteReader.heads

    def behind(reader: SQLiteReader) -> object:
        heads = dict(read(reader))  # type: ignore[call-overload] # heads are a dict
        heads["line-1"] = heads["line-1"]._replace(version=1)
        return heads

    monkeypatch.setattr(SQLiteReader, "heads", behind)
    report = audit(written)
    assert not report.ok and "line-1" in (report.reason or "")
