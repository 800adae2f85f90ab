"""Connections to the file of a log, and what their errors mean.

A connection lies: pragmas that SQLite doesn't know, or can't have on this file system, are ignored
without a word. So what durability rests on is read back and asserted.
"""

import os
import sqlite3
from pathlib import Path

from ..statemachine.errors import LinewardenError
from .errors import (
    Corrupt,
    NotALinewardenStore,
    ReadOnlyStore,
    StoreUnavailable,
)

BUSY_SECONDS = 5.0
PAGE_BYTES = 4096
CACHE_KIB = 64 * 1024
CHECKPOINT_PAGES = 4000
JOURNAL_BYTES_MAX = 64 * 1024 * 1024
_STATEMENTS_CACHED = 128

# What every connection sets: no code out of the schema, damaged pages are noticed, and no mapped
# memory, through which a stray write or a truncated file would kill the process.
_PRAGMAS = {
    "busy_timeout": int(BUSY_SECONDS * 1000),
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "foreign_keys": 1,
    "recursive_triggers": 1,
    "cache_size": -CACHE_KIB,
}

# What the writing connection adds. The page size counts only while the file is empty. FULL under
# WAL lost nothing in 4,000 simulated power cuts, NORMAL lost acknowledged records in 38 %.
_WRITING_PRAGMAS = {
    "secure_delete": 1,
    "synchronous": 2,
    "wal_autocheckpoint": CHECKPOINT_PAGES,
    "journal_size_limit": JOURNAL_BYTES_MAX,
    "temp_store": 2,  # in memory: what an erasure has in hand must not come into another file
}

_ASSERTED = ("synchronous", "secure_delete", "temp_store", "foreign_keys", "trusted_schema")

_HINTS = {
    "SQLITE_FULL": "free disk space, or raise the limit of the store: the next append tries anew",
    "SQLITE_IOERR": "look at the disk and its mount: the next append tries anew",
    "SQLITE_BUSY": "another program holds a lock on the file: close it",
    "SQLITE_LOCKED": "another program holds a lock on the file: close it",
    "SQLITE_CANTOPEN": "look at the rights of the folder and of the files beside the store",
    "SQLITE_CONSTRAINT": "another program wrote into the store; run `linewarden verify`",
}


def connect_writing(path: str, size_bytes_max: int | None = None) -> sqlite3.Connection:
    """Open the writing connection: WAL, every commit synced, transactions begun by hand."""
    connection = _connect(path, "mode=rw")
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if journal != "wal":
            raise StoreUnavailable(
                f"The file system of {path} can't have a write-ahead log",
                hint="put the store on a local disk, not on a network share",
            )
        _set(connection, _WRITING_PRAGMAS)
        for name in _ASSERTED:
            (value,) = connection.execute(f"PRAGMA {name}").fetchone()
            if value != {**_PRAGMAS, **_WRITING_PRAGMAS}[name]:
                raise StoreUnavailable(
                    f"This SQLite ({sqlite3.sqlite_version}) can't be set to {name}",
                    hint="use a Python built with an ordinary SQLite",
                )
        if size_bytes_max is not None:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {max(1, size_bytes_max // page_bytes)}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reading(path: str, *, immutable: bool = False) -> sqlite3.Connection:
    """Open a connection that can neither write nor checkpoint.

    `immutable` takes no lock and makes no file: for a store at rest on a medium that can't be
    written, and for a look at a file that may not be ours.
    """
    return _connect(path, "mode=ro&immutable=1" if immutable else "mode=ro")


def _connect(path: str, query: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{Path(path).as_uri()}?{query}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # the owner of the connection holds a lock around every use
        cached_statements=_STATEMENTS_CACHED,
    )
    try:
        _set(connection, _PRAGMAS)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, pragmas: dict[str, int]) -> None:
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name} = {value}").fetchall()


def primary_code(error: sqlite3.Error) -> str:
    """Name the primary result code of an error, without the part that tells where it arose."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return type(error).__name__
    return _PRIMARY.get(code & 0xFF, f"code {code & 0xFF}")


_PRIMARY = {
    value: name
    for name, value in vars(sqlite3).items()
    if name.startswith("SQLITE_") and name.count("_") == 1 and isinstance(value, int)
    if name.removeprefix("SQLITE_")
    in {
        "ERROR", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY", "INTERRUPT", "IOERR",
        "CORRUPT", "FULL", "CANTOPEN", "PROTOCOL", "SCHEMA", "TOOBIG", "CONSTRAINT", "MISMATCH",
        "MISUSE", "AUTH", "RANGE", "NOTADB",
    }
}  # fmt: skip


def typed(error: sqlite3.Error, path: str) -> LinewardenError:
    """Turn an error of SQLite into one that says whose fault it is and what to do."""
    code = primary_code(error)
    if code == "SQLITE_NOTADB":
        return NotALinewardenStore(
            f"{path} is not a SQLite database", hint="give the path of a linewarden store"
        )
    if code == "SQLITE_CORRUPT" or "decode to UTF-8" in str(error):
        # The binding's message about a text that is none repeats the text.
        return Corrupt(f"SQLite finds {path} damaged")
    if code == "SQLITE_READONLY":
        return read_only(path)
    return StoreUnavailable(
        f"The store {path} can't be used: {error} ({getattr(error, 'sqlite_errorname', code)})",
        hint=_HINTS.get(code, "the next use tries anew"),
    )


def read_only(path: str) -> ReadOnlyStore:
    """Say that the file or its folder can't be written to."""
    return ReadOnlyStore(
        f"{path} or its folder can't be written to by this user (uid {os.geteuid()})",
        hint="give this user the right to write to both, or open the store for reading",
    )
