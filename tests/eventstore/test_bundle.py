"""A bundle holds what was recorded, byte by byte, and reads back or is not written."""

import errno
import fcntl
import gzip
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.eventstore import codec
from linewarden.eventstore.bundle_format import BadBundle, Bundle, Trailer, event_line, table_hash
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.bundle_writing import write_bundle
from linewarden.eventstore.kind import FileExists
from linewarden.statemachine.account import Account, Reply
from linewarden.statemachine.errors import LinewardenError
from linewarden.statemachine.identity import Identity
from linewarden.statemachine.lifecycle import TABLE, State

from .bundles import ACCOUNT, LOG, bundle, chained, joined, lines
from .material import Make


def save(path: Path, made: Bundle, **more: Any) -> Path:
    write_bundle(path, made.header, made.records, made.trailer, **more)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.incident.jsonl.gz"


@pytest.mark.parametrize(("count", "after"), [(1, 0), (3, 0), (5, 4), (1, 1)])
def test_what_was_written_is_read(place: Path, count: int, after: int) -> None:
    """A bundle that begins with the first record, or later, reads back equal."""
    made = bundle(count, after=after)
    assert read_bundle(save(place, made)) == made


def test_the_bytes_of_a_record_are_those_that_were_hashed(place: Path) -> None:
    """Encoding the data of a line again gives the record's bytes."""
    made = bundle()
    rows = gzip.decompress(save(place, made).read_bytes()).splitlines()
    for row, record in zip(rows[1:-1], made.records, strict=True):
        assert codec.encode(codec.decode(row)["data"]) == record.body


def test_a_line_is_a_cloud_event() -> None:
    """A record's line has the attributes of CloudEvents 1.0, each in its form."""
    [record] = bundle(1).records
    line = event_line(record, LOG.hex())
    assert codec.is_canonical(line)
    event = json.loads(line)
    assert event["specversion"] == "1.0"
    assert event["type"] == "linewarden.closed"
    assert event["source"] == f"urn:linewarden:{LOG.hex()}"
    assert (event["subject"], event["datacontenttype"]) == (ACCOUNT, "application/json")
    assert event["id"] == "00000000-0000-7000-0000-000000000001"
    assert event["time"] == "2025-10-09T08:53:20.001000000Z"
    assert (event["version"], event["position"]) == (1, 1)
    assert event["chain"] == record.chain.hex()
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)


def test_the_same_incident_is_the_same_bytes(tmp_path: Path) -> None:
    """Neither the name nor the time of a file stands in it, and only its owner reads it."""
    one, other = (save(tmp_path / name, bundle()) for name in ("one.gz", "other.gz"))
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes()[3:8] == bytes(5)
    assert stat.S_IMODE(one.stat().st_mode) == 0o600


def test_the_state_before_is_an_account(place: Path) -> None:
    """The snapshot comes back as the account that it was, with everything that it holds."""
    before = Account(
        epoch=1,
        controller="A",
        state=State.CONNECTED,
        proven=Identity("idn_1"),
        overrides={"preset": "openclaw", "initial_s": "2.5"},
        replies={"r1": Reply("chat_1", 7)},
    )
    snapshot = msgspec.to_builtins(before)
    made = bundle(2, after=1, snapshot=snapshot, policy=snapshot["overrides"])
    opened = read_bundle(save(place, made))
    assert opened.before == before
    assert opened.before.policy.initial_s == 2.5


def test_the_state_of_a_record_follows_from_those_before(place: Path) -> None:
    """A record that changes no state has the one before it, from the snapshot on."""
    make = Make()
    silent = {"rule": "late"}
    first = make()
    rest = [make(outcome=silent), make(state="closed"), make(outcome=silent, state="closed")]
    records = chained([first, *rest])
    made = bundle(3, after=1)
    trailer = Trailer(3, msgspec.structs.replace(made.trailer.head, chain=records[-1].chain.hex()))
    before = msgspec.structs.replace(made.header.before, chain=records[0].chain.hex())
    header = msgspec.structs.replace(made.header, before=before)
    states = [record.state for record in records[1:]]
    assert states == ["reconnect_gap", "closed", "closed"]
    assert read_bundle(save(place, Bundle(header, records[1:], trailer))).records == records[1:]


def test_a_file_is_not_overwritten(place: Path) -> None:
    """A file that is there, or a link to nowhere, stays as it is until it may be replaced."""
    save(place, bundle(1))
    with pytest.raises(FileExists, match="There is a file"):
        save(place, bundle())
    assert len(read_bundle(place).records) == 1
    assert len(read_bundle(save(place, bundle(), replace=True)).records) == 3
    place.unlink()
    place.symlink_to(place.with_name("nowhere"))
    with pytest.raises(FileExists):
        save(place, bundle())
    assert os.listdir(place.parent) == [place.name]


def test_only_a_bundle_makes_room_for_a_bundle(place: Path) -> None:
    """A log, a key, a folder and a pipe stay whatever is said; an empty file may be replaced."""
    for content, what in ((b"SQLite format 3\0", "a log"), (b"-----BEGIN", "no bundle")):
        place.write_bytes(content)
        with pytest.raises(FileExists, match=f"is {what}"):
            save(place, bundle(), replace=True)
        assert place.read_bytes() == content
    pipe = place.with_name("pipe")
    os.mkfifo(pipe)
    for other in (place.parent, pipe):
        with pytest.raises(FileExists, match="is no plain file"):
            save(other, bundle(), replace=True)
    place.write_bytes(b"")
    assert read_bundle(save(place, bundle(), replace=True)) == bundle()


