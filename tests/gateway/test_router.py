"""The reply router on a running gateway: one outcome a reply, and how a driver's answer maps."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import decode
from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.dice import Dice
from linewarden.gateway.driver import IdentityMismatch, NotSent, Outgoing, SendRejected
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError

from .scripted import ANNA, BERT, CHAT, WAIT_S, Scripted, bring_up, connect, drop, opened


@pytest.fixture
def driver() -> Scripted:
    return Scripted()


@pytest.fixture
def warden(tmp_path: Path, driver: Scripted) -> Iterator[Linewarden]:
    with opened(tmp_path / "log.db", driver) as made:
        yield made


def records_of(warden: Linewarden, reply: str) -> list[dict[str, Any]]:
    """What the log tells of a reply."""
    reader = warden.projections.reader
    return [decode(record.body) for record in reader.of_reply("main", reply)]


def test_a_reply_is_awaited(tmp_path: Path, driver: Scripted) -> None:
    """In a coroutine a reply is awaited; its result says outcome, controller and message id."""
    driver.sending = lambda outgoing: f"id-{outgoing.reply}"

    async def run() -> Any:
        async with opened(tmp_path / "log.db", driver) as warden:
            await warden.claim("main", "A")
            await warden.observe("main", "opened", controller="A")
            await warden.observe("main", "identity_observed", controller="A", forms=ANNA)
            return await warden.router.reply("main", CHAT, "hello", captured_on="A", id="r1")

    result = asyncio.run(run())
    assert result.sent
    assert (result.reply, result.outcome, result.via) == ("r1", "sent", "A")
    assert result.message_id == "id-r1"


def test_a_reply_has_a_sync_twin(warden: Linewarden, driver: Scripted) -> None:
    """In a thread the twin waits for the outcome, and the driver gets the real values."""
    bring_up(warden)
    result = warden.router.reply_sync("main", CHAT, {"text": "hello"}, timeout_s=WAIT_S)
    assert result.outcome == "sent"
    outgoing = driver.written[0]
    assert (outgoing.account, outgoing.controller) == ("main", "A")
    assert (outgoing.chat, outgoing.message) == (CHAT, {"text": "hello"})
    assert outgoing.identity == ANNA
    assert CHAT not in repr(outgoing)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_callable_message_gets_the_live_target(
    warden: Linewarden, driver: Scripted, asynchronous: bool
) -> None:
    """A message that is a callable is called with the live driver's target and gives the id."""
    given: list[Any] = []

    def write(target: Any) -> str:
        given.append(target)
        return "id-1"

    async def write_later(target: Any) -> str:
        return write(target)

    message = write_later if asynchronous else write
    bring_up(warden)
    result = warden.router.reply("main", CHAT, message).result(WAIT_S)
    assert (result.outcome, result.message_id) == ("sent", "id-1")
    assert given == [driver]


def test_a_held_reply_leaves_through_the_successor(warden: Linewarden, driver: Scripted) -> None:
    """A reply captured before a takeover leaves through the new controller of the identity."""
    successor = Scripted()
    bring_up(warden, driver=driver)
    drop(warden)
    handle = warden.router.reply("main", CHAT, "hello", captured_on="A")
    bring_up(warden, "B", driver=successor)
    assert handle.result(WAIT_S).via == "B"
    assert not driver.written
    assert [outgoing.controller for outgoing in successor.written] == ["B"]


def test_a_stranger_gets_nothing(warden: Linewarden, driver: Scripted) -> None:
    """A successor that is logged in as somebody else is no route: refused, never written."""
    bring_up(warden)
    drop(warden)
    handle = warden.router.reply("main", CHAT, "hello", captured_on="A")
    bring_up(warden, "B", forms=BERT)
    result = handle.result(WAIT_S)
    assert (result.outcome, result.reason) == ("refused", "identity_mismatch")
    assert not driver.written


def failing(*errors: Exception | None) -> Callable[[Outgoing], str]:
    """Fails once by each error, then writes."""
    left = list(errors)

    def sending(_outgoing: Outgoing) -> str:
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return "id-1"

    return sending


@pytest.mark.parametrize("error", [NotSent(), IdentityMismatch()])
def test_not_sent_is_written_again(warden: Linewarden, driver: Scripted, error: Exception) -> None:
    """What provably did not leave is held again, and leaves when an identity is proven anew."""
    driver.sending = failing(error)
    bring_up(warden)
    handle = warden.router.reply("main", CHAT, "hello", id="r1")
    driver.wait_for("send")
    drop(warden)
    connect(warden)
    assert handle.result(WAIT_S).outcome == "sent"
    assert len(driver.written) == 2
    kinds = [one["stimulus"].get("kind") for one in records_of(warden, "r1")]
    assert kinds == [None, "not_sent", None]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SendRejected(), "rejected"),
        (RuntimeError("the socket broke"), "uncertain"),
        (TimeoutError(), "uncertain"),
        (KeyError("phone"), "uncertain"),
    ],
)
def test_other_failures_are_final(
    warden: Linewarden, driver: Scripted, error: Exception, outcome: str
) -> None:
    """A rejection is final, and so is a failure after which nobody knows: no second write."""
    driver.sending = failing(error)
    bring_up(warden)
    assert warden.router.reply("main", CHAT, "hello").result(WAIT_S).outcome == outcome
    drop(warden)
    connect(warden)
    assert len(driver.written) == 1


