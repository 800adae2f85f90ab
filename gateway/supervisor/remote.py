"""What an operation around replies is given where the client lives in a worker process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..worker.protocol import Show
from .process import Process

if TYPE_CHECKING:
    from .inbound import Message


class Remote:
    """Stands for the client of a managed connection; each method returns at once, best effort.

    `warden.router.perform("support", lambda line: line.typing(message.chat))`
    """

    def __init__(self, process: Process, loop: asyncio.AbstractEventLoop) -> None:
        self._process = process
        self._loop = loop

    def typing(self, chat: str, on: bool = True) -> None:
        """Let the chat see that an answer is being typed, or no longer is."""
        self._tell(Show(what="typing" if on else "paused", chat=chat))

    def mark_read(self, *messages: Message) -> None:
        """Let the senders see that their messages were read."""
        for message in messages:
            self._tell(
                Show(what="read", chat=message.chat, sender=message.sender, ids=(message.id,))
            )

    def _tell(self, show: Show) -> None:
        self._loop.call_soon_threadsafe(self._process.tell, show)
