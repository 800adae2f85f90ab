"""A storm that is cut short: by a crash, a full disk, another writer, the end of the gateway."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.receipt import Decided
from linewarden.statemachine.policy import NS

from .scripted import WAIT_S, Bench, bring_up, content, opened
from .storms import LATE, audited, storm, superseded, times
from .test_commits import fill, foreign
from .test_crashes import copied


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    """An account whose second controller is live, and a first late close of the one before."""
    with Bench(tmp_path / "log.db") as made:
        superseded(made)
        yield made


def test_a_crash_loses_only_what_was_not_acknowledged(bench: Bench, tmp_path: Path) -> None:
    """A kill in the middle of a storm: what anybody was told of is in the log that is left."""
    answers = storm(bench, 1_000, 3 * NS)
    bench.service.store.flush()
    bench.service.answer()
    assert bench.service.folding
    told = {answer.record.id for answer in answers}
    assert 0 < len(answers) < 1_000
    left = copied(bench.path, tmp_path / "crashed")
    with Bench(left, clock=bench.clock, seed=2) as after:
        assert told <= {record.id for record in after.records()}
        assert sum(times(after)) == len(answers)
        assert after.service.account("main") == bench.service.account("main")
        after.service.start()
        storm(after, 10, NS // 10)
        after.service.flush()
        audited(after)


def test_who_lost_a_race_is_decided_anew(bench: Bench) -> None:
    """Another writer ended the state they were ignored in: each is decided on the new one."""
    answers: list[Any] = []
    bench.feed("keepalive_timeout", controller="B")
    for _ in range(6):
        bench.observe("keepalive_timeout", answers, controller="B")
    assert bench.service.folding
    foreign(bench, degraded=False)
    bench.service.flush()
    assert times(bench, kind="keepalive_timeout") == [1, 1, 1, 1, 3]
    changed = [content(record)["outcome"].get("changes") for record in bench.records()[-3:]]
    assert changed == [{"degraded": True}, None, None]
    assert [bool(answer.outcome.changes) for answer in answers] == [False, True] + [False] * 4
    assert not bench.service.unflushed


def test_a_full_disk_keeps_those_that_were_held(bench: Bench) -> None:
    """They wait with everything else that was seen, in order, until there is room."""
    fill(bench)
    before = bench.service.behind
    answers = storm(bench, 20, NS // 10)
    bench.observe("keepalive_timeout", controller="B")
    bench.service.flush()
    assert bench.service.behind == before + 21
    assert not answers
    bench.store.limit_size(None)
    bench.service.retry_backlog()
    bench.service.flush()
    assert len(answers) == 20
    assert [record.type for record in bench.records()[-3:]] == [
        "closed", "closed", "keepalive_timeout"
    ]  # fmt: skip
    assert times(bench)[-2:] == [1, 19]


def test_a_fold_that_fails_keeps_its_place(bench: Bench) -> None:
    """A commit fails while some are held: all wait, behind what failed, before what comes."""
    answers = storm(bench, 10, NS // 10)
    bench.store.limit_size(1)
    bench.store.flush()
    assert bench.service.folding
    bench.service.answer()
    assert bench.service.behind == 10
    bench.observe("keepalive_timeout", controller="B")
    bench.store.limit_size(None)
    bench.service.flush()
    assert not answers
    bench.service.retry_backlog()
    bench.service.flush()
    assert times(bench) == [1, 9]
    assert bench.records()[-1].type == "keepalive_timeout"
    assert len(answers) == 10
    audited(bench)


def test_the_loop_writes_what_is_held_within_a_second(tmp_path: Path) -> None:
    """On an event loop nobody has to ask: every receipt comes, and two records hold them all."""

    async def run() -> list[Decided]:
        async with opened(tmp_path / "log.db") as warden:
            await warden.claim("main", "A")
            await warden.claim("main", "B")
            fields = {name: value for name, value in LATE.items() if name != "stimulus"}
            await warden.observe("main", "closed", **fields)
            receipts = [warden.observe("main", "closed", **fields) for _ in range(500)]
            return [await asyncio.wait_for(receipt, WAIT_S) for receipt in receipts]

    decided = asyncio.run(run())
    assert Counter(answer.record.version for answer in decided) == {4: 1, 5: 499}
    assert content(decided[-1].record)["stimulus"]["times"] == 499


def test_who_waits_for_each_is_not_held_up(tmp_path: Path) -> None:
    """Ten observed in turn, each waited for, in a coroutine or a thread, need no ten seconds."""
    fields = {name: value for name, value in LATE.items() if name != "stimulus"}

    async def awaits() -> None:
        async with opened(tmp_path / "awaits.db") as warden:
            await warden.claim("main", "A")
            await warden.claim("main", "B")
            for _ in range(10):
                await warden.observe("main", "closed", **fields)

    asyncio.run(asyncio.wait_for(awaits(), WAIT_S / 4))
    with opened(tmp_path / "waits.db") as warden:
        warden.claim("main", "A").result(WAIT_S)
        warden.claim("main", "B").result(WAIT_S)
        limit = time.monotonic() + WAIT_S / 4
        for _ in range(10):
            warden.observe("main", "closed", **fields).result(limit - time.monotonic())
            assert not warden.observe("main", "closed", **fields).exception(WAIT_S)
        assert time.monotonic() < limit


def test_the_end_writes_what_is_held(tmp_path: Path) -> None:
    """A storm that lasts until the gateway ends is in the log, before the rest of the account."""
    path = tmp_path / "log.db"
    with opened(path) as warden:
        bring_up(warden)
        warden.claim("main", "B").result(WAIT_S)
        fields = {name: value for name, value in LATE.items() if name != "stimulus"}
        receipts = [warden.observe("main", "closed", **fields) for _ in range(200)]
    assert all(receipt.result(WAIT_S) for receipt in receipts)
    with Bench(path) as bench:
        assert sum(times(bench)) == 200
        assert bench.records()[-1].type == "service_stopped"
        audited(bench)
