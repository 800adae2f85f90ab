"""Erases values from the vault so that no byte of them stays in the file.

Overwriting what is deleted is not enough: where SQLite moves rows from page to page it leaves old
copies in the room between them, and knows nothing of those later (measured: one of 2,000 values
was still to be found). So an erasure writes all of the vault anew; every page that it had before is
overwritten when it is freed.
"""

import sqlite3
from collections.abc import Iterable

from .statements import STATEMENTS


def erase(connection: sqlite3.Connection, tokens: Iterable[str]) -> int:
    """Delete the values of these tokens, inside a transaction; return how many there were."""
    gone = connection.executemany(STATEMENTS["erase_vault"], [(token,) for token in tokens])
    if gone.rowcount <= 0:
        return 0
    # Not executescript, which would commit. What is kept meanwhile is in memory, by `temp_store`.
    for name in ("keep_vault", "clear_vault", "refill_vault", "drop_kept"):
        connection.execute(STATEMENTS[name])
    return gone.rowcount