def test_what_would_not_read_back_is_not_written(place: Path) -> None:
    """Records that don't follow one another leave no file, not even half of one."""
    made = bundle()
    wrong = Bundle(made.header, made.records[::-1], made.trailer)
    with pytest.raises(BadBundle, match="make no bundle") as caught:
        save(place, wrong)
    assert caught.value.position == made.records[-1].position
    assert "verify" in caught.value.hint
    assert not os.listdir(place.parent)


def test_a_write_that_fails_leaves_nothing(place: Path) -> None:
    """A folder that is not there, or records that break off, leave no file behind."""
    made = bundle()
    with pytest.raises(LinewardenError, match="can't be written"):
        save(place.parent / "nowhere" / "x.gz", made)
    with pytest.raises(ZeroDivisionError):
        write_bundle(place, made.header, (1 // 0 for _ in "x"), made.trailer)
    assert not os.listdir(place.parent)


WRITER = """
import sys, threading
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.bundle_writing import write_bundle
made = read_bundle(sys.argv[1])
def slowly():
    yield from made.records[:1]
    print("begun", flush=True)
    threading.Event().wait()
write_bundle(sys.argv[2], made.header, slowly(), made.trailer, replace=True)
"""


@pytest.fixture
def writer(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is in the middle of writing a bundle, while one of the name is there."""
    save(place, bundle(1))
    other = save(place.with_name("other.gz"), bundle())
    command = [sys.executable, "-c", WRITER, str(other), str(place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_a_killed_write_leaves_what_the_next_one_takes(
    place: Path, writer: subprocess.Popen[str]
) -> None:
    """The bundle before stays whole; the unfinished one is hidden, private and then gone."""
    writer.kill()
    writer.wait()
    beside = place.with_name(f".{place.name}.part")
    assert sorted(os.listdir(place.parent)) == [beside.name, "other.gz", place.name]
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert len(read_bundle(place).records) == 1
    beside.chmod(0o644)
    beside.write_bytes(b"x" * 1_000_000)
    save(place, bundle(2), replace=True)
    assert sorted(os.listdir(place.parent)) == ["other.gz", place.name]
    assert len(read_bundle(place).records) == 2
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_two_do_not_write_one_bundle_at_once(place: Path, writer: subprocess.Popen[str]) -> None:
    """Whoever comes second is told to wait, and disturbs neither the file nor the writer."""
    with pytest.raises(LinewardenError, match="being written by another process"):
        save(place, bundle(2), replace=True)
    assert writer.poll() is None
    assert place.with_name(f".{place.name}.part").exists()
    assert len(read_bundle(place).records) == 1


def test_what_is_in_the_way_is_not_emptied(place: Path) -> None:
    """A link where the unfinished bundle would be is left; a file of two names keeps the other."""
    beside, log = place.with_name(f".{place.name}.part"), place.with_name("log.db")
    log.write_bytes(b"precious")
    beside.symlink_to(log)
    with pytest.raises(LinewardenError):
        save(place, bundle())
    assert log.read_bytes() == b"precious" and not place.exists()
    beside.unlink()
    beside.hardlink_to(log)
    assert read_bundle(save(place, bundle())) == bundle()
    assert log.read_bytes() == b"precious" and not beside.exists()


def test_what_became_a_bundle_meanwhile_is_not_emptied(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opened the unfinished file of a writer that has just ended begins one anew."""
    beside, lock = place.with_name(f".{place.name}.part"), fcntl.flock
    other = place.with_name("other")
    beside.write_bytes(b"whole")

    def end(number: int, how: int) -> None:
        if not other.exists():
            beside.rename(other)
        lock(number, how)

    monkeypatch.setattr(fcntl, "flock", end)
    assert read_bundle(save(place, bundle())) == bundle()
    assert other.read_bytes() == b"whole" and not beside.exists()


def test_a_file_system_without_locks_will_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be locked, a bundle is written all the same."""

    def no_locks(_number: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert read_bundle(save(place, bundle())) == bundle()


def test_a_table_has_a_hash_of_its_own() -> None:
    """Every single row counts, and what its names are; the same rows have the same hash."""
    mutated = [table_hash([*TABLE[:place], *TABLE[place + 1 :]]) for place in range(len(TABLE))]
    mutated += [table_hash([TABLE[0]._replace(rule="claim.other"), *TABLE[1:]])]
    assert len({table_hash(), *mutated}) == len(TABLE) + 2
    assert table_hash(list(TABLE)) == table_hash()


@given(st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """A bundle in which one byte of any line was changed does not read back as it was."""
    made = bundle(after=1)
    content = bytearray(joined(lines(made)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("changed") / "x.gz"
    path.write_bytes(gzip.compress(bytes(content), mtime=0))
    with suppress(BadBundle):
        opened = read_bundle(path)
        # No chain holds what the exporter says of himself and of the state before, nor a record's
        # id and position.
        assert opened != made
        for record, written in zip(opened.records, made.records, strict=True):
            unproven = {"id": written.id, "position": written.position}
            assert msgspec.structs.replace(record, **unproven) == written
