"""Small numbers that stand for names in the file: an integer a row instead of a text."""

from .statements import STATEMENTS


class Numbers:
    """Numbers the names of one kind; a new name is kept only if its transaction is."""

    def __init__(self, kind: str) -> None:
        self.insert = STATEMENTS[f"insert_{kind}"]
        self._known: dict[str, int] = {}
        self._last = 0
        self.new: list[tuple[int, str]] = []  # to be inserted before the records

    def load(self, rows: list[tuple[int, str]]) -> None:
        """Know these names already."""
        self._known = {name: number for number, name in rows}
        self._last = max(self._known.values(), default=0)
        self.new.clear()

    def skip_to(self, last: int) -> None:
        """Give new names numbers above this one, without knowing the names below."""
        self._known.clear()
        self.new.clear()
        self._last = last

    def of(self, name: str) -> int:
        """Return the number of a name, a new one where it has none."""
        number = self._known.get(name)
        return self.add(name) if number is None else number

    def add(self, name: str) -> int:
        """Give a new name a number."""
        self._last += 1
        self._known[name] = self._last
        self.new.append((self._last, name))
        return self._last

    def keep(self) -> None:
        """The transaction was committed."""
        self.new.clear()

    def forget(self) -> None:
        """The transaction was not committed: the new names have no number after all."""
        for _, name in self.new:
            del self._known[name]
        self._last -= len(self.new)
        self.new.clear()
