"""A bundle holds what was recorded, byte by byte, and reads back or is not written."""

import gzip
import json
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.eventstore import codec
from linewarden.eventstore.bundle import (
    BadBundle,
    Bundle,
    FileExists,
    Trailer,
    event_line,
    read_bundle,
    table_hash,
    write_bundle,
)
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
    """What may be replaced is a bundle: a log, or a folder, stays whatever is said."""
    place.write_bytes(b"SQLite format 3\0")
    with pytest.raises(FileExists, match="is no bundle"):
        save(place, bundle(), replace=True)
    assert place.read_bytes() == b"SQLite format 3\0"
    with pytest.raises(FileExists, match="is no bundle"):
        save(place.parent, bundle(), replace=True)


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
