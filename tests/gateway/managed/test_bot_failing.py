"""A bot that fails, and its end: nobody else is held up, and nothing personal is logged."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from linewarden.gateway.supervisor import bot as bot_module

from .chats import Chats
from .strings import WAIT_S, wait_until

SECRET = "under the old bridge, 15550100002"


@pytest.fixture
def chats() -> Iterator[Chats]:
    with Chats() as made:
        yield made


async def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), SystemExit(SECRET), KeyboardInterrupt(), StopIteration(SECRET),
     asyncio.CancelledError(SECRET)],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_bot_that_raises_is_heard_on(
    chats: Chats, kind: str, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises, only the type is logged, and the chat's next message is handed over."""
    caplog.set_level(logging.DEBUG)

    def answer(message: Any) -> str:
        if message.text == SECRET:
            raise error
        return str(message.text)

    async def answer_later(message: Any) -> str:
        return answer(message)

    bot = chats.run(answer if kind == "plain" else answer_later)
    bot.hand(chats.message(SECRET))
    bot.hand(chats.message("and now?"))
    assert chats.wait(1) == [("anna", "and now?")]
    assert bot.failed == 1
    assert "bridge" not in caplog.text
    assert caplog.records[-1].getMessage().startswith("account main: the bot failed: ")


def test_a_reply_that_is_refused_ends_nothing(
    chats: Chats, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the service takes no reply any more, that is logged by its type."""
    bot = chats.run(lambda given: str(given.text))
    bot.hand(chats.message("a", broken=RuntimeError(SECRET)))
    bot.hand(chats.message("b"))
    assert chats.wait(1) == [("anna", "b")]
    assert bot.failed == 1
    assert "RuntimeError" in caplog.text
    assert "bridge" not in caplog.text


@pytest.mark.parametrize("error", [ValueError(SECRET), SystemExit(SECRET)], ids=repr)
def test_tasks_that_a_bot_makes_may_fail_too(
    chats: Chats, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A task of its own that raises, or wants to exit, is counted, and ends neither bot nor log."""
    caplog.set_level(logging.DEBUG)
    failed = threading.Event()

    async def answer(message: Any) -> str:
        if not failed.is_set():
            task = asyncio.create_task(_raise(error))
            task.add_done_callback(lambda _: failed.set())
        return str(message.text)

    bot = chats.run(answer)
    bot.hand(chats.message("a"))
    assert failed.wait(WAIT_S)
    bot.hand(chats.message("b"))
    assert chats.wait(2) == [("anna", "a"), ("anna", "b")]
    assert bot.failed >= 1
    assert "bridge" not in caplog.text


def test_an_end_waits_for_what_is_being_answered(
    chats: Chats, caplog: pytest.LogCaptureFixture
) -> None:
    """The message under way gets its answer, what waits behind it is dropped, and later is late."""
    go, thinking = threading.Event(), threading.Event()

    async def think(message: Any) -> str:
        thinking.set()
        await asyncio.to_thread(go.wait, WAIT_S)
        return str(message.text)

    bot = chats.run(think)
    bot.hand(chats.message("first"))
    for _ in range(3):
        bot.hand(chats.message("waits"))
    assert thinking.wait(WAIT_S)
    ending = threading.Thread(target=bot.end, args=(WAIT_S,))
    ending.start()
    wait_until(lambda: bot._ending)
    go.set()
    ending.join(WAIT_S)
    bot.hand(chats.message("late"))
    bot.end(0)
    assert chats.replies == [("anna", "first")]
    assert not bot._thread.is_alive()
    assert "the end left 3 messages without the bot's answer" in caplog.text


@pytest.mark.parametrize("kind", ["plain", "coroutine", "blocking coroutine", "stubborn"])
def test_an_end_is_held_up_by_no_bot(
    chats: Chats, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A bot that thinks for ever is left, and what it says after it was cancelled is not sent."""
    monkeypatch.setattr(bot_module, "CANCEL_S", 0.05)
    go, thinking = threading.Event(), threading.Event()

    def block(message: Any) -> str:
        thinking.set()
        assert go.wait(WAIT_S)
        return str(message.text)

    async def block_the_loop(message: Any) -> str:
        return block(message)

    async def wait(_message: Any) -> None:
        thinking.set()
        await asyncio.Event().wait()

    async def resist(_message: Any) -> None:
        thinking.set()
        while not go.is_set():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    kinds = {
        "plain": block, "coroutine": wait, "blocking coroutine": block_the_loop, "stubborn": resist,
    }  # fmt: skip
    bot = chats.run(kinds[kind])
    bot.hand(chats.message("hello"))
    assert thinking.wait(WAIT_S)
    bot.end(0.01)
    go.set()
    bot._thread.join(WAIT_S)
    assert not bot._thread.is_alive()
    assert kind == "blocking coroutine" or chats.replies == []
