"""A reading connection that opens itself, is shared by threads and survives a failing disk."""

import os
import sqlite3
import threading
from typing import Any

from sqlite_utils import Database

from ..statemachine.errors import LinewardenError
from .errors import StoreClosed
from .sqlite_connection import connect_reading, primary_code, typed
from .statements import STATEMENTS


class Session:
    """Runs statements one at a time; a connection that failed is closed and opened anew."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._immutable = False
        self._closed = False

    def rows(self, name: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a named statement to its end, so that no read holds back a checkpoint."""
        with self._lock:
            connection = self._connected()
            try:
                return connection.execute(STATEMENTS[name], parameters).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def query(self, name: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        """Run a named statement that is not hot through sqlite-utils, which names the columns."""
        with self._lock:
            database = self.database()
            try:
                return list(database.query(STATEMENTS[name], parameters))
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def data_version(self) -> int:
        """Return a number that changes when another connection committed."""
        with self._lock:
            connection = self._connected()
            try:
                version: int = connection.execute("PRAGMA data_version").fetchone()[0]
            except sqlite3.Error as error:
                raise self._failed(error) from error
            # A new connection counts from anew: its address keeps two counts apart.
            return version << 64 | id(connection)

    def database(self) -> Database:
        """Wrap the connection for sqlite-utils; plugins stay out of the log."""
        with self._lock:
            return Database(self._connected(), execute_plugins=False, recursive_triggers=False)

    def close(self) -> None:
        """Close the connection for good."""
        with self._lock:
            self._closed = True
            self._drop()

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreClosed("The store is closed")
        if os.getpid() != self._pid:
            raise StoreClosed(
                "The store belongs to the process that this one was forked from",
                hint="open it again in this process",
            )
        if self._immutable and os.path.exists(self.path + "-wal"):
            self._drop()  # somebody began to write: what we hold is no longer at rest
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            connection = connect_reading(self.path)
            try:
                connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
            except sqlite3.Error:
                connection.close()
                raise
            self._immutable = False
            return connection
        except sqlite3.Error as error:
            # Where nothing may be made beside the file, WAL can't be read, but for a file at rest.
            beside = os.path.exists(self.path + "-wal")
            if primary_code(error) not in ("SQLITE_CANTOPEN", "SQLITE_READONLY") or beside:
                raise typed(error, self.path) from error
        try:
            connection = connect_reading(self.path, immutable=True)
        except sqlite3.Error as error:
            raise typed(error, self.path) from error
        self._immutable = True
        return connection

    def _failed(self, error: sqlite3.Error) -> LinewardenError:
        self._drop()
        return typed(error, self.path)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and os.getpid() == self._pid:
            connection.close()
