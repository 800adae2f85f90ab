"""What the benchmarks of the log write: closes of about 330 bytes, and whole lives of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..eventstore import Append, NewRecord, Store, encode
from ..gateway.dice import Dice
from ..statemachine.account import Account
from ..statemachine.decision import decide
from ..statemachine.machine import compiled_step
from ..statemachine.parsing import parse

NS = 1_000_000_000
START_NS = 1_760_000_000 * NS
REQUESTS_A_COMMIT, RECORDS_A_REQUEST = 256, 10


def content(number: int) -> dict[str, Any]:
    """A close and what was decided of it: about 330 bytes."""
    at = START_NS + number * 1_000_000
    return {
        "build": "0.1.0", "epoch": 1, "schema": 1,
        "stimulus": {
            "stimulus": "closed", "at": at, "controller": "A", "socket": 1 + number % 9,
            "source": "baileys", "code": 408, "detail": "timed out",
        },
        "outcome": {
            "rule": "close.transient.retry",
            "changes": {
                "state": "reconnect_gap", "cause": "transient", "attempt": 1 + number % 12,
                "retry": at + 2 * NS, "stability": None,
            },
        },
    }  # fmt: skip


_dice = Dice()
CONTENTS = [content(number) for number in range(4096)]


def record(number: int) -> NewRecord:
    """A record to append. Its id, drawn as the service draws it, and its encoding are measured."""
    made = CONTENTS[number % 4096]
    at: int = made["stimulus"]["at"]
    return NewRecord(
        _dice.record_id(START_NS + number * 1_000_000),
        at,
        "closed",
        "reconnect_gap",
        None,
        encode(made),
    )


def grow(store: Store, records: int, accounts: int) -> list[int]:
    """Load a log with closes spread over its accounts; return the version each of them is at."""
    versions = [0] * accounts
    number = 0
    while number < records:
        for _ in range(REQUESTS_A_COMMIT):
            line = number // RECORDS_A_REQUEST % accounts
            made = tuple(record(number + n) for n in range(RECORDS_A_REQUEST))
            store.enqueue(Append(f"account-{line}", made, versions[line]))
            versions[line] += RECORDS_A_REQUEST
            number += RECORDS_A_REQUEST
        store.flush()
    return versions


def live(store: Store, records: int, lines: int) -> None:
    """Fill a log with so many records of lines that live beside each other."""
    each = records // lines
    lives = {f"line-{number}": _life(f"line-{number}", each) for number in range(lines)}
    for start in range(0, each, 20):
        for stream, made in lives.items():
            store.append(stream, made[start : start + 20])


class _Line:
    """A line whose every record is what the machine decides of what happened."""

    def __init__(self) -> None:
        self.account = Account()
        self.at = 1_790_000_000 * NS
        self.records: list[NewRecord] = []

    def tell(self, stimulus: str, after_s: int = 1, **fields: Any) -> None:
        """Let something happen so many seconds after what happened last."""
        self.at += after_s * NS
        given = parse({"stimulus": stimulus, "at": self.at, **fields})
        outcome, self.account = decide(self.account, given, compiled_step)
        body = {
            "build": "0.1.0", "schema": 1, "epoch": self.account.epoch,
            "stimulus": given, "outcome": outcome,
        }  # fmt: skip
        plain = msgspec.json.decode(msgspec.json.encode(body))
        state, reply = self.account.state, fields.get("reply")
        assert state is not None, "a claim comes first"
        made = NewRecord(
            _dice.record_id(self.at), self.at, stimulus, state.value, reply, encode(plain)
        )
        self.records.append(made)


def _life(name: str, count: int) -> Sequence[NewRecord]:
    """A line that flaps: opened, proven, alive, stable, closed by 408, dialed again.

    Every third connection carries a reply. Without the stability the ladder would be used up soon,
    and nearly all records would be ones that change nothing.
    """
    line = _Line()
    line.tell("claimed", controller="A", holder="gateway-1")
    mine: dict[str, Any] = {"controller": "A", "source": "whatsmeow"}
    turn = 0
    while len(line.records) < count:
        turn += 1
        forms = {"pn": f"idn_{name}_pn", "lid": f"idn_{name}_lid"}
        line.tell("opened", socket=line.account.socket, **mine)
        line.tell("identity_observed", forms=forms, **mine)
        line.tell("activity", 10, **mine)
        line.tell("activity", 50, **mine)
        line.tell("timer_fired", timer="stability", controller="A", source="timer")
        if turn % 3 == 0:
            reply, chat = f"reply-{turn}", "chat_0123456789abcdef"
            line.tell("reply_submitted", reply=reply, chat=chat, captured_on="A", source="router")
            line.tell("send_acked", reply=reply, message_id="3EB0123456789ABC", **mine)
        line.tell("closed", code=408, socket=line.account.socket, **mine)
        line.tell("timer_fired", 10, timer="retry", controller="A", source="timer")
    return line.records[:count]
