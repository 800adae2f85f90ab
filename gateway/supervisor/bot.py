"""The bot of an account, beside the service: it may block, hang or fail and hold up nobody else.

It has a thread with an event loop of its own. A coroutine function runs on that loop, a plain
function in a daemon thread; messages of one chat come one after another, chats side by side. What
a bot raises may quote a message, so of an exception no more than its type is logged.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import operator
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from ...statemachine.errors import InputError
from ..redaction import package_logger, redact
from ..threads import in_thread
from .inbound import Message

MESSAGES_MAX = 1_024
"""Messages that a bot may have before it, those being answered included; one more is refused."""

THREADS_MAX = 32
"""Calls of a plain function at once."""

CANCEL_S = 0.5
"""How long what is cancelled at an end has to clean up."""

_LEFT = (asyncio.CancelledError, GeneratorExit)
"""What an end does to a call that it leaves."""

log = package_logger("linewarden.bot")


class BotError(InputError):
    """The bot can't be loaded."""


def load_bot(where: str) -> Callable[[Any], Any]:
    """The function that `module:function` names; the working folder is looked at first.

    Raises `BotError`.
    """
    place, _, name = where.partition(":")
    if not all(part.isidentifier() for part in (*place.split("."), *name.split("."))):
        raise BotError(
            f"the bot {redact(where, 100)} is not of the form module:function",
            hint="such as linewarden.tools.echo:answer; a file bot.py is the module bot",
        )
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(place)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the bot's own code raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{place}.".startswith(f"{missing}."):
            raise BotError(
                f"there is no module {place} for the bot",
                hint="run it in the folder of the module, or install the module",
            ) from None
        raise BotError(
            f"the bot's module {place} fails as it is imported: {type(error).__name__}",
            hint=f"python -c 'import {place}' shows where",
        ) from None
    try:
        found: Any = operator.attrgetter(name)(module)
    except AttributeError:
        raise BotError(
            f"the module {place} has no {name}", hint="the bot is module:function"
        ) from None
    if not callable(found):
        raise BotError(f"{where} can't be called", hint="give a function of one message")
    return cast("Callable[[Any], Any]", found)


class Bot:
    """Hands messages to a function, and sends the text that it returns as the reply.

    `failed` counts the messages on which it raised, `overloaded` those that were refused to it.
    """

    def __init__(self, function: Callable[[Any], Any], account: str) -> None:
        self._function = function
        self._account = account
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="linewarden-bot", daemon=True)
        self._slots = asyncio.Semaphore(THREADS_MAX)
        self._chats: dict[str, deque[Message]] = {}
        """The messages of each chat, in order; the first is being answered."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._unanswered = 0
        self._ending = False
        self._over = False
        self.failed = 0
        self.overloaded = 0

    def hand(self, message: Message) -> None:
        """Take a message, or refuse it where too many wait; any thread may call, none is held."""
        with self._lock:
            if self._ending:
                return
            if self._unanswered < MESSAGES_MAX:
                self._unanswered += 1
                if self._loop is None:
                    self._loop = asyncio.new_event_loop()
                    self._loop.set_exception_handler(self._failed_beside)
                    self._thread.start()
                self._loop.call_soon_threadsafe(self._take, message)
                return
            self.overloaded += 1
        log.warning(
            "account %s: a message was not handed to the bot, which has %d before it",
            self._account,
            MESSAGES_MAX,
        )

    def end(self, within_s: float) -> None:
        """Drop what waits, and wait so long, or a bit longer, for what is being answered."""
        with self._lock:
            if self._ending:
                return
            self._ending = True
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._wind_up(within_s), self._loop)
            self._thread.join(within_s + CANCEL_S)
        if self.failed or self.overloaded:
            log.info(
                "account %s: the bot failed on %d messages, and %d came when too many waited",
                self._account,
                self.failed,
                self.overloaded,
            )
        if self._unanswered:
            log.warning(
                "account %s: the end left %d messages without the bot's answer",
                self._account,
                self._unanswered,
            )

    # On the thread of the bot

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        while not self._over:
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - a task of the bot's wants to exit
                self._count_failure(error)
        loop.close()

    def _take(self, message: Message) -> None:
        waiting = self._chats.setdefault(message.chat, deque())
        waiting.append(message)
        if len(waiting) == 1:
            task = asyncio.get_running_loop().create_task(self._converse(message.chat))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _converse(self, chat: str) -> None:
        waiting = self._chats[chat]
        while waiting and not self._ending:
            await self._answer(waiting[0])
            waiting.popleft()
            with self._lock:
                self._unanswered -= 1
        del self._chats[chat]

    async def _answer(self, message: Message) -> None:
        try:
            said = await self._call(message)
            if isinstance(said, str) and said:
                message.reply(said)
        except BaseException as error:
            # One message must not stop the others. A bot may raise even this by itself, where
            # what it awaits is cancelled.
            if self._ending and isinstance(error, _LEFT):
                raise
            self._count_failure(error)

    async def _call(self, message: Message) -> Any:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(message)
        async with self._slots:
            said = await in_thread(asyncio.get_running_loop(), self._function, message)
        return await said if inspect.iscoroutine(said) else said

    def _failed_beside(self, _loop: object, context: dict[str, Any]) -> None:
        """A task that the bot made failed, and nobody looked."""
        if "exception" in context:
            self._count_failure(context["exception"])

    def _count_failure(self, error: BaseException) -> None:
        self.failed += 1
        where = traceback.extract_tb(error.__traceback__)
        place = f" in {os.path.basename(where[-1].filename)}:{where[-1].lineno}" if where else ""
        log.error("account %s: the bot failed: %s%s", self._account, type(error).__name__, place)

    async def _wind_up(self, within_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=CANCEL_S)
        self._over = True
        asyncio.get_running_loop().stop()
