"""The append-only log of what was observed and decided.

This face imports no database: `open_store` and `open_reader` load the one that the path or the
DSN asks for, because loading it takes longer than all the rest of the package.
"""

import os

from . import errors
from .codec import decode, encode
from .records import Append, Head, NewRecord, Record, VaultEntry
from .store import Reader, Store

__all__ = [
    "Append",
    "Head",
    "NewRecord",
    "Reader",
    "Record",
    "Store",
    "VaultEntry",
    "decode",
    "encode",
    "errors",
    "open_reader",
    "open_store",
]


def open_store(path_or_dsn: str | os.PathLike[str], *, name: str = "linewarden") -> Store:
    """Open a log for writing and make it where there is none.

    `name` tells others who holds the log. Raises `StoreLocked` while another process writes.
    """
    path = _path(path_or_dsn)
    from .sqlite import SQLiteStore

    return SQLiteStore.open(path, name=name)


def open_reader(path_or_dsn: str | os.PathLike[str]) -> Reader:
    """Open an existing log for reading, beside a writing process or without one."""
    path = _path(path_or_dsn)
    from .sqlite_reader import SQLiteReader

    return SQLiteReader.open(path)


def _path(path_or_dsn: str | os.PathLike[str]) -> str:
    path = os.fspath(path_or_dsn)
    if path.startswith(("postgresql://", "postgres://", "postgresql+")):
        raise errors.UnsupportedStore(
            "This version keeps its log in SQLite only, not in PostgreSQL",
            hint="give the path of a file, such as linewarden.db",
        )
    scheme, separator, _ = path.partition("://")
    if separator and scheme.isalnum():
        raise errors.UnsupportedStore(
            "The address names a database that linewarden has no store for",
            hint="give the path of a file, such as linewarden.db",
        )
    return path
