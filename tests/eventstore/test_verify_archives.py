"""Anchors that were taken of records which are archived now: what they prove, and with what."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore import VaultEntry, chain
from linewarden.eventstore.anchor import Anchor, Point, line_of
from linewarden.eventstore.anchors import anchors_path, read_anchors
from linewarden.eventstore.report import Report
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.eventstore.verify import verify
from linewarden.eventstore.verify_archive import audit_archives
from linewarden.tools.cli_verify import UNANCHORED
from linewarden.tools.cli_verify import verify as command

from .anchoring import AT
from .archives import lived, moved


@pytest.fixture
def ends(path: Path, tmp_path: Path) -> list[int]:
    """A log with an anchor after each of nine rounds, of which the first five are archived."""
    ends = lived(path, 9)
    anchor(path, ends)
    moved(path, ends[1] + 1, tmp_path / "archive")
    moved(path, ends[4] + 1, tmp_path / "archive")
    return ends


def anchor(path: Path, positions: Sequence[int]) -> None:
    """Anchors as a service would have taken them at these positions."""
    heads: dict[str, Point] = {}
    anchors = []
    with SQLiteReader.open(path) as reader:
        log = reader.log_id.hex()
        for record in reader.read_all():
            heads[record.stream] = Point(record.version, record.chain.hex())
            if record.position in positions:
                said = dict(heads)
                at = AT + record.position
                anchors.append(
                    Anchor(at=at, heads=said, log=log, position=record.position, previous=None)
                )
    write(Path(anchors_path(path)), anchors)


def write(file: Path, anchors: Sequence[Anchor]) -> Path:
    """A file of anchors, each with the hash of the one before."""
    previous, lines = None, []
    for one in anchors:
        lines.append(line_of(msgspec.structs.replace(one, previous=previous)))
        previous = chain.anchor(lines[-1]).hex()
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return file


def taken(path: Path) -> list[Anchor]:
    """The anchors beside a log."""
    with SQLiteReader.open(path) as reader:
        return list(read_anchors(anchors_path(path), reader.log_id.hex(), copy=False))


def audit(path: Path, anchors: Sequence[Anchor], archives: Path | None = None) -> Report:
    """Verify with these anchors, by both ways of walking a log."""
    with SQLiteReader.open(path) as reader:
        reports = [
            verify(reader, columns=columns, anchors=anchors, archives=archives and str(archives))
            for columns in (True, False)
        ]
    assert reports[0].ok == reports[1].ok and reports[0].anchors == reports[1].anchors
    return reports[0]


def told(path: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["--file", str(path), *words])


def edited(anchor: Anchor, stream: str) -> Anchor:
    """The anchor with another chain for a stream."""
    other = Point(anchor.heads[stream].version, "0" * 64)
    return msgspec.structs.replace(anchor, heads={**anchor.heads, stream: other})


def test_an_anchor_from_before_the_archive_counts_by_the_bundles(
    path: Path, tmp_path: Path, ends: list[int]
) -> None:
    """Without the bundles only what the log still has is anchored; with them, all of it."""
    anchors = taken(path)
    alone = audit(path, anchors)
    # The log has the head after the fifth round still: the record of the archive tells it.
    assert (alone.ok, alone.anchors, alone.proven) == (True, 5, None)
    proven = audit(path, anchors, tmp_path / "archive")
    assert (proven.ok, proven.anchors) == (True, 9)
    assert proven.proven == proven.archived > 0
    assert proven.last_good_anchor == alone.last_good_anchor
    assert proven.last_good_anchor is not None
    assert proven.last_good_anchor.position == ends[-1]


def test_only_anchors_from_before_prove_nothing_alone(
    path: Path, tmp_path: Path, ends: list[int]
) -> None:
    """Exit code 3 says that nothing vouches for the log; with the bundles the newest one does."""
    write(Path(anchors_path(path)), taken(path)[:4])
    assert told(path).exit_code == 0
    alone = told(path, "--require-anchor")
    assert alone.exit_code == UNANCHORED and "unanchored" in alone.output
    proven = told(path, "--require-anchor", "--archives", str(tmp_path / "archive"))
    assert proven.exit_code == 0, proven.output
    assert f"last good anchor: position {ends[3]}" in proven.output


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("stream", ["main", "second"])
def test_an_edited_anchor_of_archived_records_is_found_by_the_bundles(
    path: Path, tmp_path: Path, ends: list[int], number: int, stream: str
) -> None:
    """What the anchor says is not what the bundle holds, or the bundle is not what was anchored."""
    anchors = taken(path)
    anchors[number] = edited(anchors[number], stream)
    assert audit(path, anchors).ok
    report = audit(path, anchors, tmp_path / "archive")
    assert not report.ok
    version = anchors[number].heads[stream].version
    assert report.reason == (
        f"version {version} of {stream}, which is archived, is not what was anchored"
    )


@pytest.mark.parametrize("number", range(4, 9))
def test_an_edited_anchor_of_what_is_left_is_found_by_the_log(
    path: Path, ends: list[int], number: int
) -> None:
    """The head at the end of the archive is known to the log, and every one after it."""
    anchors = taken(path)
    anchors[number] = edited(anchors[number], "main")
    report = audit(path, anchors)
    assert not report.ok and "not what was anchored" in (report.reason or "")


def test_anchors_that_contradict_each_other_are_found(path: Path, ends: list[int]) -> None:
    """Two that say another chain of one archived version can't both be of this log."""
    anchors = taken(path)
    report = audit(path, [anchors[0], edited(anchors[0], "main"), *anchors[1:]])
    assert not report.ok


