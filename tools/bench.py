"""`linewarden bench`: how fast, with a peer or the physical limit beside it in the same run.

Each row of docs/performance.md is measured by one function of the modules `bench_*`. Contestants
take turns and medians are compared, because a machine is never equally fast twice. Nothing here is
a test: a busy machine makes figures worse, and ratios less so.
"""

from __future__ import annotations

import gc
import importlib
import statistics
import time
from collections.abc import Callable, Iterable

import msgspec

MODULES = (
    "bench_store",
    "bench_machine",
    "bench_projections",
    "bench_gateway",
    "bench_growth",
    "bench_replay",
)
PEER_MISSING = "peer not installed (make bench installs it)"


class Row(msgspec.Struct, frozen=True):
    """One figure with what it is held against. `reached` says whether it does what it must."""

    number: int
    what: str
    measured: str
    beside: str
    must: str
    reached: bool


def rows(only: Iterable[int], quick: bool) -> list[Row]:
    """Measure the rows asked for, or all; `quick` uses small amounts, for a look."""
    wanted = set(only)
    found: list[Row] = []
    for name in MODULES:
        module = importlib.import_module(f".{name}", __package__)
        for numbers, measure in module.MEASURES:
            if not wanted or wanted & set(numbers):
                gc.collect()
                found += [row for row in measure(quick) if not wanted or row.number in wanted]
    return sorted(found, key=lambda row: row.number)


def median_seconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each call, the contestants taking turns."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            took[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in took.items()}


def against(
    number: int, what: str, ours: float, name: str, theirs: float | None, factor_min: float
) -> Row:
    """A row that must be so many times another contestant; both in records a second.

    `theirs` is None where the peer is not installed: then nothing is shown to be reached.
    """
    factor = ours / theirs if theirs else 0.0
    return Row(
        number,
        what,
        rate(ours, 1),
        f"{name} {rate(theirs, 1)}: {factor:.2f} ×" if theirs else PEER_MISSING,
        f"≥ {factor_min:g} × {name.partition(',')[0]}",
        factor >= factor_min,
    )


def rate(count: float, seconds: float) -> str:
    """So many a second, readable."""
    value = count / seconds
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
