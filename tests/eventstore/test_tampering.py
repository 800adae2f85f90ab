"""Ten ways to tamper with a log, and what shows each; the pages say the same.

Each is tried on a log whose anchors stand beside it and have been copied elsewhere. `chains` are
what the log shows by itself, `own` with the anchors beside it, `copy` with those that left.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from linewarden.eventstore import VaultEntry, chain
from linewarden.eventstore.anchors import anchors_path
from linewarden.eventstore.report import Report
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.eventstore.verify import verify

from .anchoring import audit, compute_anew, fill, tamper
from .material import Make

ENTRY = VaultEntry("idn_1", "identity", "15550100001@c.us", b"s" * 16)


@pytest.fixture
def log(path: Path, make: Make) -> Path:
    """A log of 41 records, 40 of them anchored in four steps; its anchors lie in `copy` too."""
    promise = {ENTRY.token: chain.commitment(ENTRY.salt, ENTRY.kind, ENTRY.value).hex()}
    with SQLiteStore.open(path) as store:
        store.append("line-0", [make(commitments=promise)], vault=[ENTRY])
    fill(path, 4, make)
    shutil.copy(anchors_path(path), copy_of(path))
    return path


def copy_of(path: Path) -> Path:
    return path.with_suffix(".copy")


def alone(path: Path) -> Report:
    """What the log shows by itself."""
    with SQLiteReader.open(path) as reader:
        return verify(reader)


def position_of(path: Path, stream: str, version: int) -> int:
    with SQLiteReader.open(path) as reader:
        return next(reader.read_stream(stream, version - 1, version)).position


EDIT = "UPDATE records SET record = replace(record, 'dial', 'dine') WHERE position = 24"


def test_1_an_edited_record(log: Path) -> None:
    """An edited record is caught by its leaf."""
    tamper(log, EDIT)
    report = alone(log)
    assert (report.ok, report.first_bad_position, report.last_good_position) == (False, 24, 23)
    assert audit(log).last_good_anchor == audit(log, copy_of(log)).last_good_anchor
    anchor = audit(log).last_good_anchor
    assert anchor is not None and anchor.position == 21


@pytest.mark.parametrize("position", [1, 24, 40])
def test_2_a_deleted_record(log: Path, position: int) -> None:
    """A deleted record is caught by the gap in the positions, whichever it is but the newest."""
    tamper(log, f"DELETE FROM records WHERE position = {position}")
    assert (alone(log).ok, alone(log).first_bad_position) == (False, position)


def test_2_a_deleted_record_whose_gap_was_closed(log: Path) -> None:
    """Where all later positions were moved up, the version or the chain of its stream shows it."""
    tamper(
        log,
        "DELETE FROM records WHERE position = 24",
        "UPDATE records SET position = -position WHERE position > 24",
        "UPDATE records SET position = -position - 1 WHERE position < 0",
    )
    assert not alone(log).ok and (alone(log).first_bad_position or 0) >= 24


def swap(log: Path, one: int, other: int) -> None:
    """Swap the positions of two records."""
    tamper(
        log,
        f"UPDATE records SET position = 1000 WHERE position = {one}",
        f"UPDATE records SET position = {one} WHERE position = {other}",
        f"UPDATE records SET position = {other} WHERE position = 1000",
    )


def test_3_swapped_records_of_one_account(log: Path) -> None:
    """Two records of one account that changed places are caught by their versions and chain."""
    one, other = position_of(log, "line-1", 3), position_of(log, "line-1", 4)
    swap(log, one, other)
    assert (alone(log).ok, alone(log).first_bad_position) == (False, one)


def test_3_swapped_records_of_two_accounts(log: Path) -> None:
    """Neighbours of two accounts swapped are caught where an anchor lies between, else not."""
    swap(log, 23, 24)
    assert alone(log).ok and audit(log).ok and audit(log, copy_of(log)).ok
    swap(log, 31, 32)
    assert alone(log).ok
    assert (audit(log).ok, audit(log).first_bad_position) == (False, 22)
    assert not audit(log, copy_of(log)).ok


def test_4_records_cut_off_the_end(log: Path) -> None:
    """Records cut off the end are caught by an anchor of them, and by nothing else."""
    tamper(log, "DELETE FROM records WHERE position > 35")
    assert alone(log).ok
    for report in (audit(log), audit(log, copy_of(log))):
        assert (report.ok, report.first_bad_position, report.last_good_position) == (False, 36, 35)
        assert report.last_good_anchor is not None and report.last_good_anchor.position == 31


def test_4_records_after_the_last_anchor_cut_off(log: Path, make: Make) -> None:
    """Not caught: records cut off that no anchor had been taken of yet."""
    with SQLiteStore.open(log) as store:
        store.append("line-1", [make(), make()])
    tamper(log, "DELETE FROM records WHERE position > 41")
    assert alone(log).ok and audit(log).ok and audit(log, copy_of(log)).ok


def test_4_records_cut_off_with_their_anchors(log: Path) -> None:
    """Cut off in both files, it shows in the copy that left, and only there."""
    tamper(log, "DELETE FROM records WHERE position > 31")
    own = Path(anchors_path(log))
    own.write_bytes(b"".join(own.read_bytes().splitlines(keepends=True)[:3]))
    assert alone(log).ok and audit(log).ok
    assert (audit(log, copy_of(log)).ok, audit(log, copy_of(log)).first_bad_position) == (False, 32)


def test_5_a_chain_computed_anew(log: Path) -> None:
    """An edit with its chain computed anew is caught by the anchors, between two of which it is."""
    tamper(log, EDIT.replace("24", str(position_of(log, "line-1", 10))))
    compute_anew(log)
    assert alone(log).ok
    for report in (audit(log), audit(log, copy_of(log))):
        assert (report.ok, report.stream, report.first_bad_position) == (False, "line-1", 22)
        assert report.last_good_anchor is not None and report.last_good_anchor.position == 21


def test_5_a_chain_and_the_anchors_computed_anew(log: Path, tmp_path: Path, make: Make) -> None:
    """With anchors made anew as well, it is caught by the copy that left, and only by it."""
    tamper(log, EDIT.replace("24", str(position_of(log, "line-1", 10))))
    compute_anew(log)
    Path(anchors_path(log)).unlink()
    fill(log, 1, make)
    assert alone(log).ok and audit(log).ok and audit(log).anchors == 1
    assert not audit(log, copy_of(log)).ok


def test_6_a_record_from_another_log(log: Path, tmp_path: Path, make: Make) -> None:
    """A record, or a whole account, of another log is caught: chains begin with the log's id."""
    other = tmp_path / "other.db"
    with SQLiteStore.open(other) as store:
        store.append("line-0", [make()])
    fill(other, 4, make)
    tamper(
        log,
        f"ATTACH '{other}' AS other",
        "DELETE FROM records WHERE stream = 2",
        "INSERT INTO records SELECT * FROM other.records WHERE stream = 2",
    )
    first = position_of(log, "line-1", 1)
    assert (alone(log).ok, alone(log).first_bad_position) == (False, first)