def test_a_record_moved_into_the_archive_is_found_by_the_bundles(
    path: Path, tmp_path: Path
) -> None:
    """A position that an archived record left is not free for another one."""
    end = lived(path, 9)[4]
    moved(path, end + 1, tmp_path / "archive", account="main")
    with SQLiteReader.open(path) as reader:
        kept = [record.position for record in reader.read_all()]
    hole = next(one for one in range(kept[0] + 1, kept[-1]) if one not in kept)
    before = max(one for one in kept if one < hole)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER records_are_never_updated")
        connection.execute("UPDATE records SET position = ? WHERE position = ?", (hole, before))
    proven = told(path, "--archives", str(tmp_path / "archive"))
    assert proven.exit_code == 1
    assert "the position of an archived one" in proven.output


def test_an_archive_that_runs_meanwhile_is_no_alarm(
    path: Path, tmp_path: Path, ends: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links that another process adds while the bundles are read are not those of tampering."""
    folder = tmp_path / "archive"
    waiting = [ends[6] + 1]
    read = SQLiteReader.vault_entries

    def racing(reader: SQLiteReader, tokens: Iterable[str]) -> dict[str, VaultEntry]:
        if waiting:
            moved(path, waiting.pop(), folder)
        return read(reader, tokens)

    monkeypatch.setattr(SQLiteReader, "vault_entries", racing)
    with SQLiteReader.open(path) as reader:
        assert audit_archives(reader, folder, {}) > 0
    assert not waiting


def test_a_bundle_that_is_missing_is_told(path: Path, tmp_path: Path, ends: list[int]) -> None:
    """The anchors of what it held do not count, and the log is not intact with these bundles."""
    next((tmp_path / "archive").glob("*.main.1-*")).unlink()
    report = audit(path, taken(path), tmp_path / "archive")
    assert (report.ok, report.anchors, report.proven) == (False, 5, None)
    assert told(path, "--archives", str(tmp_path / "archive")).exit_code == 1
    assert told(path, "--archives", str(tmp_path / "nowhere")).exit_code == 2


def test_a_log_without_archives_needs_no_bundle(path: Path, tmp_path: Path) -> None:
    """Nothing is archived, so nothing is missing; a folder that isn't there is bad input."""
    ends = lived(path, 2)
    anchor(path, ends)
    (tmp_path / "empty").mkdir()
    assert told(path, "--archives", str(tmp_path / "empty")).exit_code == 0
    assert told(path, "--archives", str(tmp_path / "nowhere")).exit_code == 2
