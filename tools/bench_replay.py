"""Row 6: the replay of an incident, with every outcome compared.

Ours reads each record, decides it and compares the outcome's bytes: of an incident in memory, of a
log, of the file of a bundle, which is proven line by line. Beside it stands the machine of
`transitions` as its user would have it, fed the same triggers one by one: it finds the next state
and does no more. It reads and compares nothing, and who fed it knew the triggers, which are half of
a decision.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ..eventstore import NewRecord, Record, open_store
from ..eventstore.bundle_format import Bundle
from ..eventstore.bundle_writing import write_bundle
from ..eventstore.chained import chained
from ..gateway.dice import Dice
from ..gateway.recording import write
from ..statemachine import stimuli as st
from ..statemachine.account import Account
from ..statemachine.decision import decide
from ..statemachine.lifecycle import State
from ..statemachine.machine import ImpossibleStep, build_machine, compiled_step, step
from .bench import Row, against, median_seconds, rate
from .bench_machine import T0, day
from .incident import incident_of
from .replay.replay import replay

REPLAYED_MIN, TRANSITIONS_MIN = 150_000, 10.0


def incident(cycles: int) -> Bundle:
    """An incident of a line that goes through so many drops, as a log would hold it."""
    dice, account = Dice(1), Account()
    news: list[NewRecord] = []
    for stimulus in (st.Claimed(at=T0, controller="A", holder="h"), *day(cycles)):
        outcome, account = decide(account, stimulus, compiled_step)
        news.append(write(dice, stimulus, outcome, account, None, {}))
    return chained(news, bytes(16), "main")


def replays(quick: bool) -> list[Row]:
    """Row 6: from wherever the records are to the comparison of every outcome."""
    bundle = incident(1_000 if quick else 10_000)
    count = len(bundle.records)
    with tempfile.TemporaryDirectory() as place:
        file, log = Path(place) / "bench.incident.jsonl.gz", Path(place) / "bench.db"
        write_bundle(file, bundle.header, bundle.records, bundle.trailer)
        _write_log(log, bundle.records)
        took = median_seconds(
            {
                "memory": lambda: replay(bundle),
                "log": lambda: replay(incident_of(log)),
                "file": lambda: replay(incident_of(file)),
                "closed": lambda: replay(bundle, closed=True),
                "by transitions": lambda: replay(bundle, step=step),
                "transitions alone": _fed(bundle),
            },
            5,
        )
    rates = {name: count / seconds for name, seconds in took.items()}
    what, beside = "replay of an incident, every outcome compared", "transitions alone"
    return [
        _row(
            what,
            rates["memory"],
            f"by the machine of transitions {rate(rates['by transitions'], 1)}, "
            f"closed loop {rate(rates['closed'], 1)}",
        ),
        _row(
            "the same, straight from a log",
            rates["log"],
            f"from the file of a bundle, proven, {rate(rates['file'], 1)}",
        ),
        against(
            6, what, rates["memory"], f"{beside}, fed one by one,", rates[beside], TRANSITIONS_MIN
        ),
    ]


def _row(what: str, ours: float, beside: str) -> Row:
    must = f"≥ {rate(REPLAYED_MIN, 1)}"
    return Row(6, what, rate(ours, 1), beside, must, ours >= REPLAYED_MIN)


def _write_log(path: Path, records: list[Record]) -> None:
    store = open_store(path, name="bench")
    made = [NewRecord(r.id, r.at, r.type, r.state, r.reply, r.body) for r in records]
    for start in range(0, len(made), 1_000):
        store.append("main", made[start : start + 1_000])
    store.close()


class _Line:
    """A model of `transitions`: the machine gives it its state, and its own `trigger`."""

    def trigger(self, name: str) -> bool:
        """Fire an event; the machine puts what does it in this place."""
        raise ImpossibleStep(name)


def _fed(bundle: Bundle) -> Callable[[], None]:
    """Feed the triggers of an incident to a machine of `transitions`, and no more."""
    triggers: list[str] = []

    def noted(state: State, trigger: str) -> tuple[State, str]:
        triggers.append(trigger)
        return compiled_step(state, trigger)

    replay(bundle, step=noted)
    line = _Line()
    build_machine().add_model(line, State.CONNECTING)

    def feed() -> None:
        for trigger in triggers:
            line.trigger(trigger)

    return feed


MEASURES = (((6,), replays),)
