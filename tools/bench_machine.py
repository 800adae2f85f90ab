"""Rows 5 and 17: one decision, what a connection weighs, and what an import costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tracemalloc

from ..statemachine import stimuli as st
from ..statemachine.account import Account
from ..statemachine.decision import decide
from ..statemachine.machine import Lookup, compiled_step, step
from .bench import Row, median_seconds

T0 = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
DECISION_US_MAX = 5.0
CONNECTION_BYTES_MAX = 300
IMPORT_MS_MAX = 120


def day(cycles: int) -> list[st.Stimulus]:
    """What a line goes through: signs of life, drops, reopenings, proofs, timers."""
    row: list[st.Stimulus] = []
    at = T0
    forms = {"pn": "idn_a", "lid": "idn_b"}
    for _ in range(cycles):
        row += [
            st.Activity(at=at + 1, controller="A", source="whatsmeow"),
            st.Closed(at=at + 2 * SECOND, controller="A", source="whatsmeow"),
            st.Opened(at=at + 3 * SECOND, controller="A", source="whatsmeow"),
            st.IdentityObserved(
                at=at + 3 * SECOND, controller="A", source="whatsmeow", forms=forms
            ),
            st.KeepaliveTimeout(at=at + 4 * SECOND, controller="A", source="whatsmeow"),
            st.TimerFired(at=at + 64 * SECOND, controller="A", source="timer", timer="stability"),
        ]
        at += 70 * SECOND
    return row


def decisions(quick: bool) -> list[Row]:
    """Row 5: decide, which gives the evolved state too, by the compiled table."""
    row = day(1_000 if quick else 5_000)
    _, claimed = decide(Account(), st.Claimed(at=T0, controller="A", holder="h"))

    def run(read: Lookup) -> None:
        account = claimed
        for stimulus in row:
            _, account = decide(account, stimulus, read)

    took = median_seconds(
        {"compiled": lambda: run(compiled_step), "transitions": lambda: run(step)}, 7
    )
    each = {name: seconds / len(row) * 1e6 for name, seconds in took.items()}
    size, count = _bytes_a_connection(5_000 if quick else 100_000)
    return [
        Row(
            5,
            "decide + evolve a stimulus, compiled table",
            f"{each['compiled']:.2f} µs",
            f"transitions machine {each['transitions']:.2f} µs",
            f"≤ {DECISION_US_MAX:.0f} µs",
            each["compiled"] <= DECISION_US_MAX,
        ),
        Row(
            5,
            f"state of a connection, of {count:,}",
            f"{size:.0f} B",
            f"the bare struct {sys.getsizeof(claimed)} B",
            f"≤ {CONNECTION_BYTES_MAX} B",
            size <= CONNECTION_BYTES_MAX,
        ),
    ]


def _bytes_a_connection(count: int) -> tuple[float, int]:
    """Memory of connected accounts with proven identities, names and tokens included."""
    accounts: list[Account] = []
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        account = Account()
        name = f"c{number}"
        forms = {"pn": f"idn_{number}p", "lid": f"idn_{number}l"}
        for stimulus in (
            st.Claimed(at=T0, controller=name, holder="h"),
            st.Opened(at=T0 + SECOND, controller=name),
            st.IdentityObserved(at=T0 + SECOND, controller=name, forms=forms),
        ):
            _, account = decide(account, stimulus, compiled_step)
        accounts.append(account)
    size = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return size / count, count


def imports(quick: bool) -> list[Row]:
    """Row 17: a fresh interpreter that imports the package and its face, less an empty one."""
    code = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1e3)"
    what = {
        "import linewarden": "from linewarden import Linewarden",
        "sqlite_utils alone": "import sqlite_utils",
    }
    took = {name: [] for name in what}  # type: dict[str, list[float]]
    for _ in range(3 if quick else 9):
        for name, statement in what.items():
            done = subprocess.run(
                [sys.executable, "-c", code.format(statement)],
                capture_output=True,
                text=True,
                check=True,
            )
            took[name].append(float(done.stdout))
    ours, theirs = (statistics.median(took[name]) for name in what)
    return [
        Row(
            17,
            "import of the package and its face",
            f"{ours:.0f} ms",
            f"sqlite_utils alone {theirs:.0f} ms",
            f"≤ {IMPORT_MS_MAX} ms",
            ours <= IMPORT_MS_MAX,
        )
    ]


MEASURES = (((5,), decisions), ((17,), imports))
