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
    """Delete the values of these tokens, inside a transaction; return how many there were.

    A link of archived records goes with its number. One whose LID alone is erased stays: it says
    that the number is no longer whose it was before.
    """
    rows = [(token,) for token in tokens]
    gone = connection.executemany(STATEMENTS["erase_vault"], rows)
    if gone.rowcount <= 0:
        return 0
    connection.executemany(STATEMENTS["erase_links"], rows)
    # Not executescript, which would commit. What is kept meanwhile is in memory, by `temp_store`.
    for name in ("keep_vault", "clear_vault", "refill_vault", "drop_kept"):
        connection.execute(STATEMENTS[name])
    return gone.rowcount
