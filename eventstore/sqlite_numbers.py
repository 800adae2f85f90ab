"""Small numbers that stand for names in the file: an integer a row instead of a text."""

import sqlite3

from .statements import STATEMENTS


class Numbers:
    """Numbers the names of one kind; a new name is kept only if its transaction is."""

    def __init__(self, kind: str) -> None:
        self._insert = STATEMENTS[f"insert_{kind}"]
        self._known: dict[str, int] = {}
        self._last = 0
        self._new: list[tuple[int, str]] = []

    def load(self, rows: list[tuple[int, str]]) -> None:
        """Know these names already."""
        self._known = {name: number for number, name in rows}
        self._last = max(self._known.values(), default=0)
        self._new.clear()

    def skip_to(self, last: int) -> None:
        """Give new names numbers above this one, without knowing the names below."""
        self._known.clear()
        self._new.clear()
        self._last = last

    def of(self, name: str) -> int:
        """Return the number of a name, a new one where it has none."""
        number = self._known.get(name)
        return self.add(name) if number is None else number

    def add(self, name: str) -> int:
        """Give a new name a number."""
        self._last += 1
        self._known[name] = self._last
        self._new.append((self._last, name))
        return self._last

    def write(self, connection: sqlite3.Connection) -> None:
        """Insert the new names, before the records that refer to them."""
        if self._new:
            connection.executemany(self._insert, self._new)

    def keep(self) -> None:
        """The transaction was committed."""
        self._new.clear()

    def forget(self) -> None:
        """The transaction was not committed: the new names have no number after all."""
        for _, name in self._new:
            del self._known[name]
        self._last -= len(self._new)
        self._new.clear()
