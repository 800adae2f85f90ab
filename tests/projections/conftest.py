"""A gateway in miniature: it decides, appends to a real store, and keeps what it decided."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linewarden.eventstore import NewRecord, Record, Store, chain, encode, open_store
from linewarden.statemachine.account import Account
from linewarden.statemachine.decision import decide
from linewarden.statemachine.machine import compiled_step
from linewarden.statemachine.parsing import parse
from linewarden.statemachine.policy import NS
from linewarden.statemachine.version import VERSION

START = 1_790_000_000 * NS
PN, LID = "idn_pn_1", "idn_lid_1"
OTHER_PN, OTHER_LID = "idn_pn_2", "idn_lid_2"


class Line:
    """One account on virtual time; `tell` decides on a stimulus and writes its record."""

    def __init__(self, name: str, write: Callable[[str, NewRecord], Record]) -> None:
        self.name = name
        self.account = Account()
        self.at = START
        self.records: list[Record] = []
        self.accounts: list[Account] = []
        self._write = write

    def tell(self, stimulus: str, *, after_s: float = 1, **fields: Any) -> Record:
        self.at += round(after_s * NS)
        if stimulus != "claimed":
            fields.setdefault("controller", self.account.controller)
        given = parse({"stimulus": stimulus, "at": self.at, **fields})
        outcome, self.account = decide(self.account, given, compiled_step)
        content = {
            "build": VERSION,
            "schema": 1,
            "epoch": self.account.epoch,
            "stimulus": given,
            "outcome": outcome,
        }
        state = self.account.state
        new = NewRecord(
            id=next(_IDS).to_bytes(16, "big"),
            at=self.at,
            type=stimulus,
            state=state.value if state is not None else None,
            reply=fields.get("reply"),
            body=encode(msgspec.json.decode(msgspec.json.encode(content))),
        )
        record = self._write(self.name, new)
        self.records.append(record)
        self.accounts.append(self.account)
        return record

    def connect(self, controller: str = "A", pn: str = PN, lid: str = LID) -> None:
        """Claim, open and prove who is logged in."""
        self.tell("claimed", controller=controller, holder="gateway-1")
        self.tell("opened", controller=controller, source="baileys")
        self.prove(pn, lid)

    def prove(self, pn: str = PN, lid: str = LID) -> None:
        self.tell("identity_observed", forms={"pn": pn, "lid": lid})

    def submit(self, reply: str, chat: str = "chat_1", **fields: Any) -> Record:
        return self.tell("reply_submitted", reply=reply, chat=chat, source="router", **fields)

    def fire(self, timer: str, **fields: Any) -> Record:
        return self.tell("timer_fired", timer=timer, source="timer", **fields)


_IDS = itertools.count(1)


class Memory:
    """Writes records as a store would, into nothing."""

    def __init__(self) -> None:
        self._position = 0
        self._heads: dict[str, tuple[int, bytes]] = {}

    def __call__(self, stream: str, new: NewRecord) -> Record:
        version, link = self._heads.get(stream, (0, b"genesis"))
        leaf = chain.leaf(new.body)
        self._heads[stream] = (version + 1, chain.link(link, leaf))
        self._position += 1
        return Record(
            self._position, stream, version + 1, *msgspec.structs.astuple(new), leaf,
            self._heads[stream][1],
        )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "lines.db")
    yield opened
    opened.close()


@pytest.fixture
def lines(store: Store) -> Callable[[str], Line]:
    """Gives lines that write into the store."""
    return lambda name: Line(name, lambda stream, new: store.append(stream, [new])[0])


@pytest.fixture
def line(lines: Callable[[str], Line]) -> Line:
    return lines("main")


@pytest.fixture(scope="session")
def writing() -> type[Line]:
    """Gives lines that write wherever the test says."""
    return Line


@pytest.fixture(scope="session")
def in_memory() -> Callable[[str], Line]:
    """Gives lines that keep their records in memory, for tests that need many."""
    return lambda name: Line(name, Memory())
