"""Rows 7 and 8: folds of the log, beside bare folds of the same rows and a peer's runner.

The log holds whole lives of lines: openings, proofs, signs of life, drops, replies. Raw is the
standard library's sqlite3 over the same file: a scan of the columns, and a fold that decodes every
body with orjson and keeps the state alone. Peer is `bench_eventsourcing`: the least projection,
which only counts, over one aggregate's events, with its SQLite recorder and with one in memory.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson

from ..eventstore import Reader, open_reader, open_store
from ..projections.content import merge, read
from ..projections.projections import Projections, rebuilt
from ..projections.standings import standings
from ..statemachine.account import FIELDS, Account
from .bench import Row, against, median_seconds, rate
from .bench_material import live
from .bench_store import peer

COLUMNS_MIN, BODIES_MIN = 1_500_000, 450_000
REBUILD_MIN, REBUILD_PEER_MIN = 0.5, 50.0
LINES = 100

_COLUMNS = "SELECT stream, at, state FROM records ORDER BY position"
_BODIES = "SELECT stream, CAST(record AS BLOB) FROM records ORDER BY position"


class _Folds:
    """The contestants, over one file."""

    def __init__(self, path: Path) -> None:
        self.reader: Reader = open_reader(path)
        self._bare = sqlite3.connect(path)

    def bare_columns(self) -> None:
        """Scan the columns, keep the last state."""
        _ = {stream: state for stream, _, state in self._bare.execute(_COLUMNS)}

    def columns(self) -> None:
        """Since when every account is in its state, from the columns alone."""
        standings([self._bare.execute(_COLUMNS)])

    def bare_bodies(self) -> None:
        """Decode every body, keep the last state."""
        states = {}
        for stream, body in self._bare.execute(_BODIES):
            changes = orjson.loads(body)["outcome"].get("changes")
            if changes and "state" in changes:
                states[stream] = changes["state"]

    def bodies(self) -> dict[int, Account]:
        """The whole account of every stream, as the machine decides on it."""
        fields: dict[int, dict[str, Any]] = {}
        for stream, body in self._bare.execute(_BODIES):
            changes = read(body).outcome.changes
            known = fields.get(stream)
            if known is None:
                start = msgspec.structs.astuple(Account())
                known = fields[stream] = dict(zip(FIELDS, start, strict=True))
            merge(known, changes)
            known.update(changes)
        return {stream: Account(*known.values()) for stream, known in fields.items()}

    def rebuild(self) -> None:
        """Every projection of every account, as `rebuild_all` does it: every leaf is checked."""
        Projections(self.reader).rebuild_all()

    def rebuild_unchecked(self) -> None:
        """The same without hashing, which the bare fold doesn't do either."""
        rebuilt(self.reader.pages(checked=False))

    def close(self) -> None:
        """Close the file."""
        self._bare.close()
        self.reader.close()


def folds(quick: bool) -> list[Row]:
    """Rows 7 and 8: what it takes to know everything again from the first record on."""
    records, events, rounds = (20_000, 1_000, 3) if quick else (200_000, 3_000, 9)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "bench.db"
        store = open_store(path, name="bench")
        live(store, records, LINES)
        store.close()
        made = _Folds(path)
        names = "bare_columns columns bare_bodies bodies rebuild rebuild_unchecked".split()
        calls: dict[str, Callable[[], object]] = {name: getattr(made, name) for name in names}
        module = peer()
        theirs = module.Projecting(Path(place), events) if module else None
        if theirs is not None:
            calls |= {"peer": theirs.durable, "peer in memory": theirs.in_memory}
        took = median_seconds(calls, rounds)
        if theirs is not None:
            theirs.close()
        made.close()
    rates = {name: records / seconds for name, seconds in took.items()}
    unchecked = rates["rebuild_unchecked"]
    columns, bodies = rates["columns"], rates["bodies"]
    return [
        Row(
            7,
            "fold into states, from the columns alone",
            rate(columns, 1),
            f"bare scan {rate(rates['bare_columns'], 1)}",
            f"≥ {rate(COLUMNS_MIN, 1)}",
            columns >= COLUMNS_MIN,
        ),
        Row(
            7,
            "fold into whole accounts, from the bodies",
            rate(bodies, 1),
            f"bare fold of the bodies {rate(rates['bare_bodies'], 1)}",
            f"≥ {rate(BODIES_MIN, 1)}",
            bodies >= BODIES_MIN,
        ),
        against(
            8, "rebuild of all projections, hashes checked", rates["rebuild"],
            "bare fold", rates["bare_bodies"], REBUILD_MIN,
        ),
        against(
            8, "rebuild of all projections, unchecked", unchecked,
            "bare fold", rates["bare_bodies"], REBUILD_MIN,
        ),
        _beside_peer(
            rates["rebuild"], *(events / took[name] for name in took if name.startswith("peer"))
        ),
    ]  # fmt: skip


def _beside_peer(ours: float, durable: float | None = None, in_memory: float = 0.0) -> Row:
    row = against(
        8, "rebuild of all projections, hashes checked", ours, "peer", durable, REBUILD_PEER_MIN
    )
    if not in_memory:
        return row
    also = f"{row.beside} (in memory {rate(in_memory, 1)}: {ours / in_memory:.1f} ×)"
    return msgspec.structs.replace(row, beside=also)


MEASURES = (((7, 8), folds),)
