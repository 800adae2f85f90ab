"""A bundle from elsewhere that means harm is refused: soon, with little memory, and clearly."""

import gzip
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linewarden.eventstore import codec
from linewarden.eventstore.anchor import Point
from linewarden.eventstore.bundle_format import (
    LINE_BYTES_MAX,
    BadBundle,
    Bundle,
    FutureSchema,
    Trailer,
)
from linewarden.eventstore.bundle_reading import read_bundle

from .bundles import bundle, chained, joined, lines, packed, write
from .material import Make

REFUSED_WITHIN_S = 0.1
MEMORY_BYTES_MAX = 32 << 20
MIB = 1 << 20
Rows = list[bytes]
JID = "15550100077@s.whatsapp.net"


def inflating(start: bytes, filling: bytes, mib: int = 256) -> bytes:
    """A gzip that inflates to so many MiB of a filling."""
    pack = zlib.compressobj(1, wbits=31)
    filled = filling * (MIB // len(filling))
    parts = [pack.compress(start), *(pack.compress(filled) for _ in range(mib)), pack.flush()]
    return b"".join(parts)


def changed(row: bytes, **fields: Any) -> bytes:
    """A line with other fields, canonical as before."""
    return codec.encode(codec.decode(row) | fields)


def in_data(row: bytes, **fields: Any) -> bytes:
    """A record's line with other fields in its record."""
    return changed(row, data=codec.decode(row)["data"] | fields)


def of_many_fields(count: int) -> bytes:
    """A bundle whose first record has so many fields."""
    return packed(joined([HEADER, in_data(FIRST, **fields(count)), *ROWS[2:]]))


def fields(count: int) -> dict[str, int]:
    """An object of many fields."""
    return {f"{number:07x}": 1 for number in range(count)}


ROWS = lines(bundle())
HEADER, FIRST, SECOND, THIRD, TRAILER = ROWS
WHOLE = packed(joined(ROWS))
NESTED = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
LISTS = b"[" * 900 + b"]" * 900
OTHER = lines(bundle(log=bytes(16).hex(), first=1))

FILES: dict[str, tuple[bytes | Callable[[], bytes], str]] = {
    "nothing at all": (b"", "not packed by gzip"),
    "no gzip": (joined(ROWS), "not packed by gzip"),
    "an empty gzip": (packed(b""), "line 1: is missing"),
    "a bomb of zeros": (partial(inflating, b"", b"\0"), "longer than"),
    "a bomb of empty lines": (partial(inflating, b"", b"\n"), "no JSON"),
    "a bomb behind the header": (partial(inflating, HEADER + b"\n", b"a"), "longer than"),
    "a bomb of one record": (
        partial(inflating, HEADER + b"\n", FIRST + b"\n"),
        "not the next record",
    ),
    "a bomb behind the trailer": (partial(inflating, joined(ROWS), b"\0"), "longer than"),
    "cut in the gzip": (WHOLE[:-9], "cut off"),
    "cut in its first bytes": (WHOLE[:12], "cut off"),
    "a wrong checksum": (WHOLE[:-8] + bytes(8), "damaged"),
    "garbage in the gzip": (WHOLE[:40] + bytes(40) + WHOLE[80:], "damaged|canonical|cut"),
    "garbage after it": (WHOLE + b"\0", "more follows"),
    "two gzips": (WHOLE + WHOLE, "more follows"),
    "its lines in two gzips": (
        packed(joined(ROWS[:2])) + packed(joined(ROWS[2:])),
        "line 3: is missing|more follows",
    ),
    "a path in the gzip": (
        WHOLE[:3] + b"\x08" + WHOLE[4:10] + b"../../etc/passwd\0" + WHOLE[10:],
        "carries a name",
    ),
    "a million fields": (partial(of_many_fields, 1_000_000), "longer than"),
    "as many fields as fit": (partial(of_many_fields, 85_000), "hashed into the chain"),
    "a last line that was cut": (packed(joined(ROWS)[:-1]), "is missing|cut off"),
}

LINES: dict[str, tuple[Rows, str]] = {
    "no header": (ROWS[1:], "no header"),
    "no trailer": (ROWS[:-1], "is missing"),
    "no record": ([HEADER, TRAILER], "holds no record"),
    "a record missing": ([HEADER, FIRST, THIRD, TRAILER], "not the next record"),
    "the last one missing": ([HEADER, FIRST, SECOND, TRAILER], "holds no record"),
    "a record twice": ([HEADER, FIRST, FIRST, SECOND, TRAILER], "not the next record"),
    "records swapped": ([HEADER, SECOND, FIRST, THIRD, TRAILER], "not the next record"),
    "one record too many": ([*ROWS[:-1], THIRD, TRAILER], "is no trailer"),
    "another trailer": ([*ROWS, TRAILER], "goes on after"),
    "an empty line": ([HEADER, b"", *ROWS[1:]], "holds no record"),
    "a line that is a list": ([b"[1]", *ROWS[1:]], "no JSON"),
    "lines of Windows": ([row + b"\r" for row in ROWS], "canonical"),
    "a header of many fields": ([changed(HEADER, snapshot=fields(85_000)), *ROWS[1:]], "no header"),
    "a header of many links": (
        [changed(HEADER, snapshot={"links": fields(80_000)}), *ROWS[1:]],
        "no account",
    ),
    "a deep header": ([NESTED, *ROWS[1:]], "no JSON"),
    "a deep record": ([HEADER, NESTED, *ROWS[2:]], "holds no record"),
    "deep data": (
        [HEADER, FIRST.replace(b'"data":{', b'"data":{"a":' + NESTED + b","), *ROWS[2:]],
        "holds no record",
    ),
    "deep lists": (
        [HEADER, FIRST.replace(b'"data":{', b'"data":{"a":' + LISTS + b","), *ROWS[2:]],
        "hashed into the chain|holds no record",
    ),
    "no UTF-8 in the header": ([HEADER.replace(b"support", b"supp\xffrt"), *ROWS[1:]], "no JSON"),
    "no UTF-8 in a record": (
        [HEADER, FIRST.replace(b'"closed"', b'"clos\xff\xfe"'), *ROWS[2:]],
        "no record|chain",
    ),
    "half a character": ([HEADER.replace(b"support", b"\\ud800"), *ROWS[1:]], "no JSON"),
    "a path as an account": ([changed(HEADER, account="../../etc/passwd"), *ROWS[1:]], "name of"),
    "a number as an account": ([changed(HEADER, account=JID), *ROWS[1:]], "name of"),
    "a changed record": ([HEADER, in_data(FIRST, epoch=2), *ROWS[2:]], "hashed into the chain"),
    "a schema of before": ([HEADER, in_data(FIRST, schema=-(2**62)), *ROWS[2:]], "no record"),
    "a chain that is no number": ([HEADER, changed(FIRST, chain="z" * 64), *ROWS[2:]], "no record"),
    "an id that is no number": ([HEADER, changed(FIRST, id="z" * 36), *ROWS[2:]], "no record"),
    "no map": ([changed(HEADER, snapshot={"links": {"in_order": [1]}}), *ROWS[1:]], "no account"),
    "a changed chain": ([HEADER, changed(FIRST, chain="0" * 64), *ROWS[2:]], "hashed into"),
    "a record of another log": ([HEADER, OTHER[1], *ROWS[2:]], "says other"),
    "another log": ([OTHER[0], *ROWS[1:]], "genesis"),
    "another head": (
        [*ROWS[:-1], changed(TRAILER, head={"version": 3, "chain": "0" * 64})],
        "its head",
    ),
    "another number of records": ([*ROWS[:-1], changed(TRAILER, records=4)], "number of records"),
    "another time": (
        [HEADER, changed(FIRST, time="2025-10-09T08:53:21Z"), *ROWS[2:]],
        "says other",
    ),
    "another type": ([HEADER, changed(FIRST, type="linewarden.opened"), *ROWS[2:]], "says other"),
    "another account": ([HEADER, changed(FIRST, subject="sales"), *ROWS[2:]], "says other"),
    "a field too many": ([HEADER, changed(FIRST, zzz=1), *ROWS[2:]], "says other"),
    "a version too great": (
        [HEADER, FIRST.replace(b'"version":1', b'"version":%d' % 2**70), *ROWS[2:]],
        "no record",
    ),
    "a position that falls": ([HEADER, FIRST, changed(SECOND, position=1), *ROWS[3:]], "next"),
    "a key of the header twice": (
        [HEADER[:-1] + b',"to":3}', *ROWS[1:]],
        "canonical",
    ),
    "a key of a line twice": (
        [HEADER, FIRST[:-1] + b',"version":1}', *ROWS[2:]],
        "says other",
    ),
    "a key of a record twice": (
        [HEADER, FIRST.replace(b'{"build":"0.1.0"', b'{"build":"0","build":"0.1.0"'), *ROWS[2:]],
        "hashed into the chain",
    ),
    "a key of the trailer twice": ([*ROWS[:-1], TRAILER[:-1] + b',"trailer":true}'], "canonical"),
    "spaces": ([HEADER.replace(b",", b", "), *ROWS[1:]], "canonical"),
    "no number": ([HEADER.replace(b'"schema":1', b'"schema":NaN'), *ROWS[1:]], "no JSON"),
    "a broken number": ([HEADER.replace(b'"schema":1', b'"schema":1.0'), *ROWS[1:]], "no header"),
    "a billion records": ([changed(HEADER, to=10**9), *ROWS[1:]], "more than"),
    "a range that falls": ([changed(HEADER, **{"from": 9, "to": 3}), *ROWS[1:]], "follow"),
    "an invented state before": ([changed(HEADER, snapshot={"epoch": 3}), *ROWS[1:]], "begins"),
    "a snapshot of nothing": ([changed(HEADER, snapshot={"state": "x"}), *ROWS[1:]], "no account"),
    "a policy of nonsense": (
        [changed(HEADER, snapshot={"overrides": {"initial_s": [JID]}}), *ROWS[1:]],
        "policy",
    ),
    "a policy of its own": ([changed(HEADER, policy={"preset": "openclaw"}), *ROWS[1:]], "policy"),
    "escapes in the build": ([changed(HEADER, build="\x1b[2J"), *ROWS[1:]], "no header"),
    "an unknown field": ([changed(HEADER, **{JID: 1}), *ROWS[1:]], "no header"),
}

HOSTILE: dict[str, tuple[bytes | Callable[[], bytes], str]] = FILES | {
    name: (packed(joined(rows)), why) for name, (rows, why) in LINES.items()
}


def refusal(path: Path) -> BadBundle:
    with pytest.raises(BadBundle) as caught:
        read_bundle(path)
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused(tmp_path: Path, name: str) -> None:
    """The refusal says where and what to do, takes 100 ms at most and little memory."""
    content, why = HOSTILE[name]
    path = tmp_path / "x.gz"
    path.write_bytes(content if isinstance(content, bytes) else content())
    with pytest.raises(BadBundle, match=why):
        read_bundle(path)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        error = refusal(path)
        spent.append(time.perf_counter() - start)
    assert min(spent) <= REFUSED_WITHIN_S
    assert str(path) in error.message
    assert error.hint
    assert "15550100077" not in str(error)
    tracemalloc.start()
    try:
        refusal(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= MEMORY_BYTES_MAX


def test_the_bundle_that_the_others_are_made_of_is_good(tmp_path: Path) -> None:
    """What was not changed is read: nothing above is refused by chance."""
    assert read_bundle(write(tmp_path / "x.gz", ROWS)) == bundle()


@pytest.mark.parametrize(
    "rows",
    [
        [changed(HEADER, schema=2), *ROWS[1:]],
        [changed(HEADER, format=2), *ROWS[1:]],
        [changed(HEADER, schema=2, more={"of": "the future"}), *ROWS[1:]],
        [HEADER, in_data(FIRST, schema=2), *ROWS[2:]],
    ],
)
def test_a_bundle_of_the_future_is_told_apart(tmp_path: Path, rows: Rows) -> None:
    """A newer format or schema is no damage: whoever reads it needs a newer linewarden."""
    with pytest.raises(FutureSchema, match="knows up to 1") as caught:
        read_bundle(write(tmp_path / "x.gz", rows))
    assert "newer" in caught.value.hint


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_changed_record_is_named(tmp_path: Path, number: int) -> None:
    """The error names the line and the position of the first record that was changed."""
    rows = [*ROWS[:number], in_data(ROWS[number], epoch=9), *ROWS[number + 1 :]]
    error = refusal(write(tmp_path / "x.gz", rows))
    assert error.position == bundle().records[number - 1].position
    assert f"line {number + 1}" in error.message


@pytest.mark.parametrize("more", [b'"epoch":2,', b" ", b'"zoo":1.5,'])
def test_a_record_that_is_not_canonical_is_refused(tmp_path: Path, more: bytes) -> None:
    """A key twice, a space or a float is found where the whole chain was made to fit, too."""
    made = Make()()
    made = msgspec.structs.replace(made, body=made.body.replace(b'"epoch"', more + b'"epoch"'))
    [record] = chained([made])
    one = bundle(1)
    head = Point(1, record.chain.hex())
    rows = lines(Bundle(one.header, [record], Trailer(1, head)))
    assert "not canonically" in refusal(write(tmp_path / "x.gz", rows)).message


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe, a folder and a device are not waited for and not read."""
    path = tmp_path / "x.gz"
    make(path)
    assert "no file" in refusal(path).message


def test_a_file_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the path and says why."""
    error = refusal(tmp_path / "x.gz")
    assert "No such file" in error.message
    assert str(tmp_path) in error.message


def test_a_line_as_long_as_allowed_is_read(tmp_path: Path) -> None:
    """The limit of a line is exactly what it says."""
    room = LINE_BYTES_MAX - len(HEADER) - len(b'"links":{"a":""}')
    for spare, why in ((0, "begins with nothing"), (1, "longer than")):
        row = changed(HEADER, snapshot={"links": {"a": "b" * (room + spare)}})
        assert len(row) == LINE_BYTES_MAX + spare
        assert why in refusal(write(tmp_path / "x.gz", [row, *ROWS[1:]])).message


def test_a_gzip_without_a_name_is_read(tmp_path: Path) -> None:
    """What `gzip -n` packs again is the same bundle, at whatever level."""
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(joined(ROWS), 9, mtime=0))
    assert read_bundle(path) == bundle()
