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

MODULES = ("bench_machine", "bench_store", "bench_projections", "bench_gateway")


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


def rate(count: int, seconds: float) -> str:
    """So many a second, readable."""
    value = count / seconds
    return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
