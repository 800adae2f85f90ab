"""Chats that a bot answers: makes messages and bots, and notes the replies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

from linewarden.gateway.supervisor.bot import Bot

from .strings import WAIT_S, wait_until


class Chats:
    """Stands in for the inbox and the router. Its bots end with it."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._bots: list[Bot] = []

    def run(self, function: Callable[[Any], Any]) -> Bot:
        """A bot that answers with this function."""
        self._bots.append(Bot(function, "main"))
        return self._bots[-1]

    def message(self, text: str, chat: str = "anna", broken: Exception | None = None) -> Any:
        """A message whose reply is noted, or fails."""

        def reply(content: str) -> None:
            if broken is not None:
                raise broken
            with self._changed:
                self.replies.append((chat, content))
                self._changed.notify_all()

        return SimpleNamespace(text=text, chat=chat, reply=reply)

    def wait(self, count: int) -> list[tuple[str, str]]:
        """The replies, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.replies) >= count, WAIT_S)
            return list(self.replies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for bot in self._bots:
            bot.end(WAIT_S)
            wait_until(lambda bot=bot: not bot._thread.is_alive())
