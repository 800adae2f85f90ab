"""Where the streams of a log begin: at their genesis, or after what was archived of them."""

from . import chain
from .archived import Archive, archive_of
from .errors import Corrupt
from .store import Reader


class Beginnings:
    """What an audit takes on trust of archived stretches: heads, states, and missing positions.

    The records that stand for them are in the chains that the audit walks. Which position was whose
    only the bundles know, so it is their number that has to be right.
    """

    def __init__(self, reader: Reader) -> None:
        self._log_id = reader.log_id
        found = {name: _archive(reader, name) for name in reader.streams()}
        self._archives = {name: archive for name, archive in found.items() if archive is not None}
        self._missing = sum(archive.last for archive in self._archives.values())
        self._upto = max((archive.position for archive in self._archives.values()), default=0)
        self.skipped = 0

    @property
    def states(self) -> dict[str, str | None]:
        """The state of each account that was archived, after what was."""
        return {name: archive.state for name, archive in self._archives.items()}

    def head(self, stream: str) -> tuple[int, bytes]:
        """The version before the first record that the log has of a stream, and its chain."""
        archive = self._archives.get(stream)
        if archive is not None:
            return archive.last, archive.chain
        return 0, chain.genesis(self._log_id, stream)

    def passed(self, expected: int, position: int) -> bool:
        """Pass over the positions from the one that is due to another, if they may be archived."""
        count = position - expected
        if count <= 0 or position > self._upto + 1 or self.skipped + count > self._missing:
            return False
        self.skipped += count
        return True

    def check_complete(self) -> None:
        """Refuse a log in which not as many positions are missing as were archived."""
        if self.skipped != self._missing:
            raise Corrupt(f"{self._missing} records were archived, {self.skipped} are missing")


def _archive(reader: Reader, stream: str) -> Archive | None:
    try:
        record = reader.archived(stream)
        return archive_of(record) if record is not None else None
    except Corrupt:
        return None  # where nothing explains the beginning, the walk says so
