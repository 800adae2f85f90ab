"""Records of made-up closes."""

import itertools
from typing import Any

from linewarden.eventstore import Append, NewRecord, encode
from linewarden.eventstore.sqlite import SQLiteStore

START_NS = 1_760_000_000_000_000_000


class Make:
    """Makes records, each with an id of its own; what is given overrides what it says."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(
        self,
        *,
        id: bytes | None = None,
        type: str = "closed",
        state: str | None = "reconnect_gap",
        reply: str | None = None,
        **more: Any,
    ) -> NewRecord:
        number = next(self._numbers)
        at = START_NS + number * 1_000_000
        stimulus: dict[str, Any] = {"stimulus": type, "at": at, "controller": "A", "socket": 1}
        if reply is not None:
            stimulus |= {"reply": reply, "chat": "chat_1", "captured_on": "A"}
        content = {
            "build": "0.1.0",
            "epoch": 1,
            "schema": 1,
            "stimulus": stimulus,
            "outcome": {
                "rule": "close.transient.retry",
                "changes": {"state": state},
                "effects": [{"effect": "dial", "controller": "A", "socket": 2}],
            },
            **more,
        }
        made = id or (0x7000 << 64 | number).to_bytes(16, "big")
        return NewRecord(made, at, type, state, reply, encode(content))


def erasing(make: Make, *tokens: str, version: int | None = None) -> Append:
    """A request whose record erases these tokens."""
    return Append("a", (make(type="subject_erased"),), version, erased=tokens)


def erase(store: SQLiteStore, make: Make, *tokens: str) -> None:
    """Append a record that erases these tokens."""
    request = erasing(make, *tokens)
    store.enqueue(request)
    store.flush()
    assert request.error is None
