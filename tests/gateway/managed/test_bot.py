"""The bot beside the service: in order within a chat, bounded, and never in anybody's way."""

import asyncio
import functools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from linewarden.gateway.supervisor import bot as bot_module
from linewarden.gateway.supervisor.bot import THREADS_MAX, Bot

from .chats import Chats
from .strings import WAIT_S

SECRET = "under the old bridge, 15550100002"


@pytest.fixture
def chats() -> Iterator[Chats]:
    with Chats() as made:
        yield made


def echo(message: Any) -> str:
    return str(message.text)


async def echo_later(message: Any) -> str:
    await asyncio.wait_for(asyncio.to_thread(lambda: None), WAIT_S)
    return str(message.text)


def echo_wrapped(message: Any) -> Any:
    return echo_later(message)


class Echo:
    async def __call__(self, message: Any) -> str:
        return await echo_later(message)


@pytest.mark.parametrize(
    "function",
    [echo, echo_later, Echo(), functools.partial(echo_later), echo_wrapped],
    ids=["plain", "coroutine", "object", "partial", "wrapped"],
)
def test_returned_text_is_the_reply(chats: Chats, function: Any) -> None:
    """Plain functions and coroutine functions, in whatever shape, in order within a chat."""
    bot = chats.run(function)
    for number in range(20):
        bot.hand(chats.message(str(number)))
    assert chats.wait(20) == [("anna", str(number)) for number in range(20)]
    assert (bot.failed, bot.overloaded) == (0, 0)


@pytest.mark.parametrize("said", [None, "", 7, b"bytes"])
def test_anything_but_text_is_no_reply(chats: Chats, said: Any) -> None:
    """Nothing is sent for it, and the next message is heard."""
    answers = [said, "text"]
    bot = chats.run(lambda _: answers.pop(0))
    bot.hand(chats.message("a"))
    bot.hand(chats.message("b"))
    assert chats.wait(1) == [("anna", "text")]
    assert bot.failed == 0


def test_chats_don_t_wait_for_each_other(chats: Chats) -> None:
    """While one chat's message is thought about, the next of that chat waits, and others don't."""
    go, thinking = threading.Event(), threading.Event()

    def think(message: Any) -> str:
        if message.text == "hard":
            thinking.set()
            assert go.wait(WAIT_S)
        return str(message.text)

    bot = chats.run(think)
    for text, chat in (("hard", "anna"), ("easy", "anna"), ("easy", "bert")):
        bot.hand(chats.message(text, chat))
    assert thinking.wait(WAIT_S)
    assert chats.wait(1) == [("bert", "easy")]
    go.set()
    assert chats.wait(3)[1:] == [("anna", "hard"), ("anna", "easy")]


def test_plain_functions_have_a_bounded_number_of_threads(chats: Chats) -> None:
    """At most 32 run at once, in daemon threads; the others get their turn."""
    together = threading.Barrier(THREADS_MAX + 1)
    running: list[bool] = []

    def think(message: Any) -> str:
        running.append(threading.current_thread().daemon)
        together.wait(WAIT_S)
        return str(message.text)

    bot = chats.run(think)
    for number in range(2 * THREADS_MAX):
        bot.hand(chats.message("hello", chat=f"chat {number}"))
    together.wait(WAIT_S)
    chats.wait(THREADS_MAX)
    together.wait(WAIT_S)
    chats.wait(2 * THREADS_MAX)
    assert running == [True] * 2 * THREADS_MAX


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_a_bot_that_blocks_holds_up_nobody(
    chats: Chats, kind: str, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Handing over returns at once; what is too much is refused, counted and logged harmlessly."""
    monkeypatch.setattr(bot_module, "MESSAGES_MAX", 10)
    go = threading.Event()

    def block(message: Any) -> str:
        assert go.wait(WAIT_S)
        return str(message.text)

    async def block_the_loop(message: Any) -> str:
        return block(message)

    bot = chats.run(block if kind == "plain" else block_the_loop)
    for number in range(13):
        bot.hand(chats.message(f"{number} {SECRET}", chat=f"{number % 3} {SECRET}"))
    assert (bot.overloaded, chats.replies) == (3, [])
    go.set()
    assert len(chats.wait(10)) == 10
    bot.hand(chats.message("there is room again"))
    chats.wait(11)
    lines = [line.getMessage() for line in caplog.records]
    assert (
        lines == ["account main: a message was not handed to the bot, which has 10 before it"] * 3
    )


def test_a_bot_that_was_never_asked_has_no_thread() -> None:
    """It costs nothing until the first message, and its end is at once."""
    bot = Bot(echo, "main")
    assert not bot._thread.is_alive()
    bot.end(WAIT_S)
