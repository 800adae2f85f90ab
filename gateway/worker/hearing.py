"""Messages that come in: read, held against the list of those allowed, and told, in order.

On a thread of its own: the library's callback must return at once, and its map is on a disk.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from .messages import Allowlist, inbound_of
from .protocol import Ignored, Inbound
from .voice import Voice

log = logging.getLogger("linewarden.worker")


class Hearing:
    """Tells what is heard; `other_form` is the library's map, which asks no server."""

    def __init__(
        self,
        allow: Iterable[str] | None,
        voice: Voice,
        other_form: Callable[[str], str | None],
    ) -> None:
        self._allowed = Allowlist(allow) if allow is not None else None
        self._voice = voice
        self._other_form = other_form
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="linewarden-hearing", daemon=True).start()

    def take(self, event: Any) -> None:
        """Take a message event of the library; it is told in its turn."""
        self._events.put(event)

    def _run(self) -> None:
        while True:
            event = self._events.get()
            try:
                inbound = inbound_of(event)
                if inbound is not None:
                    self._voice.tell(self._heard(inbound))
            except Exception as error:  # noqa: BLE001 - one odd message must not stop the others
                log.error("a message could not be read: %s", type(error).__name__)

    def _heard(self, inbound: Inbound) -> Inbound | Ignored:
        """The message, with its sender's other form where the library's map was asked for it."""
        other = inbound.other

        def resolve(jid: str) -> str | None:
            nonlocal other
            other = self._other_form(jid)
            return other

        if self._allowed is not None and not self._allowed.allows(inbound, resolve):
            return Ignored()
        return replace(inbound, other=other)
