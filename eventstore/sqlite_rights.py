"""The place of a store's file: whether it may be written, and that it is its user's only."""

import os

from .sqlite_connection import read_only


def check_rights(path: str) -> None:
    """Refuse before anything is made: SQLite would say it at the first append only."""
    effective = os.access in os.supports_effective_ids
    folder = os.path.dirname(path)
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        raise read_only(path)
    if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK, effective_ids=effective):
        raise read_only(path)


def make_private(path: str) -> None:
    """Make the file before SQLite does: its journals inherit the rights, 0600."""
    if not os.path.exists(path):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise read_only(path) from error
