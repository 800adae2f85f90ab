"""What a log can do, whatever keeps it: the protocols of the reader and of the writing store."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from .links import Links
from .records import Append, Head, Link, NewRecord, Record, VaultEntry


@runtime_checkable
class Reader(Protocol):
    """Reads a log. It never writes, and any number of readers may be open beside one writer."""

    @property
    def log_id(self) -> bytes:
        """The 16 bytes that this log was given when it was made."""
        ...

    def streams(self) -> list[str]:
        """Name all streams, in the order of their first record."""
        ...

    def head(self, stream: str) -> Head:
        """Return the end of a stream; version 0 and its genesis where it has no record."""
        ...

    def heads(self) -> dict[str, Head]:
        """Return the end of every stream."""
        ...

    def last_position(self) -> int:
        """Return the position of the newest record, 0 in an empty log."""
        ...

    def read_stream(
        self, stream: str, after_version: int = 0, upto_version: int | None = None
    ) -> Iterator[Record]:
        """Read a stream in order of version."""
        ...

    def archived(self, stream: str) -> Record | None:
        """Return the record that stands for the archived beginning of a stream, if it has none."""
        ...

    def archived_links(self) -> Links:
        """Return the links of numbers to LIDs that archived records named, by tokens."""
        ...

    def read_all(
        self, after_position: int = 0, upto_position: int | None = None
    ) -> Iterator[Record]:
        """Read the log in order of position."""
        ...

    def pages(
        self, after_position: int = 0, upto_position: int | None = None, *, checked: bool = True
    ) -> Iterator[list[Record]]:
        """Read the log in lists of about 2,000 records; unchecked, damage is served as it is."""
        ...

    def links(
        self, after_position: int = 0, upto_position: int | None = None
    ) -> Iterator[list[Link]]:
        """Read, unchecked, as much of each record as its chain needs."""
        ...

    def stream_name(self, number: int) -> str:
        """Name the stream that a link gives the number of."""
        ...

    def get(self, id: bytes) -> Record | None:
        """Find a record by its id."""
        ...

    def of_reply(self, stream: str, reply: str) -> list[Record]:
        """Read the records of one reply in order."""
        ...

    def tail(
        self, after_position: int = 0, stop: threading.Event | None = None
    ) -> Iterator[Record]:
        """Read the log and go on with what is committed later, until `stop` is set."""
        ...

    def tokens(self, values: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """Find the tokens of (kind, value) pairs; unknown ones are left out."""
        ...

    def reveal(self, token: str) -> str | None:
        """Return the value behind a token, None once it was erased."""
        ...

    def vault_entries(self, tokens: Iterable[str]) -> dict[str, VaultEntry]:
        """Return what the vault holds of these tokens; erased ones are left out."""
        ...

    def vault(self) -> Iterator[VaultEntry]:
        """Read the whole vault by token; what comes or goes meanwhile may be missed."""
        ...

    def load_checkpoint(self, projection: str, stream: str) -> tuple[int, bytes] | None:
        """Return (version, body) of a projection's checkpoint for a stream."""
        ...

    def load_checkpoints(self, projection: str) -> dict[str, tuple[int, bytes]]:
        """Return all checkpoints of a projection by stream."""
        ...

    def close(self) -> None:
        """Release what the reader holds. Closing twice does nothing."""
        ...


@runtime_checkable
class Store(Reader, Protocol):
    """The one writer of a log, which reads it too."""

    def enqueue(self, append: Append) -> None:
        """Queue a request without waiting; the next flush by any thread commits it."""
        ...

    def flush(self) -> None:
        """Commit what is queued, in groups, and return when all of it is answered."""
        ...

    def append(
        self,
        stream: str,
        records: Sequence[NewRecord],
        expected_version: int | None = None,
        vault: Sequence[VaultEntry] = (),
    ) -> list[Record]:
        """Append records and return them as stored, after the commit."""
        ...

    async def append_async(
        self,
        stream: str,
        records: Sequence[NewRecord],
        expected_version: int | None = None,
        vault: Sequence[VaultEntry] = (),
    ) -> list[Record]:
        """Append from a coroutine; what one turn of the loop asks for shares a commit."""
        ...

    def save_checkpoint(self, projection: str, stream: str, version: int, body: bytes) -> None:
        """Queue a checkpoint: the next flush, or closing, writes it."""
        ...

    def save_checkpoints(
        self, projection: str, checkpoints: Mapping[str, tuple[int, bytes]]
    ) -> None:
        """Queue the checkpoints of many streams, by stream as (version, body)."""
        ...

    def drop_checkpoints(self, projection: str) -> None:
        """Delete a projection's checkpoints at once, so that it is rebuilt from zero."""
        ...
