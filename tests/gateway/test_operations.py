"""Operations around replies: best effort, on the live controller, under the same guard."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.router import Skipped
from linewarden.gateway.warden import Linewarden

from .scripted import BERT, WAIT_S, Scripted, bring_up, drop, opened


@pytest.fixture
def driver() -> Scripted:
    return Scripted()


@pytest.fixture
def warden(tmp_path: Path, driver: Scripted) -> Iterator[Linewarden]:
    with opened(tmp_path / "log.db", driver) as made:
        yield made


def test_an_operation_runs_on_the_live_controller(warden: Linewarden, driver: Scripted) -> None:
    """Typing, receipts and metadata run on the live driver's target and give its result."""
    bring_up(warden)
    version = warden.projections.reader.head("main").version
    promise = warden.router.perform("main", lambda target: (target, "typing"), captured_on="A")
    assert promise.result(WAIT_S) == (driver, "typing")
    assert warden.projections.reader.head("main").version == version


def test_an_operation_is_skipped_in_a_gap(warden: Linewarden) -> None:
    """Without a live controller, or as somebody else, an operation is skipped at once."""
    called: list[Any] = []
    bring_up(warden)
    drop(warden)
    in_gap = warden.router.perform("main", called.append)
    bring_up(warden, "B", forms=BERT)
    as_stranger = warden.router.perform("main", called.append, captured_on="A")
    nowhere = warden.router.perform("elsewhere", called.append)
    for promise in (in_gap, as_stranger, nowhere):
        assert isinstance(promise.exception(WAIT_S), Skipped)
    assert not called


def test_an_operation_that_fails_tells_who_asked(warden: Linewarden) -> None:
    """An exception of an operation is the gateway's own, and is given to it as it is."""

    def fail(_target: Any) -> None:
        raise LookupError("no such group")

    bring_up(warden)
    assert isinstance(warden.router.perform("main", fail).exception(WAIT_S), LookupError)


def test_an_operation_may_be_given_up(warden: Linewarden) -> None:
    """A promise that was cancelled meanwhile is no error of the gateway's."""
    bring_up(warden)

    given = threading.Event()

    async def slow(_target: Any) -> None:
        await asyncio.to_thread(given.wait, WAIT_S)
        promise.cancel()

    promise = warden.router.perform("main", slow)
    given.set()
    assert warden.router.perform("main", lambda _target: "next").result(WAIT_S) == "next"
    assert promise.cancelled()
