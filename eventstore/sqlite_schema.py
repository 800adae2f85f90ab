"""The schema of the file: whether a file is ours, and how its tables are made and migrated."""

import os
import sqlite3
from typing import Final

from sqlite_utils import Database, Migrations

from .errors import NewerSchema, NotALinewardenStore, StoreNotFound
from .sqlite_connection import connect_reading, typed
from .statements import STATEMENTS, load

# "lwdr": `file` and SQLite show it, and it tells our files from any other database.
APPLICATION_ID: Final = 0x6C776472
SCHEMA: Final = 2

migrations = Migrations("linewarden")


@migrations(name="1_log")
def _log(database: Database) -> None:
    for statement in load("schema.sql").values():
        database.execute(statement)
    for name, statement in load("views.sql").items():
        database.create_view(name, statement)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute("PRAGMA user_version = 1")


@migrations(name="2_links")
def _links(database: Database) -> None:
    for statement in load("schema_2.sql").values():
        database.execute(statement)
    database.execute("PRAGMA user_version = 2")


def migrate(connection: sqlite3.Connection, log_id: bytes | None) -> None:
    """Bring the schema up to date in one transaction; a new file gets its log id with it.

    The transaction is begun by hand as IMMEDIATE: applied as it comes, seven of eight processes
    that started together crashed. Plugins of sqlite-utils stay out of the log.
    """
    database = Database(connection, execute_plugins=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if migrations.pending(database):
            migrations.apply(database)
        connection.execute(STATEMENTS["insert_log_id"], (log_id,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_new(path: str) -> bool:
    """Say whether a store is to be made here, or one of ours is there already.

    Raises `NotALinewardenStore`, `NewerSchema` or `StoreNotFound` and never changes or makes a
    file. The file is looked at by SQLite only: opening and closing it ourselves would drop the
    locks that any connection of this process holds on it.
    """
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise StoreNotFound(f"There is no folder {folder}", hint="make the folder first")
    if not os.path.lexists(path):
        return True
    if not os.path.isfile(path):
        raise NotALinewardenStore(
            f"{path} is not a file", hint="give the path of a file, such as linewarden.db"
        )
    if os.path.getsize(path) == 0:
        return not _has_bytes(path + "-wal")
    application_id, version, tables = _look(path)
    if application_id == 0 and tables == 0 and version == 0:
        return True  # whoever made the file was interrupted before its schema was there
    if application_id != APPLICATION_ID:
        raise NotALinewardenStore(
            f"{path} is a SQLite database of something else",
            hint="give the path of a linewarden store, or of a file that doesn't exist yet",
        )
    if version > SCHEMA:
        raise NewerSchema(
            f"{path} has schema {version}, this linewarden knows up to {SCHEMA}",
            hint="use the newer linewarden that wrote it",
        )
    return False


def _look(path: str) -> tuple[int, int, int]:
    # Without a write-ahead log the file says it all, and `immutable` leaves nothing beside it.
    try:
        connection = connect_reading(path, immutable=not _has_bytes(path + "-wal"))
        try:
            (application_id,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise typed(error, path) from error
    return application_id, version, tables


def _has_bytes(path: str) -> bool:
    try:
        return os.path.getsize(path) > 0
    except OSError:
        return False
