"""Rows 12 to 14 and 16: the audit, a log that has grown, its size, and seeing it from outside."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ..eventstore import Store, encode, open_reader, open_store
from ..eventstore.verify import verify
from .bench import Row, against, median_seconds, rate
from .bench_material import CONTENTS, grow, record

AUDIT_RECORDS_A_SECOND_MIN = 400_000
GROWN_MIN, OPENING_MS_MAX = 0.9, 50.0
RECORD_BYTES_MAX = 520
TAIL_MS_MAX = 20.0

_ELSEWHERE = """
import random, sys, time
from linewarden.eventstore import open_store
from linewarden.tools.bench_material import record
store = open_store(sys.argv[1])
for number in range(int(sys.argv[2])):
    store.append("line", [record(number)])
    print(time.monotonic_ns(), flush=True)
    time.sleep(random.random() / 50)
store.close()
"""


def audit(quick: bool) -> list[Row]:
    """Row 12: the chains of a whole log, beside reading the same rows and hashing them, no more.

    Beside stands the whole of `linewarden verify` too, which compares every column with the bytes.
    """
    records = 25_600 if quick else 256_000
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "bench.db"
        store = open_store(path, name="bench")
        grow(store, records, 1_000)
        store.close()
        reader, bare = open_reader(path), sqlite3.connect(path)

        def walk(columns: bool) -> None:
            assert verify(reader, columns=columns).ok

        def hash_all() -> None:
            query = "SELECT position, CAST(record AS BLOB), leaf, chain FROM records"
            for _, body, leaf, chained in bare.execute(query):
                sha256(b"\x00" + body).digest()
                sha256(b"\x11" + chained + leaf).digest()

        took = median_seconds(
            {"ours": lambda: walk(False), "whole": lambda: walk(True), "bare": hash_all},
            3 if quick else 7,
        )
        bare.close()
        reader.close()
    ours = records / took["ours"]
    return [
        Row(
            12,
            "verify the chains of a log",
            rate(ours, 1),
            f"bare read and both hashes {rate(records, took['bare'])}, "
            f"with the columns {rate(records, took['whole'])}",
            f"≥ {rate(AUDIT_RECORDS_A_SECOND_MIN, 1)}",
            ours >= AUDIT_RECORDS_A_SECOND_MIN,
        )
    ]


def growth(quick: bool) -> list[Row]:
    """Rows 13 and 14: a log of 5 M records of 10,000 accounts, and an empty one beside it.

    Appends go to 16 accounts at a time, in the grown log to other ones each round.
    """
    records, accounts = (51_200, 1_000) if quick else (5_000_000, 10_000)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "grown.db"
        grown = open_store(path, name="bench")
        versions = grow(grown, records, accounts)
        grown.close()
        loaded = sum(versions)
        size = sum(file.stat().st_size for file in Path(place).glob("grown.db*")) / loaded
        opening_ms = median_seconds({"opening": lambda: open_store(path).close()}, 5)["opening"]
        opening_ms *= 1e3
        grown = open_store(path, name="bench")
        empty = open_store(Path(place) / "empty.db", name="bench")
        fresh = [0] * 16
        took: dict[str, list[float]] = {"grown": [], "empty": []}
        for turn in range(4 if quick else 30):
            lines = [(turn + 1) * 31 % accounts + n * (accounts // 16) for n in range(16)]
            some = [line % accounts for line in lines]
            took["empty"] += _appends(empty, range(16), fresh)
            took["grown"] += _appends(grown, some, versions)
        grown.close()
        empty.close()
    rates = {name: 1 / statistics.median(seconds) for name, seconds in took.items()}
    what = f"durable append in a log of {loaded / 1e6:.2g} M records"
    body = len(encode(CONTENTS[7]))
    return [
        against(13, what, rates["grown"], "empty log", rates["empty"], GROWN_MIN),
        Row(
            13,
            f"opening it for writing, {accounts:,} accounts",
            f"{opening_ms:.1f} ms",
            "its tail is checked",
            f"≤ {OPENING_MS_MAX:.0f} ms",
            opening_ms <= OPENING_MS_MAX,
        ),
        Row(
            14,
            "a record on disk, hashes and indexes included",
            f"{size:.0f} B",
            f"its body alone {body} B",
            f"≤ {RECORD_BYTES_MAX} B",
            size <= RECORD_BYTES_MAX,
        ),
    ]


def _appends(store: Store, lines: Sequence[int], versions: list[int]) -> list[float]:
    """Seconds of each of some durable appends, less the first, which find cold caches."""
    took = []
    for number in range(200):
        line = lines[number % 16]
        start = time.perf_counter()
        store.append(f"account-{line}", (record(10_000_000 + number),), versions[line])
        if number >= 48:
            took.append(time.perf_counter() - start)
        versions[line] += 1
    return took


def tailing(quick: bool) -> list[Row]:
    """Row 16: another process appends, this one sees it; both read the machine's one clock."""
    count = 40 if quick else 400
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "bench.db"
        open_store(path, name="bench").close()
        reader, stop = open_reader(path), threading.Event()
        command = [sys.executable, "-c", _ELSEWHERE, str(path), str(count)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        seen: list[int] = []
        for _ in reader.tail(0, stop):
            seen.append(time.monotonic_ns())
            if len(seen) == count:
                stop.set()
        committed = [int(line) for line in process.communicate()[0].split()]
        reader.close()
    delays = sorted(max(0, s - c) / 1e6 for s, c in zip(seen, committed, strict=True))
    median = statistics.median(delays)
    return [
        Row(
            16,
            "from the commit to seen by another process",
            f"{median:.1f} ms",
            f"99 of 100 within {delays[count * 99 // 100]:.1f} ms",
            f"≤ {TAIL_MS_MAX:.0f} ms at the median",
            median <= TAIL_MS_MAX,
        )
    ]


MEASURES = (((12,), audit), ((16,), tailing), ((13, 14), growth))
