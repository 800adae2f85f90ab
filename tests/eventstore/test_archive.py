"""Archiving: stretches leave the file once they are proven elsewhere, and the chain goes on."""

import gzip
import sqlite3
from pathlib import Path

import msgspec
import pytest

from linewarden.eventstore import open_reader
from linewarden.eventstore.archived import archive_id, archive_of
from linewarden.eventstore.bundle_format import BadBundle
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.errors import Corrupt, InvalidRecord
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify
from linewarden.eventstore.verify_archive import audit_archives
from linewarden.projections import archived as projections_archived
from linewarden.projections.projections import Projections

from ..gateway.scripted import Bench
from .archives import again, audited, lived, moved, views


def bodies(path: Path) -> list[bytes]:
    """The records that the file holds, as they stand there."""
    reader = open_reader(path)
    try:
        return [record.body for record in reader.read_all()]
    finally:
        reader.close()


def test_a_stretch_is_in_the_bundle_and_no_longer_in_the_log(path: Path, tmp_path: Path) -> None:
    """What was archived is in verified bundles, byte by byte, and the rest is in the log."""
    ends = lived(path)
    before, size = bodies(path), path.stat().st_size
    stretches = moved(path, ends[5] + 1, tmp_path / "archive")
    assert [stretch.account for stretch in stretches] == ["main", "second"]
    away = [
        record
        for stretch in stretches
        for record in read_bundle(tmp_path / "archive" / stretch.bundle).records
    ]
    assert sorted(record.position for record in away) == list(range(1, ends[5] + 1))
    assert [record.body for record in sorted(away, key=lambda one: one.position)] == before[
        : ends[5]
    ]
    rest = bodies(path)
    assert rest[:-2] == before[ends[5] :]
    assert [b'"archived"' in body for body in rest[-2:]] == [True, True]
    assert path.stat().st_size < size
    assert audited(path, tmp_path / "archive") == (True, len(rest), ends[5], ends[5])


def test_the_views_are_the_same_across_it(path: Path, tmp_path: Path) -> None:
    """What is folded from the snapshot on is what was folded from the first record on."""
    ends = lived(path, pending=True)
    before = views(path)
    moved(path, ends[8] + 1, tmp_path / "archive")
    after = views(path)
    assert list(before) == list(after)
    for name, view in after.items():
        was = before[name]
        same = set(view.__struct_fields__) - {"version", "position", "at", "chain"}
        assert {field: getattr(view, field) for field in same} == {
            field: getattr(was, field) for field in same
        }


def test_a_reply_is_never_torn(path: Path, tmp_path: Path) -> None:
    """A stretch ends where no reply is pending, before the moment that was named."""
    ends = lived(path, pending=True)
    last = moved(path, 10_000, tmp_path / "archive")[0].last
    with SQLiteStore.open(path) as store:
        record = next(store.read_stream("main", last))
        assert record.type == "reply_submitted"
        assert record.position > ends[-1] - 20
        assert [one.type for one in store.of_reply("main", "held")] == ["reply_submitted"]
        assert store.of_reply("main", "main-1") == []


def test_it_goes_on_and_is_archived_again(path: Path, tmp_path: Path) -> None:
    """The service goes on after an archive; later ones follow, and all are proven in a row."""
    folder = tmp_path / "archive"
    lived(path, 4)
    for number in range(3):
        moved(path, 10_000, folder)
        with Bench(path, seed=number + 2) as bench:
            for more in range(3):
                again(bench, 100 * number + 100 + more)
    ok, records, archived, proven = audited(path, folder)
    assert ok
    assert archived == proven
    with SQLiteStore.open(path) as store:
        assert store.last_position() == records + archived
        record = store.archived("main")
        assert record is not None
        assert archive_of(record).first > 1
    assert len(list(folder.iterdir())) == 6


def test_what_is_nothing_but_archived_records_stays(path: Path, tmp_path: Path) -> None:
    """Archiving again and again without anything new moves nothing."""
    lived(path, 2)
    assert len(moved(path, 10_000, tmp_path / "archive")) == 2
    assert moved(path, 20_000, tmp_path / "archive") == []
    assert moved(path, 1, tmp_path / "archive") == []


