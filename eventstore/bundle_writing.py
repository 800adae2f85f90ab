"""Writes a bundle: whole or not at all, and only what reads back."""

from __future__ import annotations

import fcntl
import gzip
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from ..statemachine.errors import LinewardenError
from .bundle_format import BadBundle, Header, Trailer, event_line, plain_line
from .bundle_reading import Reading
from .kind import written
from .records import Record


def write_bundle(
    path: str | os.PathLike[str],
    header: Header,
    records: Iterable[Record],
    trailer: Trailer,
    *,
    replace: bool = False,
) -> None:
    """Write a bundle whole or not at all, for its owner's eyes (0600), and only if it reads back.

    Raises `FileExists` where there is a file that may not be replaced (`kind.check_room`), and
    `BadBundle` for records that `read_bundle` would refuse.
    """
    place = os.path.abspath(os.fspath(path))
    with written(place, replace=replace, by="bundle"):
        _write(place, header, records, trailer, replace)


def _write(
    place: str, header: Header, records: Iterable[Record], trailer: Trailer, replace: bool
) -> None:
    folder, name = os.path.split(place)
    beside = os.path.join(folder, f".{name}.part")
    with open(_begun(beside), "wb") as file:
        try:
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


def _begun(beside: str) -> int:
    """Open the file that a bundle is in until it is whole; what a killed process left is emptied.

    It is one file for each bundle, so what is left is at most that, until the next write takes it.
    The lock holds until the bundle has its own name: nobody else writes here meanwhile.
    """
    while True:
        number = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _lock(number, beside)
            with suppress(FileNotFoundError):  # meanwhile it became a bundle
                status = os.lstat(beside)
                if os.path.samestat(status, os.fstat(number)):
                    if status.st_nlink == 1:
                        os.fchmod(number, 0o600)
                        os.ftruncate(number, 0)
                        return number
                    os.unlink(beside)  # a backup has it by another name, and keeps it
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _lock(number: int, beside: str) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LinewardenError(
            f"{beside} is being written by another process", hint="wait until it has ended"
        ) from None
    except OSError:
        pass  # a file system without locks; two writers of one name at once are a rare thing


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