@pytest.mark.parametrize("message_id", ["3EB0C767D097", "15550100001", "a/b+c=", "", "x" * 500, 7])
def test_an_odd_message_id_loses_no_acknowledgement(
    warden: Linewarden, driver: Scripted, message_id: Any
) -> None:
    """Whatever a driver returns as the id, the write was acknowledged and the reply is sent."""
    driver.sending = lambda _outgoing: message_id
    bring_up(warden)
    assert warden.router.reply("main", CHAT, "hello").result(2).outcome == "sent"


def test_a_driver_that_sends_nothing_sends_nothing(tmp_path: Path) -> None:
    """The default driver can't send, and says so: the reply is held, not lost and not `sent`."""
    with opened(tmp_path / "log.db") as warden:
        bring_up(warden)
        handle = warden.router.reply("main", CHAT, "hello", id="r1")
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        drop(warden)
        assert not handle.done()
        assert warden.router.pending == 1
    assert isinstance(handle.exception(WAIT_S), Exception) or handle.result().outcome == "expired"


def test_cancelling_the_wait_frees_the_place(tmp_path: Path, driver: Scripted) -> None:
    """When the task that awaits a held reply is cancelled, the reply is, and its place is free."""

    async def run() -> list[str]:
        how = {"policy": {"held_max_account": 1}}
        async with opened(tmp_path / "log.db", driver, **how) as warden:
            await warden.claim("main", "A")
            waiting = asyncio.ensure_future(_awaited(warden, "r1"))
            await warden.observe("main", "activity", controller="A")
            full = await warden.router.reply("main", CHAT, "second", id="r2")
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()
            third = warden.router.reply("main", CHAT, "third", id="r3")
            await warden.observe("main", "opened", controller="A")
            await warden.observe("main", "identity_observed", controller="A", forms=ANNA)
            return [full.reason or "", (await third).outcome]

    assert asyncio.run(run()) == ["overloaded", "sent"]
    assert [outgoing.reply for outgoing in driver.written] == ["r3"]


async def _awaited(warden: Linewarden, reply: str) -> Any:
    return await warden.router.reply("main", CHAT, "hello", id=reply)


def test_a_cancelled_reply_is_never_written_empty(warden: Linewarden, driver: Scripted) -> None:
    """A reply cancelled in flight and then not sent leaves with its message or not at all."""
    bring_up(warden)

    async def cancelled_meanwhile() -> str:
        handle.cancel()
        raise NotSent

    driver.sending = lambda _outgoing: cancelled_meanwhile()
    handle = warden.router.reply("main", CHAT, "hello", id="r1")
    driver.wait_for("send")
    driver.sending = lambda _outgoing: "id-1"
    drop(warden)
    connect(warden)
    warden.router.reply_sync("main", CHAT, "later", timeout_s=WAIT_S)
    assert {outgoing.message for outgoing in driver.written} <= {"hello", "later"}


def test_an_id_names_one_reply(warden: Linewarden, driver: Scripted) -> None:
    """The same id again is the same handle while it waits, and the same result when it is done."""
    bring_up(warden)
    drop(warden)
    first = warden.router.reply("main", CHAT, "hello", id="r1")
    assert warden.router.reply("main", CHAT, "hello", id="r1") is first
    connect(warden)
    result = first.result(WAIT_S)
    again = warden.router.reply("main", CHAT, "hello", id="r1").result(WAIT_S)
    assert (again.outcome, again.via) == (result.outcome, result.via) == ("sent", "A")
    assert len(driver.written) == 1
    assert warden.router.pending == 0


@pytest.mark.parametrize("outcome", ["sent", "rejected", "refused"])
def test_an_id_is_known_after_a_restart(tmp_path: Path, driver: Scripted, outcome: str) -> None:
    """After a restart the log alone knows what became of an id, and nothing is written again."""
    if outcome == "rejected":
        driver.sending = failing(SendRejected())
    captured_on = "nobody" if outcome == "refused" else None
    path, clock = tmp_path / "log.db", VirtualClock()
    with opened(path, driver, clock=clock) as warden:
        bring_up(warden)
        given = {"captured_on": captured_on, "id": "r1"}
        first = warden.router.reply("main", CHAT, "hello", **given).result(WAIT_S)
        assert first.outcome == outcome
    written = len(driver.written)
    with opened(path, driver, clock=clock, dice=Dice(4)) as warden:
        bring_up(warden, "B")
        again = warden.router.reply("main", CHAT, "hello", id="r1").result(WAIT_S)
        assert (again.outcome, again.reason, again.via) == (first.outcome, first.reason, first.via)
    assert len(driver.written) == written


def test_bad_replies_are_refused_at_once(warden: Linewarden) -> None:
    """A name, chat or deadline that is not understood raises at once and nothing is kept."""
    bring_up(warden)
    for how in (
        {"id": "has space"}, {"id": "15550100001"}, {"id": 5}, {"captured_on": "a@b"},
        {"captured_on": 5}, {"deadline_s": -1}, {"deadline_s": "soon"}, {"deadline_s": 1e12},
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            warden.router.reply("main", CHAT, "hello", **how)
        assert caught.value.hint
    for chat in ("", None, "x" * 300):
        with pytest.raises(InputError):
            warden.router.reply("main", chat, "hello")
    assert warden.router.pending == 0
    assert warden.projections.reader.head("main").version == 3
