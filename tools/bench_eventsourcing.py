"""The peer: the package `eventsourcing`, as its user would use it.

Appending is its `EventStore.put` with its mapper, its JSON transcoder and its SQLite recorder,
whose connections are WAL and `synchronous=FULL` by default. Projecting is a `ProcessApplication`
that follows the log and counts, because its `ProjectionRunner` needs subscriptions, which its
SQLite recorder has not. With its SQLite recorder it commits how far it came after every event;
ours commits nothing in a rebuild, so the peer is also given a recorder in memory.

This module is imported only where the package is installed: see `bench_store.peer`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, DomainEvent, DomainEventProtocol, event
from eventsourcing.persistence import (
    DatetimeAsISO,
    EventStore,
    JSONTranscoder,
    Mapper,
    UUIDAsHex,
)
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore
from eventsourcing.system import ProcessApplication

from .bench_material import CONTENTS

STREAMS = 16


class Recorded(DomainEvent):
    """An event of the peer with our content."""

    content: dict[str, Any]


class Appending:
    """Its event store on a file, written to by 16 originators in turn."""

    def __init__(self, folder: Path) -> None:
        self._pool = SQLiteDatastore(str(folder / "peer.db"))
        recorder = SQLiteApplicationRecorder(self._pool)
        recorder.create_table()
        transcoder = JSONTranscoder()
        transcoder.register(UUIDAsHex())
        transcoder.register(DatetimeAsISO())
        self._store: EventStore[uuid.UUID] = EventStore(Mapper(transcoder), recorder)
        self._number = 0
        self._originators = [uuid.uuid4() for _ in range(STREAMS)]
        self._versions = [0] * STREAMS
        self._now = datetime.now(UTC)

    def put(self, count: int, size: int) -> None:
        """Put so many events, `size` of them in one durable commit."""
        for start in range(self._number, self._number + count, size):
            line = start // size % STREAMS
            version = self._versions[line]
            self._store.put(self._events(line, version, start, size))
            self._versions[line] = version + size
        self._number += count

    def _events(self, line: int, version: int, start: int, size: int) -> Sequence[Recorded]:
        # Its metaclass makes the initialiser, unseen by type checkers.
        make: Any = Recorded
        return [
            make(
                originator_id=self._originators[line],
                originator_version=version + n + 1,
                timestamp=self._now,
                content=CONTENTS[(start + n) % 4096],
            )
            for n in range(size)
        ]

    def close(self) -> None:
        """Close its connections."""
        self._pool.close()


class Line(Aggregate):
    """An aggregate that counts how often it was closed."""

    @event("Opened")
    def __init__(self) -> None:
        self.count = 0

    @event("Closed")
    def close(self, code: int, detail: str) -> None:
        self.count += 1


class Lines(Application[uuid.UUID]):
    """The application that keeps the line."""


class Counting(ProcessApplication[uuid.UUID]):
    """The least projection: it counts what it is given."""

    count = 0

    def policy(self, domain_event: DomainEventProtocol[uuid.UUID], _: object) -> None:
        self.count += 1


class Projecting:
    """Its log of a line with so many events, and a projection over it from the first one on."""

    def __init__(self, folder: Path, events: int) -> None:
        self._folder, self._events, self._runs = folder, events, 0
        self._lines = Lines(env=_sqlite(folder / "peer-lines.db"))
        line = Line()
        for _ in range(events - 1):
            line.close(code=408, detail="x" * 200)
        self._lines.save(line)

    def durable(self) -> None:
        """Project the whole log, each event with a commit, into a file that is new."""
        self._runs += 1
        self._project(_sqlite(self._folder / f"peer-view-{self._runs}.db"))

    def in_memory(self) -> None:
        """Project the whole log into memory."""
        self._project({"PERSISTENCE_MODULE": "eventsourcing.popo"})

    def _project(self, env: dict[str, str]) -> None:
        counting = Counting(env=env)
        counting.follow("lines", self._lines.notification_log)
        counting.pull_and_process("lines")
        assert counting.count == self._events
        counting.close()

    def close(self) -> None:
        """Close its log."""
        self._lines.close()


def _sqlite(path: Path) -> dict[str, str]:
    return {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
