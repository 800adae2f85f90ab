"""Anchors: what stands in them, how their file is kept, and what a copy of it may lack."""

import os
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import chain, decode, encode
from linewarden.eventstore.anchor import BadAnchor
from linewarden.eventstore.anchors import AnchorFile, anchor_of, anchors_path, read_anchors
from linewarden.eventstore.report import Anchored
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.statemachine.errors import InputError

from .anchoring import AT, audit, fill
from .material import Make

LOG = bytes(range(16))


@pytest.fixture
def lines(path: Path, make: Make) -> list[bytes]:
    """A log of 40 records with four anchors."""
    return fill(path, 4, make, LOG)


def own(path: Path) -> Path:
    return Path(anchors_path(path))


def reread(path: Path, **options: Any) -> list[int]:
    """The positions of the anchors of a file."""
    return [anchor.position for anchor in read_anchors(path, LOG.hex(), **options)]


def test_an_anchor_says_where_every_stream_ends(path: Path, lines: list[bytes]) -> None:
    """An anchor is one canonical line with all heads, its log, and the hash of the line before."""
    content = decode(lines[1].rstrip(b"\n"))
    with SQLiteStore.open(path) as store:
        last = max(
            (r for r in store.read_all(0, 20) if r.stream == "line-1"), key=lambda r: r.version
        )
    assert content["heads"]["line-1"] == {"version": last.version, "chain": last.chain.hex()}
    assert (content["log"], content["position"], content["at"]) == (LOG.hex(), 20, AT + 1)
    assert content["previous"] == chain.anchor(lines[0].rstrip(b"\n")).hex()
    assert decode(lines[0].rstrip(b"\n"))["previous"] is None
    assert encode(content) + b"\n" == lines[1]


def test_the_file_is_private_and_only_grows(path: Path, lines: list[bytes], make: Make) -> None:
    """The file is 0600, holds the lines in their order, and is gone on with by the next writer."""
    assert own(path).stat().st_mode & 0o777 == 0o600
    assert own(path).read_bytes() == b"".join(lines)
    more = fill(path, 1, make)
    assert own(path).read_bytes() == b"".join([*lines, *more])
    assert reread(own(path), copy=False) == [10, 20, 30, 40, 50]


def test_a_log_that_has_not_grown_is_not_anchored_again(path: Path, lines: list[bytes]) -> None:
    """Where there is no record since the newest anchor, none is added, by any writer."""
    with SQLiteStore.open(path) as store:
        anchors = AnchorFile(store, anchors_path(path))
        assert anchors.add(AT) is None
        assert anchors.add(AT) is None
    assert own(path).read_bytes() == b"".join(lines)


def test_an_intact_log_agrees_with_its_anchors(path: Path, lines: list[bytes], make: Make) -> None:
    """A report counts the anchors and names the newest; records after it are no fault."""
    assert (audit(path).anchors, audit(path).last_good_anchor) == (4, Anchored(40, AT + 3))
    with SQLiteStore.open(path) as store:
        store.append("line-9", [make()])
    report = audit(path)
    assert (report.ok, report.records, report.last_good_anchor) == (True, 41, Anchored(40, AT + 3))


def test_an_anchor_taken_while_verifying_is_no_fault(
    path: Path, lines: list[bytes], make: Make
) -> None:
    """What a service appends and anchors while it is audited is audited too."""
    from linewarden.eventstore.verify import verify

    with SQLiteStore.open(path) as store:

        def taken() -> Any:
            yield from read_anchors(own(path), LOG.hex(), copy=False)
            store.append("line-0", [make()])
            yield anchor_of(store, AT)

        report = verify(store, anchors=taken())
    assert (report.ok, report.records, report.anchors) == (True, 41, 5)


@pytest.mark.parametrize("kept", [1, 30, -1])
def test_a_line_that_a_crash_cut_off_is_passed_over(
    path: Path, lines: list[bytes], make: Make, kept: int
) -> None:
    """A torn line is left as it is, is no fault, and the next anchor follows the one before it."""
    torn = b"".join(lines[:3]) + lines[3].rstrip(b"\n")[:kept]
    own(path).write_bytes(torn)
    assert audit(path).ok and audit(path).anchors == 3
    [more] = fill(path, 1, make)
    assert own(path).read_bytes() == torn + b"\n" + more
    assert reread(own(path), copy=False) == [10, 20, 30, 50]


