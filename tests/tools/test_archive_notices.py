"""Archiving and notices: what no driver was told yet stays in the log, until one is."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.gateway.dice import Dice
from linewarden.gateway.notices import CURSOR, delivered, notices_of

from ..eventstore.archives import audited, moved
from ..gateway.scripted import WAIT_S, Bench, Scripted, bring_up, opened

LAST = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


class Busy(Scripted):
    """A driver that takes no notice before it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    async def notify(self, account: str, controller: str, told: str) -> None:
        await asyncio.to_thread(self.release.wait, WAIT_S)
        await super().notify(account, controller, told)


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A log whose gateway died with a notice undelivered; an older one was delivered."""
    path, busy = tmp_path / "alive" / "log.db", Busy()
    path.parent.mkdir()
    with opened(path, Scripted()) as warden:
        bring_up(warden)
        warden.observe("main", "replaced", controller="A").result(WAIT_S)
    with opened(path, busy, dice=Dice(4)) as warden:
        bring_up(warden, "B")
        warden.observe("main", "replaced", controller="B").result(WAIT_S)
        warden.observe("main", "activity", controller="B").result(WAIT_S)
        shutil.copytree(path.parent, tmp_path / "crashed", ignore=lambda *_: ["log.db.control"])
        busy.release.set()
    return tmp_path / "crashed" / "log.db"


def asked(path: Path) -> list[int]:
    """The versions of the log's account that ask for notices."""
    with SQLiteStore.open(path) as store:
        return [one.version for one in store.read_stream("main") if notices_of(one)]


def test_an_undelivered_notice_stays_and_is_delivered(crashed: Path, tmp_path: Path) -> None:
    """A stretch ends before it; once a driver has taken it, it can be archived, too."""
    first, undelivered = asked(crashed)
    (stretch,) = moved(crashed, LAST, tmp_path / "archive")
    assert first <= stretch.last < undelivered
    assert asked(crashed) == [undelivered]
    later = Scripted()
    with opened(crashed, later, dice=Dice(5)) as warden:
        assert later.wait_for("notify") == [("notify", "main", "B", "conflict")]
        warden.observe("main", "activity", controller="B").result(WAIT_S)
    assert moved(crashed, LAST, tmp_path / "archive")[-1].last > undelivered
    assert asked(crashed) == []
    assert audited(crashed, tmp_path / "archive")[0]
    with opened(crashed, last := Scripted(), dice=Dice(6)) as warden:
        warden.observe("main", "activity", controller="B").result(WAIT_S)
    assert last.named("notify") == []


def test_where_nobody_delivers_notices_none_is_waited_for(path: Path, tmp_path: Path) -> None:
    """A log that never had a gateway with drivers has no cursor, and is archived whole."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        told = bench.feed("replaced", controller="A").record.version
        bench.feed("activity", controller="A")
        assert delivered(bench.store, "main") is None
    assert asked(path) == [told]
    assert moved(path, LAST, tmp_path / "archive")[0].last > told


def test_an_account_without_a_cursor_beside_others_is_owed_all(path: Path, tmp_path: Path) -> None:
    """Where a gateway delivers, an account of which nothing was told yet keeps its notices."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        told = bench.feed("replaced", controller="A").record.version
        bench.claim("S", "second")
        bench.store.save_checkpoint(CURSOR, "second", 1, b"{}")
        bench.store.flush()
        assert delivered(bench.store, "main") == 0
    assert [(one.account, one.last) for one in moved(path, LAST, tmp_path / "archive")] == [
        ("main", told - 1), ("second", 1),
    ]  # fmt: skip
