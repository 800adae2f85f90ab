"""Rows 1 to 4: durable appends, alone, by many producers and in batches, beside raw and peer.

Ours is the store through its public face, `synchronous=FULL`, and all that a caller pays: drawing
the id, encoding the content, the expected version, both hashes, the answer. Raw is `bench_raw`:
the plain text layout, its rows made beforehand. Peer is `bench_eventsourcing`: `EventStore.put`
with its mapper. All take turns in the same run.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..eventstore import open_store
from .bench import Row, against, median_seconds
from .bench_material import record
from .bench_raw import Raw

APPEND_MIN, APPEND_PEER_MIN = 0.95, 1.5
PRODUCERS_MIN = {16: 4.0, 256: 7.0}
BATCH_MIN, BATCH_PEER_MIN = 1.8, 2.5
BATCH_RECORDS = 100
BLOCK, WARMING = 50, 10


def peer() -> Any:
    """The module `bench_eventsourcing`, or None where the package is not installed."""
    if importlib.util.find_spec("eventsourcing") is None:
        return None
    return importlib.import_module(".bench_eventsourcing", __package__)


class Ours:
    """The store through its public face, appended to by numbered lines in turn."""

    def __init__(self, folder: Path) -> None:
        self._store = open_store(folder / "ours.db", name="bench")
        self._number = 0
        self._versions = [0] * max(PRODUCERS_MIN)

    def append(self, count: int, size: int) -> None:
        """Append so many records, `size` of them in each append."""
        for start in range(self._number, self._number + count, size):
            line = start // size % 16
            made = [record(start + n) for n in range(size)]
            self._store.append(f"line-{line}", made, self._versions[line])
            self._versions[line] += size
        self._number += count

    def produce(self, count: int, producers: int) -> None:
        """Append by coroutines, each waiting for its append before the next."""
        each = count // producers

        async def one(line: int, first: int) -> None:
            for number in range(first, first + each):
                version = self._versions[line]
                await self._store.append_async(f"line-{line}", (record(number),), version)
                self._versions[line] += 1

        async def all_of_them() -> None:
            first = self._number
            await asyncio.gather(*(one(line, first + line * each) for line in range(producers)))

        asyncio.run(all_of_them())
        self._number += each * producers

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def single(quick: bool) -> list[Row]:
    """Row 1: one record, one durable commit.

    The contestants take turns in blocks of 50, so a slow moment of the disk meets all. What counts
    is the median append; the first ten of a block, whose code the others pushed out of the
    processor's caches, don't count. The median leaves out the moving of the write-ahead log.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        raw, ours = Raw(folder), Ours(folder)
        module = peer()
        theirs = module.Appending(folder) if module else None
        turns: dict[str, Callable[[Any], None]] = {
            "raw": lambda row: raw.single((row,)),
            "ours": lambda _: ours.append(1, 1),
        }
        if theirs is not None:
            turns["peer"] = lambda _: theirs.put(1, 1)
        took: dict[str, list[float]] = {name: [] for name in turns}
        for _ in range(6 if quick else 100):
            for name, turn in turns.items():
                for number, row in enumerate(raw.rows(BLOCK)):
                    start = time.perf_counter()
                    turn(row)
                    if number >= WARMING:
                        took[name].append(time.perf_counter() - start)
        for contestant in (raw, ours, theirs):
            if contestant is not None:
                contestant.close()
    rates = {name: 1 / statistics.median(seconds) for name, seconds in took.items()}
    what = "one durable append"
    return [
        against(1, what, rates["ours"], "raw", rates["raw"], APPEND_MIN),
        against(1, what, rates["ours"], "peer", rates.get("peer"), APPEND_PEER_MIN),
    ]


def producers(quick: bool) -> list[Row]:
    """Rows 2 and 3: many coroutines that share commits, beside raw with one commit a record.

    A turn is so long that the write-ahead log is moved into the file in each, whoever's it is.
    """
    rounds = 3 if quick else 15
    counts = {"raw": 1_000, "16": 8_000, "256": 12_800}
    with tempfile.TemporaryDirectory() as place:
        raw, ours = Raw(Path(place)), Ours(Path(place))
        blocks = iter([raw.rows(counts["raw"]) for _ in range(1 + rounds)])
        calls: dict[str, Callable[[], object]] = {
            "raw": lambda: raw.single(next(blocks)),
            "16": lambda: ours.produce(counts["16"], 16),
            "256": lambda: ours.produce(counts["256"], 256),
        }
        for call in calls.values():
            call()
        took = median_seconds(calls, rounds)
        raw.close()
        ours.close()
    floor = counts["raw"] / took["raw"]
    return [
        against(
            2 if many == 16 else 3,
            f"{many} producers, each waiting for its durable append",
            counts[str(many)] / took[str(many)],
            "raw, one a commit,",
            floor,
            factor,
        )
        for many, factor in PRODUCERS_MIN.items()
    ]


def batches(quick: bool) -> list[Row]:
    """Row 4: a hundred records in one append, beside raw and peer with a hundred a commit.

    A turn is so long that the write-ahead log is moved into the file in each, whoever's it is.
    """
    rounds, count = 3 if quick else 9, 20_000
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        raw, ours = Raw(folder), Ours(folder)
        module = peer()
        theirs = module.Appending(folder) if module else None
        blocks = iter([raw.rows(count) for _ in range(1 + rounds)])
        calls: dict[str, Callable[[], object]] = {
            "raw": lambda: raw.batches(next(blocks), BATCH_RECORDS),
            "ours": lambda: ours.append(count, BATCH_RECORDS),
        }
        if theirs is not None:
            calls["peer"] = lambda: theirs.put(count, BATCH_RECORDS)
        for call in calls.values():
            call()
        took = median_seconds(calls, rounds)
        for contestant in (raw, ours, theirs):
            if contestant is not None:
                contestant.close()
    rates = {name: count / seconds for name, seconds in took.items()}
    what = f"{BATCH_RECORDS} records in one durable append"
    return [
        against(4, what, rates["ours"], "raw", rates["raw"], BATCH_MIN),
        against(4, what, rates["ours"], "peer", rates.get("peer"), BATCH_PEER_MIN),
    ]


MEASURES = (((1,), single), ((2, 3), producers), ((4,), batches))
