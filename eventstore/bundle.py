"""The bundle: a stretch of one account's stream with all that a replay needs, in one file.

It is a gzip of JSON lines: a header, one CloudEvents 1.0 line a record, a trailer. Every line is
canonical, so a record's bytes are `codec.encode` of its `data` again, and each line carries the
chain after its record: the first that was changed is the first that does not fit. What stands
behind a token stays in the vault of the log, so a bundle holds no personal value.

The chain proves the records, not the snapshot of the state before them: that one is what the
exporter says, unless the bundle begins with the account's first record, where it is empty.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from ..statemachine.errors import InputError, LinewardenError
from .bundle_format import (
    BadBundle,
    Bundle,
    FutureSchema,
    Header,
    Point,
    Trailer,
    event_line,
    plain_line,
    table_hash,
)
from .bundle_reading import GZIP, Reading, read_bundle
from .records import Record

__all__ = [
    "BadBundle",
    "Bundle",
    "FutureSchema",
    "Header",
    "Point",
    "Reading",
    "Trailer",
    "event_line",
    "read_bundle",
    "table_hash",
    "write_bundle",
]


class FileExists(InputError):
    """There is a file already, and it was left as it is."""


def write_bundle(
    path: str | os.PathLike[str],
    header: Header,
    records: Iterable[Record],
    trailer: Trailer,
    *,
    replace: bool = False,
) -> None:
    """Write a bundle whole or not at all, for its owner's eyes (0600), and only if it reads back.

    Raises `FileExists` where there is a file and `replace` does not say that it may go, or it is no
    bundle, and `BadBundle` for records that `read_bundle` would refuse.
    """
    place = os.path.abspath(os.fspath(path))
    try:
        if replace and os.path.lexists(place) and not _is_packed(place):
            # It could be the log itself: by --force only a bundle makes room for a bundle.
            raise FileExists(f"{place} is no bundle, and was left", hint="choose another name")
        if not replace and os.path.lexists(place):
            raise FileExistsError
        _write(place, header, records, trailer, replace)
    except FileExistsError:
        raise FileExists(
            f"There is a file at {place}", hint="choose another name, or say --force"
        ) from None
    except OSError as error:
        raise LinewardenError(
            f"The bundle {place} can't be written: {error.strerror}", hint="look at its folder"
        ) from None


def _is_packed(place: str) -> bool:
    if not os.path.isfile(place):
        return False
    with open(place, "rb") as file:
        return file.read(len(GZIP)) == GZIP


def _write(
    place: str, header: Header, records: Iterable[Record], trailer: Trailer, replace: bool
) -> None:
    folder = os.path.dirname(place)
    # A name of its own until the bundle is whole; only its owner may read what mkstemp makes.
    number, beside = tempfile.mkstemp(dir=folder, prefix=".", suffix=".incident")
    try:
        with open(number, "wb") as file:
            # Neither name nor time: the same incident is the same bytes.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                packed.write(plain_line(header) + b"\n")
                for record in records:
                    packed.write(event_line(record, header.log) + b"\n")
                packed.write(plain_line(trailer) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _prove(beside, place)
        if not replace:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(beside, place)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


def _prove(beside: str, place: str) -> None:
    try:
        deque(Reading(beside, place), maxlen=0)
    except BadBundle as error:
        raise BadBundle(
            f"These records make no bundle: {error.message}",
            hint="`linewarden verify` says whether the log is intact",
            position=error.position,
        ) from None


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
