"""Reads a bundle as what it is: a file from elsewhere, which may have been made to do harm.

Nothing of it is believed before it is checked, line by line while it is inflated, so that a file
that is wrong costs no more than what it holds up to there. Nothing of it is executed or named as a
path. A record's line is built again from what it says and must come out the same: time, type and
account are so compared with the hashed bytes, and no key can be told twice.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec

from ..statemachine.errors import InputError, shown
from ..statemachine.policy import policy_of
from ..statemachine.version import SCHEMA
from . import chain, codec
from .anchor import Anchor, BadAnchor, Point, check_position
from .bundle_format import (
    FORMAT,
    INFLATED_BYTES_MAX,
    LINE_BYTES_MAX,
    RECORDS_MAX,
    BadBundle,
    Bundle,
    FutureSchema,
    Header,
    Number,
    Trailer,
    account_before,
    event_line,
)
from .columns import UNREADABLE, columns_of
from .errors import InvalidContent
from .kind import GZIP
from .records import Record, check_stream

CHUNK_BYTES = 1 << 16

_Line = TypeVar("_Line", Header, Trailer)


class _Event(msgspec.Struct, frozen=True, gc=False):
    """What a record's line alone says; the rest of it follows from its data.

    The line that is built again from `chain` and `id` says whether they were written well.
    """

    chain: Annotated[str, msgspec.Meta(min_length=64, max_length=64)]
    data: msgspec.Raw
    id: Annotated[str, msgspec.Meta(min_length=36, max_length=36)]
    position: Number
    version: Number


_event = msgspec.json.Decoder(_Event).decode


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read a bundle and check everything that can be: raises `BadBundle` and `FutureSchema`."""
    reading = Reading(path)
    records = list(reading)
    return Bundle(reading.header, records, reading.trailer)