def test_a_reader_that_lags_behind_follows(path: Path, tmp_path: Path) -> None:
    """Views that were loaded before an archive, and lack what it took out, are begun anew."""
    ends = lived(path)
    reader = open_reader(path)
    try:
        early = Projections(reader)
        early.catch_up(ends[2])
        for account in early.accounts():
            view = early.as_of(account, position=ends[2])
            early.forget(account)
            early._views[account] = view
        moved(path, ends[9] + 1, tmp_path / "archive")
        early.catch_up()
        for account, view in views(path).items():
            assert early.account(account) == view
    finally:
        reader.close()


def test_one_account_can_be_archived_alone(path: Path, tmp_path: Path) -> None:
    """The other accounts keep all of their records."""
    ends = lived(path)
    assert {one.account for one in moved(path, ends[3], tmp_path / "archive", "second")} == {
        "second"
    }
    with SQLiteStore.open(path) as store:
        assert next(store.read_stream("main")).version == 1
        assert store.archived("main") is None
        assert verify(store).ok


def test_a_record_is_forbidden_to_go_as_before(path: Path, tmp_path: Path) -> None:
    """After an archive the triggers stand as in a new file, and the schema is the same."""
    lived(path, 3)
    other = tmp_path / "other.db"
    SQLiteStore.open(other).close()
    moved(path, 10_000, tmp_path / "archive")
    schemas = []
    for file in (path, other):
        connection = sqlite3.connect(file)
        schemas.append(connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall())
        connection.close()
    assert schemas[0] == schemas[1]
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM records")
    connection.close()


def archived_store(path: Path, folder: Path) -> SQLiteStore:
    """A store with an archive, open."""
    ends = lived(path)
    moved(path, ends[5] + 1, folder)
    return SQLiteStore.open(path)


def test_nothing_goes_without_its_proof(path: Path, tmp_path: Path) -> None:
    """Records stay unless the record that stands for them is stored and its bundle is the one."""
    folder = tmp_path / "archive"
    with archived_store(path, folder) as store:
        record = store.archived("main")
        assert record is not None
        count = sum(1 for _ in store.read_all())
        bundle = next(folder.glob("*.main.*"))
        data = bundle.read_bytes()
        bundle.write_bytes(gzip.compress(gzip.decompress(data), 9, mtime=0))
        with pytest.raises(BadBundle):
            store.release(record, str(bundle))
        with pytest.raises(BadBundle):
            store.release(record, str(next(folder.glob("*.second.*"))))
        bundle.unlink()
        with pytest.raises(BadBundle):
            store.release(record, str(bundle))
        with pytest.raises(BadBundle):
            audit_archives(store, folder, {})
        bundle.write_bytes(data)
        other = next(store.read_stream("main", archive_of(record).last))
        with pytest.raises((InvalidRecord, Corrupt)):
            store.release(other, str(bundle))
        with pytest.raises(InvalidRecord):
            store.release(msgspec.structs.replace(record, at=1), str(bundle))
        assert sum(1 for _ in store.read_all()) == count


def test_the_id_follows_from_what_it_stands_for() -> None:
    """No two logs, streams or ends have a record of one id, and it is a UUID of version 8."""
    ids = {
        archive_id(log, stream, last)
        for log in (bytes(16), b"1" * 16)
        for stream in ("a", "a1")
        for last in (1, 11, 111)
    }
    assert len(ids) == 12
    assert {(one[6] >> 4, one[8] >> 6, len(one)) for one in ids} == {(8, 2, 16)}


def test_a_long_log_stays_small(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is archived now and then has the size of what came last, however old it is."""
    # A snapshot is full after a few rounds then, as it is after 100 gaps and replies else.
    monkeypatch.setattr(projections_archived, "KEPT_MAX", 10)
    sizes = []
    lived(path, 30)
    whole = path.stat().st_size
    for number in range(3):
        moved(path, 100_000, tmp_path / "archive")
        sizes.append(path.stat().st_size)
        with Bench(path, seed=number + 2) as bench:
            for more in range(30):
                again(bench, 1_000 * (number + 1) + more)
    assert max(sizes) < whole // 2
    assert audited(path, tmp_path / "archive")[0]