def test_a_disk_that_fails_leaves_the_chain_of_anchors_whole(
    path: Path, lines: list[bytes], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a write that failed, half done, the next anchor follows the newest that is whole."""
    written = os.write

    def full(number: int, data: bytes) -> int:
        written(number, data[:100])
        raise OSError(28, "No space left on device")

    with SQLiteStore.open(path) as store:
        anchors = AnchorFile(store, anchors_path(path))
        store.append("line-0", [make()])
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(OSError, match="No space"):
                anchors.add(AT)
        assert anchors.add(AT) is not None
    assert reread(own(path), copy=False) == [10, 20, 30, 40, 41]


def test_a_file_that_was_moved_away_is_begun_anew(
    path: Path, lines: list[bytes], make: Make
) -> None:
    """An operator may move the file away at any time: the next anchor is the first of a new one."""
    with SQLiteStore.open(path) as store:
        anchors = AnchorFile(store, anchors_path(path))
        assert anchors.add(AT) is None
        own(path).rename(path.with_suffix(".old"))
        store.append("line-0", [make()])
        assert anchors.add(AT) is not None
    assert reread(own(path), copy=False) == [41]
    assert audit(path).ok


def test_a_link_is_not_followed(path: Path, lines: list[bytes], tmp_path: Path) -> None:
    """The file is not written through a link: it could lead anywhere."""
    own(path).unlink()
    own(path).symlink_to(tmp_path / "elsewhere")
    with SQLiteStore.open(path) as store, pytest.raises(OSError):
        AnchorFile(store, anchors_path(path)).add(AT)
    assert not (tmp_path / "elsewhere").exists()


def test_an_older_line_is_found_behind_a_long_one(
    path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest anchor is found from the end of the file, however long its lines are."""
    monkeypatch.setattr("linewarden.eventstore.anchors._WINDOW_BYTES", 64)
    lines = fill(path, 2, make, LOG)
    with own(path).open("ab") as file:
        file.write(b"{" + b" " * 1_000 + b"\n")
    lines += fill(path, 1, make)
    assert decode(lines[2])["previous"] == chain.anchor(lines[1].rstrip(b"\n")).hex()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda lines: lines[1:], "line 1: what stood before it"),
        (lambda lines: [lines[0], *lines[2:]], "line 2: what stood before it"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "line 1: what stood before it"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "line 2: what stood before it"),
        (
            lambda lines: [lines[0].replace(b'"at":17', b'"at":16'), *lines[1:]],
            "line 2: what stood",
        ),
        (lambda lines: [lines[0].replace(b"{", b'{"at":1,', 1), *lines[1:]], "not canonical"),
        (lambda lines: [*lines[:3], lines[3].replace(b'"position":4', b'"position":5')], "its pos"),
        (lambda lines: [*lines[:3], lines[3].replace(b'"anchor":1', b'"anchor":2')], "no anchor"),
        (lambda lines: [*lines[:3], lines[3].replace(b'"log":"0001', b'"log":"0002')], None),
    ],
)
def test_an_own_file_that_was_changed_is_told(
    path: Path, lines: list[bytes], change: Any, what: str | None
) -> None:
    """A missing, moved, doubled or edited line of the log's own file is named by its number."""
    own(path).write_bytes(b"".join(change(lines)))
    report = audit(path)
    if what is None:
        # The newest line is of another log now: as if it had never been, as a lost one is.
        assert (report.ok, report.anchors) == (True, 3)
        return
    assert not report.ok and what in (report.reason or "")
    good = report.last_good_anchor.position if report.last_good_anchor else 0
    assert (report.first_bad_position, report.last_good_position) == (None, good)


def test_a_copy_may_lack_lines_and_say_one_twice(path: Path, lines: list[bytes]) -> None:
    """A sink that failed now and then, or that began late, still vouches for the log."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(b"".join([lines[1], lines[1], lines[3]]))
    assert reread(copy) == [20, 40]
    assert audit(path, copy).last_good_anchor == Anchored(40, AT + 3)


def test_a_copy_may_hold_the_anchors_of_several_logs(
    path: Path, lines: list[bytes], tmp_path: Path, make: Make
) -> None:
    """One sink may serve two services: the other log's anchors are passed over."""
    others = fill(tmp_path / "other.db", 2, make)
    copy = path.with_suffix(".copy")
    copy.write_bytes(b"".join([lines[0], others[0], lines[1], others[1]]))
    assert reread(copy) == [10, 20]


def test_anchors_of_another_log_only_are_told(
    path: Path, lines: list[bytes], tmp_path: Path, make: Make
) -> None:
    """A file with no anchor of this log and some of another is a fault, as own file and as copy."""
    fill(tmp_path / "other.db", 1, make)
    for copy in (True, False):
        with pytest.raises(BadAnchor, match="another log"):
            reread(tmp_path / "other.db.anchors", copy=copy)


@pytest.mark.parametrize("content", [b"", b"no anchors\n", b"{}\n", b"\0" * 5_000, b"\xff\n"])
def test_a_copy_without_an_anchor_vouches_for_nothing(path: Path, content: bytes) -> None:
    """Whoever names a copy is told where it is missing, empty or something else."""
    with pytest.raises(InputError):
        reread(path)
    path.write_bytes(content)
    with pytest.raises((InputError, BadAnchor)):
        reread(path)


def test_a_pipe_is_not_waited_for(path: Path) -> None:
    """What is no file is refused at once, by the reader and by the writer."""
    os.mkfifo(own(path))
    with pytest.raises(InputError):
        reread(own(path), copy=False)
    with SQLiteStore.open(path) as store, pytest.raises(OSError, match=r"no file|No such device"):
        AnchorFile(store, anchors_path(path)).add(AT)
