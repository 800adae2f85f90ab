"""What a file is, by its first bytes, and so what may be written in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ..statemachine.errors import InputError, LinewardenError

Kind = Literal["log", "bundle"]

GZIP = b"\x1f\x8b\x08"
_SQLITE = b"SQLite format 3\0"

COMPANIONS = ("-wal", "-shm", "-journal", ".lock", ".control", ".anchors")
"""How the names end of the files that lie beside a log."""


class FileExists(InputError):
    """There is a file already, and it was left as it is."""


def kind_of(path: str | os.PathLike[str]) -> Kind | None:
    """Say whether a file is a log or a bundle; None where it is neither, or can't be read."""
    # A pipe is never opened here: it could hold us up for ever.
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            first = file.read(len(_SQLITE))
    except OSError:
        return None
    if first == _SQLITE:
        return "log"
    return "bundle" if first.startswith(GZIP) else None


def check_room(path: str, *, replace: bool, by: Kind | None = None) -> None:
    """Raise unless something of kind `by` may be written at a path.

    With `replace` (--force) it takes the place of a file of its own kind, or of an empty one. The
    names of a log's companions are never taken: the log would be lost with what is in its WAL.
    """
    if path.endswith(COMPANIONS):
        raise InputError(f"{path} is the name of a log's companion", hint="choose another name")
    try:
        status = os.lstat(path)
    except OSError:
        return  # nothing is there, or writing says what is wrong
    if not replace:
        raise there_is(path)
    kind = kind_of(path)
    if not (stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK)):
        what = "no plain file that can be read"
    elif status.st_size and kind != by:
        what = f"a {kind}" if kind else f"no {by}"
    else:
        return
    raise FileExists(f"{path} is {what}, and was left", hint="choose another name")


@contextmanager
def written(path: str, *, replace: bool, by: Kind | None = None) -> Iterator[None]:
    """Where a file is written: what `check_room` refuses, and what goes wrong, is for people."""
    try:
        check_room(path, replace=replace, by=by)
        yield
    except FileExistsError:
        raise there_is(path) from None
    except OSError as error:
        raise LinewardenError(
            f"{path} can't be written: {error.strerror}", hint="look at its folder"
        ) from None


def there_is(path: str) -> FileExists:
    """The error for a file that may be replaced once that is asked for."""
    return FileExists(f"There is a file at {path}", hint="choose another name, or say --force")
