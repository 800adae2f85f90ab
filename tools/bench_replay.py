"""Row 6: the replay of an incident, open and closed loop, with every outcome compared."""

from __future__ import annotations

from ..eventstore import Record, chain
from ..eventstore.bundle import Bundle, Header, Point, Trailer, table_hash
from ..gateway.dice import Dice
from ..gateway.recording import write
from ..statemachine import stimuli as st
from ..statemachine.account import Account
from ..statemachine.decision import decide
from ..statemachine.machine import compiled_step, step
from ..statemachine.version import SCHEMA, VERSION
from .bench import Row, median_seconds, rate
from .bench_machine import T0, day
from .replay.replay import replay

REPLAYED_K_S_MIN = 150


def incident(cycles: int) -> Bundle:
    """An incident of a line that goes through so many drops, as a log would hold it."""
    log, dice, account = bytes(16), Dice(1), Account()
    before = link = chain.genesis(log, "main")
    records: list[Record] = []
    claimed = st.Claimed(at=T0, controller="A", holder="h")
    for number, stimulus in enumerate([claimed, *day(cycles)], 1):
        outcome, account = decide(account, stimulus, compiled_step)
        new = write(dice, stimulus, outcome, account, None, {})
        leaf = chain.leaf(new.body)
        link = chain.link(link, leaf)
        plain = (new.id, new.at, new.type, new.state, new.reply, new.body)
        records.append(Record(number, "main", number, *plain, leaf, link))
    header = Header(
        log=log.hex(),
        account="main",
        first=1,
        last=len(records),
        before=Point(0, before.hex()),
        snapshot={},
        policy={},
        build=VERSION,
        schema=SCHEMA,
        table=table_hash(),
        at=T0,
    )
    return Bundle(header, records, Trailer(len(records), Point(len(records), link.hex())))


def replays(quick: bool) -> list[Row]:
    """Row 6: from the records of a bundle to the comparison of every outcome."""
    bundle = incident(1_000 if quick else 10_000)
    count = len(bundle.records)
    took = median_seconds(
        {
            "compiled": lambda: replay(bundle),
            "transitions": lambda: replay(bundle, step=step),
            "closed": lambda: replay(bundle, closed=True),
        },
        5,
    )
    return [
        Row(
            6,
            "replay of an incident, every outcome compared",
            rate(count, took["compiled"]),
            f"by the machine of transitions {rate(count, took['transitions'])}, "
            f"closed loop {rate(count, took['closed'])}",
            f"≥ {REPLAYED_K_S_MIN:.1f} k/s",
            count / took["compiled"] >= REPLAYED_K_S_MIN * 1000,
        )
    ]


MEASURES = (((6,), replays),)
