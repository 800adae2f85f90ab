"""Invariants 15, 17 and 18, on sequences of appends that nobody thought of."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from linewarden.eventstore import Append, NewRecord, Record, chain
from linewarden.eventstore.errors import DuplicateId, WrongExpectedVersion
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify

from .material import Make

STREAMS = st.sampled_from(["a", "b", "c"])


class AnyAppends(RuleBasedStateMachine):
    """Appends, appends again, clashes and reopenings, against a model of plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "log.db"
        self.store = SQLiteStore.open(self.path)
        self.make = Make()
        self.log: list[Record] = []
        self.done: list[tuple[str, tuple[NewRecord, ...], list[Record]]] = []
        self.queued: list[Append] = []

    def version(self, stream: str) -> int:
        return sum(record.stream == stream for record in self.log)

    def accept(self, append: Append) -> None:
        """Let the model do what the store must have done, request by request."""
        stored = {record.id: record for record in self.log}
        known = [stored[record.id] for record in append.records if record.id in stored]
        expected, actual = append.expected_version, self.version(append.stream)
        if known:
            same = len(known) == len(append.records) and all(
                (old.stream, old.body) == (append.stream, new.body)
                for old, new in zip(known, append.records, strict=True)
            )
            if same:
                assert append.result == known
            else:
                assert isinstance(append.error, DuplicateId)
        elif expected is not None and expected != actual:
            assert isinstance(append.error, WrongExpectedVersion)
            assert append.error.actual == actual
        else:
            assert append.error is None and append.result is not None
            for new, record in zip(append.records, append.result, strict=True):
                actual += 1
                assert (record.version, record.position) == (actual, len(self.log) + 1)
                assert (record.id, record.body) == (new.id, new.body)
                self.log.append(record)
            self.done.append((append.stream, append.records, append.result))

    @rule(stream=STREAMS, size=st.integers(1, 4), off=st.sampled_from([None, 0, 0, 0, -1, 1, 5]))
    def enqueue(self, stream: str, size: int, off: int | None) -> None:
        expected = None if off is None else max(0, self.version(stream) + off)
        self.queue(Append(stream, tuple(self.make() for _ in range(size)), expected))

    @rule(data=st.data(), off=st.sampled_from([None, 0, 3]))
    def enqueue_again(self, data: st.DataObject, off: int | None) -> None:
        if self.done:
            stream, records, _ = data.draw(st.sampled_from(self.done))
            self.queue(Append(stream, records, off))

    @rule(data=st.data(), stream=STREAMS)
    def enqueue_a_clash(self, data: st.DataObject, stream: str) -> None:
        if self.done:
            _, records, _ = data.draw(st.sampled_from(self.done))
            clash = NewRecord(records[0].id, 1, "closed", None, None, b'{"other":1}')
            self.queue(Append(stream, (self.make(), clash)))

    def queue(self, append: Append) -> None:
        self.queued.append(append)
        self.store.enqueue(append)

    @rule()
    def flush(self) -> None:
        self.store.flush()
        queued, self.queued = self.queued, []
        for append in queued:
            self.accept(append)

    @rule()
    def reopen(self) -> None:
        self.flush()
        self.store.close()
        self.store = SQLiteStore.open(self.path)

    @invariant()
    def the_log_is_the_model(self) -> None:
        if not self.queued:
            assert list(self.store.read_all()) == self.log

    def teardown(self) -> None:
        self.flush()
        for stream in self.store.streams():
            records = list(self.store.read_stream(stream))
            assert [record.version for record in records] == list(range(1, len(records) + 1))
            link = chain.genesis(self.store.log_id, stream)
            for record in records:
                link = chain.link(link, record.leaf)
                assert record.chain == link
        assert verify(self.store).ok
        self.store.close()
        self.folder.cleanup()


TestAnyAppends = AnyAppends.TestCase
TestAnyAppends.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
