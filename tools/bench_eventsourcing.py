"""The peer: the package `eventsourcing`, as its user would use it.

Appending is its `EventStore.put` with its mapper, its JSON transcoder and its SQLite recorder,
whose connections are WAL and `synchronous=FULL` by default. Projecting is its `ProjectionRunner`
with the least projection there is, one that only notes how far it came.

This module is imported only where the package is installed: see `bench_store.peer`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, DomainEvent, DomainEventProtocol, event
from eventsourcing.persistence import (
    DatetimeAsISO,
    EventStore,
    JSONTranscoder,
    Mapper,
    Tracking,
    UUIDAsHex,
)
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteDatastore,
    SQLiteTrackingRecorder,
)

from .bench_material import CONTENTS

RUNNER_TIMEOUT_S = 300
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
        self._store = EventStore(Mapper(transcoder), recorder)
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
        return [
            Recorded(
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


class View(SQLiteTrackingRecorder):
    """What the projection writes into: how far it came."""


class Counting(Projection[View]):
    """The least projection: it notes that an event was seen."""

    name = "counting"
    topics: ClassVar[tuple[str, ...]] = ()

    def process_event(self, _: DomainEventProtocol[uuid.UUID], tracking: Tracking) -> None:
        self.view.insert_tracking(tracking)


class Projecting:
    """Its log of a line with so many events, and its runner over it from the first one on."""

    def __init__(self, folder: Path, events: int) -> None:
        self._folder = folder
        self._env = {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(folder / "peer-lines.db"),
        }
        self._runs = 0
        lines = Lines(env=self._env)
        line = Line()
        for number in range(events - 1):
            line.close(code=408, detail="x" * 200)
            if number % 500 == 0:
                lines.save(line)
        lines.save(line)
        self._last = lines.recorder.max_notification_id()
        lines.close()

    def run(self) -> None:
        """Project the whole log into a view that is empty when it begins."""
        self._runs += 1
        env = self._env | {"COUNTING_SQLITE_DBNAME": str(self._folder / f"view-{self._runs}.db")}
        runner = ProjectionRunner(
            application_class=Lines, projection_class=Counting, view_class=View, env=env
        )
        with runner:
            runner.wait(self._last, timeout=RUNNER_TIMEOUT_S)
