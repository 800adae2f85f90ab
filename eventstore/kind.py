"""What a file is, by its first bytes, and so what may be written in its place."""

from __future__ import annotations

import os
from typing import Literal

from ..statemachine.errors import InputError

Kind = Literal["log", "bundle"]

GZIP = b"\x1f\x8b\x08"
_SQLITE = b"SQLite format 3\0"


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
    """Raise `FileExists` unless something of kind `by` may be written at a path.

    With `replace` (--force) it takes the place of a file, but never of a log, and of a bundle only
    as a bundle.
    """
    if not os.path.lexists(path):
        return
    if not replace:
        raise there_is(path)
    kind = kind_of(path)
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):
        what = "no file that can be read"
    elif kind == "log" or kind not in (None, by):
        what = f"a {kind}"
    else:
        return
    raise FileExists(f"{path} is {what}, and was left", hint="choose another name")


def there_is(path: str) -> FileExists:
    """The error for a file that may be replaced once that is asked for."""
    return FileExists(f"There is a file at {path}", hint="choose another name, or say --force")
