"""Anchors: where every stream of a log ended, said at one moment and kept outside of the log.

The chains show every change but two: records cut off the end, and chains computed anew. An anchor
that was taken before shows those too, if it stands where whoever changed the log could not change
it as well: that is why anchors are copied to a sink.

An anchors file is only ever appended to, a line an anchor, each with the hash of the line before.
A line that a crash cut off stays as it is: it is no JSON object, and is passed over. Nothing hides
so, for the line after it tells what it follows.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from ..statemachine.errors import InputError
from . import chain, codec
from .anchor import Anchor, BadAnchor, Point, as_anchor, line_of
from .errors import InvalidContent
from .signing import check_signature
from .store import Reader

LINE_BYTES_MAX = 64 << 20
"""Some 600,000 accounts: a file of hostile lines takes no more memory than this to refuse."""

_WINDOW_BYTES = 1 << 16
"""Read from the end to find the newest anchor, which is one read up to some 600 accounts."""


def anchors_path(log: str | os.PathLike[str]) -> str:
    """The anchors file of a log, beside it."""
    return os.path.realpath(log) + ".anchors"


def anchor_of(reader: Reader, at: int, previous: str | None = None) -> Anchor:
    """The anchor of a log as it is now; another process may be writing to it."""
    heads = {name: Point(head.version, head.chain.hex()) for name, head in reader.heads().items()}
    # The heads are of one instant, and positions count the records of all streams without a gap.
    position = sum(head.version for head in heads.values())
    return Anchor(at=at, heads=heads, log=reader.log_id.hex(), position=position, previous=previous)


def read_anchors(
    path: str | os.PathLike[str],
    log: str,
    *,
    keys: Sequence[str] = (),
    copy: bool = True,
) -> Iterator[Anchor]:
    """Read the anchors of a log (its id in hex) from a file, in their order, and check them.

    A `copy`, such as a sink keeps, may lack some and may hold other logs'; the log's own file may
    not begin in the middle, nor lack one. With `keys` only those that are signed by one of them are
    given, and after the first of these none may be unsigned. Raises `BadAnchor`, and `InputError`
    for a copy that can't be read or holds no anchor.
    """
    place = os.fspath(path)
    check = _Check(log, keys, copy)
    others = 0
    for number, line in _lines(place):
        try:
            content = codec.decode(line)
        except InvalidContent:
            continue
        try:
            if not codec.is_canonical(line):
                raise BadAnchor("it is not canonical: sorted keys, each once, no spaces")
            if content.get("log") != log:
                others += 1
            elif (anchor := check(line, as_anchor(content))) is not None:
                yield anchor
        except BadAnchor as error:
            raise BadAnchor(f"{place}, line {number}: {error.message}") from None
    if check.last is None and others:
        raise BadAnchor(f"{place}: its anchors are of another log")
    if check.last is None and copy:
        raise InputError(f"{place} holds no anchor", hint="give a file that linewarden wrote")


class _Check:
    """Checks each anchor of a file against those before it."""

    def __init__(self, log: str, keys: Sequence[str], copy: bool) -> None:
        self._log, self._keys, self._copy = log, keys, copy
        self._hash: str | None = None
        self._signed = False
        self.last: Anchor | None = None

    def __call__(self, line: bytes, anchor: Anchor) -> Anchor | None:
        """The anchor, or None where it does not count; raises `BadAnchor`."""
        previous, self._hash = self._hash, chain.anchor(line).hex()
        if self._copy and previous == self._hash:
            return None  # said twice: the sink failed after it had taken it
        if not self._copy and anchor.previous != previous:
            raise BadAnchor("what stood before it was changed or is missing")
        if self.last is not None and anchor.position < self.last.position:
            raise BadAnchor("it goes back: the log has been shorter than when it was anchored")
        self.last = anchor
        if not self._keys:
            return anchor
        if anchor.signature is not msgspec.UNSET:
            check_signature(anchor, self._keys)
            self._signed = True
            return anchor
        if self._signed:
            raise BadAnchor("it is not signed, and one before it is")
        return None


def _lines(place: str) -> Iterator[tuple[int, bytes]]:
    if not os.path.isfile(place):
        raise InputError(f"There is no file of anchors at {place}", hint="look at the path")
    try:
        with open(place, "rb") as file:
            number = 0
            while line := file.readline(LINE_BYTES_MAX + 1):
                number += 1
                if len(line) > LINE_BYTES_MAX:
                    raise BadAnchor(f"{place}, line {number}: it is longer than any anchor")
                yield number, line.rstrip(b"\n")
    except OSError as error:
        raise InputError(f"{place} can't be read: {error.strerror}") from None


class AnchorFile:
    """The anchors file of a log, for its one writer. Any thread may use it, one at a time."""

    def __init__(
        self, reader: Reader, path: str, sign: Callable[[Anchor], Anchor] | None = None
    ) -> None:
        self.path = path
        self._reader = reader
        self._sign = sign
        self._last: tuple[int, str] | None = None
        self._known = False

    def add(self, at: int) -> bytes | None:
        """Anchor the log as it is now; None where it has not grown since the newest anchor.

        Returns the line with its end, once it is on disk. Raises `OSError` and what a reader does.
        """
        # NOFOLLOW: whoever may write to the folder must not choose what we append to.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(self.path, flags | os.O_NONBLOCK, 0o600), "rb+", 0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(f"{self.path} is no file")
            if not self._known or not status.st_size:
                self._last, self._known = _newest(file, self._reader.log_id.hex()), True
            position, previous = self._last or (-1, None)
            anchor = anchor_of(self._reader, at, previous)
            if anchor.position == position:
                return None
            line = line_of(anchor if self._sign is None else self._sign(anchor))
            self._known = False  # until it is on disk, the file is what counts
            self._write(file, status.st_size, line + b"\n")
        self._last, self._known = (anchor.position, chain.anchor(line).hex()), True
        return line + b"\n"

    def _write(self, file: Any, size: int, data: bytes) -> None:
        number = file.fileno()
        if size and os.pread(number, 1, size - 1) != b"\n":
            data = b"\n" + data  # a line was cut off: it stays, alone
        while data:
            data = data[os.write(number, data) :]
        os.fsync(number)
        if not size:
            folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _newest(file: BinaryIO | Any, log: str) -> tuple[int, str] | None:
    """The position and the hash of a log's newest anchor, read from the end of the file."""
    size, window = file.seek(0, os.SEEK_END), _WINDOW_BYTES
    while size:
        start = max(0, size - window)
        lines = os.pread(file.fileno(), size - start, start).split(b"\n")
        for line in reversed(lines if not start else lines[1:]):
            try:
                anchor = as_anchor(codec.decode(line))
            except (InvalidContent, BadAnchor):
                continue
            if anchor.log == log:
                return anchor.position, chain.anchor(line).hex()
        if not start:
            break
        window *= 8
    return None