def test_6_a_whole_other_log_in_its_place(log: Path, tmp_path: Path, make: Make) -> None:
    """Another log in this one's place is caught by anchors that stayed or left; both exchanged,
    by those that left.
    """
    other = tmp_path / "other.db"
    fill(other, 5, make)
    shutil.copy(other, log)
    assert alone(log).ok
    assert "another log" in (audit(log).reason or "")
    shutil.copy(anchors_path(other), anchors_path(log))
    assert audit(log).ok
    assert "another log" in (audit(log, copy_of(log)).reason or "")


@pytest.mark.parametrize("change", ["value = '15550100002@c.us'", "salt = x'00'", "kind = 'chat'"])
def test_7_an_edited_vault(log: Path, change: str) -> None:
    """A changed value, salt or kind of the vault is caught by the commitment in the record."""
    tamper(log, f"UPDATE vault SET {change}")
    assert (alone(log).ok, alone(log).first_bad_position) == (False, 1)


def test_7_a_deleted_value(log: Path) -> None:
    """Not a fault: a value that is gone was erased, which is allowed and counted."""
    tamper(log, "DELETE FROM vault")
    assert (alone(log).ok, alone(log).commitments, alone(log).erased) == (True, 1, 1)


@pytest.mark.parametrize(
    "change", ["type = 9", "at = at + 1", "state = NULL", "reply = 'r9'", "version = version + 9"]
)
def test_8_an_edited_column(log: Path, change: str) -> None:
    """A column that says other than the hashed bytes is caught at its record."""
    tamper(
        log,
        "INSERT INTO types VALUES (9, 'opened')",
        f"UPDATE records SET {change} WHERE position = 24",
    )
    assert (alone(log).ok, alone(log).first_bad_position) == (False, 24)


def test_8_an_edited_id(log: Path) -> None:
    """Not caught: the id of a record is not among the hashed bytes; no state is made from it."""
    tamper(log, "UPDATE records SET id = randomblob(16) WHERE position = 24")
    assert alone(log).ok and audit(log).ok and audit(log, copy_of(log)).ok


EDITS: list[tuple[Callable[[list[bytes]], list[bytes]], bool]] = [
    (lambda lines: lines[1:], False),
    (lambda lines: [*lines[:1], *lines[2:]], False),
    (lambda lines: [lines[0].replace(b'"at":17', b'"at":16'), *lines[1:]], False),
    (lambda lines: [*lines[:3], lines[3].replace(b'"chain":"', b'"chain":"0', 1)], False),
    (lambda lines: [*lines[:3], lines[3].replace(b'"version":', b'"version":1', 1)], False),
    (lambda lines: [*lines[:3], lines[3].replace(b'"at":17', b'"at":16')], True),
    (lambda lines: lines[:3], True),
    (lambda _: [], True),
]


@pytest.mark.parametrize(("edit", "ok"), EDITS)
def test_9_edited_anchors(log: Path, edit: Callable[[list[bytes]], list[bytes]], ok: bool) -> None:
    """An anchor that was changed or removed is caught by the next one or by the log itself.

    Not caught in an unsigned file: the newest one's time, and newest ones that are gone.
    """
    own = Path(anchors_path(log))
    own.write_bytes(b"".join(edit(own.read_bytes().splitlines(keepends=True))))
    assert audit(log).ok is ok
    assert alone(log).ok and audit(log, copy_of(log)).ok


@pytest.mark.parametrize("more", ['"schema":1', '"zzz":1', '"a":1.5'])
def test_10_json_of_another_hand(log: Path, more: str) -> None:
    """Keys twice or unsorted, or a float: caught by the leaf, and computed anew all the same."""
    edit = f"UPDATE records SET record = '{{{more},' || substr(record, 2) WHERE position = "
    tamper(log, edit + "24")
    assert (alone(log).ok, alone(log).first_bad_position) == (False, 24)
    for stream in ("line-0", "line-1", "line-2"):
        compute_anew(log, stream)
    report = alone(log)
    assert (report.ok, report.first_bad_position) == (False, 24)
    assert "a key may stand there twice" in (report.reason or "")