class Reading:
    """A bundle being read: its header first, its records by iterating once, then its trailer."""

    trailer: Trailer

    def __init__(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Open a file and read its header; errors call the file by its path or by `name`."""
        self._place = os.fspath(path)
        self.path = name or self._place
        self._number = 0
        self._lines = self._split()
        self.header = self._header(self._next())

    def __iter__(self) -> Iterator[Record]:
        header = self.header
        before = header.before
        state = account_before(header).state
        self._state = state.value if state is not None else None
        self._chain, self._position = bytes.fromhex(before.chain), before.version
        for version in range(header.first, header.last + 1):
            yield self._record(self._next(), version)
        self._end(self._next())
        if next(self._lines, None) is not None:
            raise self._bad("the bundle goes on after its trailer")

    def _bad(self, what: str, hint: str = "", position: int | None = None) -> BadBundle:
        where = f"{self.path}, line {self._number}" if self._number else self.path
        return BadBundle(f"{where}: {what}", hint=hint, position=position)

    def _next(self) -> bytes:
        line = next(self._lines, None)
        self._number += 1
        if line is None:
            raise self._bad("is missing: the bundle ends before its trailer")
        return line

    # Inflating

    def _split(self) -> Iterator[bytes]:
        """The lines, each as soon as it is inflated."""
        rest = b""
        for plain in self._inflated():
            *lines, rest = (rest + plain).split(b"\n")
            for line in (*lines, rest):
                if len(line) > LINE_BYTES_MAX:
                    self._number += 1
                    raise self._bad(f"is longer than {LINE_BYTES_MAX} bytes")
            yield from lines
        if rest:
            raise self._bad("the last line was cut off")

    def _inflated(self) -> Iterator[bytes]:
        with self._open() as file:
            packed = file.read(10)
            if packed[:3] != GZIP:
                raise self._bad("is no bundle: it is not packed by gzip")
            if packed[3:4] != b"\0":
                raise self._bad("its gzip carries a name or a comment", "pack it with `gzip -n`")
            inflater, inflated = zlib.decompressobj(wbits=31), 0
            while not inflater.eof:
                try:
                    plain = inflater.decompress(packed, CHUNK_BYTES)
                except zlib.error:
                    raise self._bad("its gzip is damaged") from None
                inflated += len(plain)
                if inflated > INFLATED_BYTES_MAX:
                    raise self._bad(f"inflates to more than {INFLATED_BYTES_MAX} bytes")
                yield plain
                packed = inflater.unconsumed_tail or file.read(CHUNK_BYTES)
                if not packed and not plain and not inflater.eof:
                    raise self._bad("its gzip was cut off")
            if packed or inflater.unused_data:
                raise self._bad("more follows where its gzip has ended", "one gzip, not several")

    def _open(self) -> BinaryIO:
        try:
            # Without waiting: a pipe with nobody at its other end would hold us up for ever.
            number = os.open(self._place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._bad(
                f"can't be opened: {error.strerror}", "give the path of a bundle or a log"
            ) from None
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise self._bad("is no file", "give the path of a bundle or a log")
        return os.fdopen(number, "rb")

    # Checking

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            return codec.decode(line)
        except InvalidContent:
            raise self._bad("is no JSON object") from None

    def _typed(self, content: dict[str, Any], kind: type[_Line], what: str) -> _Line:
        try:
            return msgspec.convert(content, kind)
        except msgspec.ValidationError as error:
            raise self._bad(f"is no {what} of a bundle: {shown(str(error))}") from None

    def _check_canonical(self, line: bytes) -> None:
        # Last of all, because it takes longest: what is refused for another reason is so sooner.
        if not codec.is_canonical(line):
            raise self._bad("is not canonical: sorted keys, each once, no spaces, no floats")

    def _header(self, line: bytes) -> Header:
        content = self._object(line)
        if content.get("linewarden") != "incident":
            raise self._bad("is no header of a bundle")
        for name, known in (("format", FORMAT), ("schema", SCHEMA)):
            given = content.get(name)
            if type(given) is int and given > known:
                raise FutureSchema(
                    f"{self.path}: its {name} is {given}, and this linewarden knows up to {known}"
                )
        header = self._typed(content, Header, "header")
        try:
            check_stream(header.account)
            before = account_before(header)
            policy_of(before.overrides)
        except (msgspec.ValidationError, InvalidContent, RecursionError) as error:
            raise self._bad(f"its snapshot is no account: {shown(str(error))}") from None
        except InputError as error:
            raise self._bad(error.message, error.hint) from None
        if header.policy != (before.overrides or {}):
            raise self._bad("its policy is not that of its snapshot")
        if header.before.version != header.first - 1 or header.last < header.first:
            raise self._bad("its versions do not follow one another")
        if header.last - header.first >= RECORDS_MAX:
            raise self._bad(f"tells of more than {RECORDS_MAX} records")
        if header.first == 1:
            genesis = chain.genesis(bytes.fromhex(header.log), header.account).hex()
            if header.before.chain != genesis or header.snapshot:
                raise self._bad("an account begins with nothing, and with the genesis of its chain")
        self._check_canonical(line)
        return header

    def _record(self, line: bytes, version: int) -> Record:
        try:
            event = _event(line)
            number = bytes.fromhex(event.id.replace("-", ""))
            chained = bytes.fromhex(event.chain)
            body = bytes(event.data)
            content = columns_of(body)
        except (*UNREADABLE, ValueError):
            raise self._bad("holds no record") from None
        position, stimulus = event.position, content.stimulus
        if content.schema > SCHEMA:
            raise FutureSchema(
                f"{self.path}, line {self._number}: its schema is {content.schema}, and this "
                f"linewarden knows up to {SCHEMA}",
                position=position,
            )
        record = Record(
            position=position,
            stream=self.header.account,
            version=event.version,
            id=number,
            at=stimulus.at,
            type=stimulus.stimulus,
            state=content.state(self._state),
            reply=stimulus.reply,
            body=body,
            leaf=chain.leaf(body),
            chain=chained,
        )
        if record.version != version or position <= self._position:
            raise self._bad("is not the next record of its account", position=position)
        if chain.link(self._chain, record.leaf) != record.chain:
            raise self._bad("is not what was hashed into the chain", position=position)
        if event_line(record, self.header.log) != line or not codec.is_canonical(body):
            raise self._bad("says other than its record, or not canonically", position=position)
        self._position, self._state, self._chain = position, record.state, record.chain
        return record

    def _end(self, line: bytes) -> None:
        trailer = self._typed(self._object(line), Trailer, "trailer")
        header, head = self.header, trailer.head
        if not trailer.trailer or trailer.records != header.last - header.first + 1:
            raise self._bad("its number of records is not that of the header")
        if head.version != header.last or head.chain != self._chain.hex():
            raise self._bad("its head is not the last record")
        if trailer.anchor is not None:
            self._check_anchor(trailer.anchor, trailer.onward)
        self._check_canonical(line)
        self.trailer = trailer

    def _check_anchor(self, anchor: Anchor, onward: Sequence[str]) -> None:
        try:
            check_position(anchor)
        except BadAnchor as error:
            raise self._bad(f"its anchor: {error.message}") from None
        chained = self._chain
        for leaf in onward:
            chained = chain.link(chained, bytes.fromhex(leaf))
        due = Point(self.header.last + len(onward), chained.hex())
        if anchor.heads.get(self.header.account) != due or anchor.log != self.header.log:
            raise self._bad("its anchor is not of these records")
