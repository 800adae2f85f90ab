"""Appending: versions, expectations, ids, groups, and what is refused."""

import threading
from pathlib import Path

import pytest

from linewarden.eventstore import Append, NewRecord, chain
from linewarden.eventstore.errors import (
    DuplicateId,
    InvalidRecord,
    InvalidStreamName,
    StoreClosed,
    WrongExpectedVersion,
)
from linewarden.eventstore.sqlite import REQUESTS_PER_COMMIT_MAX, SQLiteStore
from linewarden.statemachine.errors import InputError

from .material import START_NS, Make

GOOD = (b"i" * 16, START_NS, "closed", None, None, b"{}")


def test_records_come_back_as_given(store: SQLiteStore, make: Make) -> None:
    """Appended records are read back with their bytes, their place and their hashes."""
    news = [make(), make(reply="r1", type="reply_submitted", state=None)]
    records = store.append("a", news, 0)
    assert records == list(store.read_all()) == list(store.read_stream("a"))
    previous = chain.genesis(store.log_id, "a")
    for place, (new, record) in enumerate(zip(news, records, strict=True), 1):
        assert (record.position, record.stream, record.version) == (place, "a", place)
        for field in NewRecord.__struct_fields__:
            assert getattr(record, field) == getattr(new, field)
        assert record.leaf == chain.leaf(new.body)
        assert record.chain == chain.link(previous, record.leaf)
        previous = record.chain
    assert store.head("a") == (2, previous)
    assert store.heads() == {"a": (2, previous)}


def test_a_log_goes_on_after_it_was_closed(path: Path, make: Make) -> None:
    """A store that is opened again has its id, its records and its chains, and continues them."""
    with SQLiteStore.open(path) as store:
        first = store.append("a", [make()])
        log_id = store.log_id
    with SQLiteStore.open(path) as store:
        assert store.log_id == log_id
        (second,) = store.append("a", [make()], 1)
        assert second.chain == chain.link(first[0].chain, second.leaf)
        assert [record.version for record in store.read_stream("a")] == [1, 2]


def test_a_log_may_be_given_its_id(path: Path) -> None:
    """The id of a new log is the one given; an existing log keeps its own."""
    with SQLiteStore.open(path, log_id=b"l" * 16) as store:
        assert store.log_id == b"l" * 16
    with SQLiteStore.open(path, log_id=b"m" * 16) as store:
        assert store.log_id == b"l" * 16
    with pytest.raises(InputError):
        SQLiteStore.open(path, log_id=b"short")


@pytest.mark.parametrize("expected", [0, 2, 99])
def test_a_wrong_expectation_writes_nothing(store: SQLiteStore, make: Make, expected: int) -> None:
    """An append that expected another version is refused, says which, and writes nothing."""
    store.append("a", [make()])
    with pytest.raises(WrongExpectedVersion) as caught:
        store.append("a", [make()], expected)
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("a", expected, 1)
    assert store.last_position() == 1


def test_the_same_append_again_returns_what_is_stored(path: Path, make: Make) -> None:
    """An append whose answer was lost is answered again, with or without its old expectation."""
    news = [make(), make()]
    with SQLiteStore.open(path) as store:
        stored = store.append("a", news, 0)
        store.append("a", [make()])
        assert store.append("a", news, 0) == stored
        assert store.append("a", news) == stored
        assert store.append("a", news, 3) == stored
    with SQLiteStore.open(path) as store:
        assert store.append("a", news, 0) == stored
        assert store.last_position() == 3


def test_an_id_names_one_content(store: SQLiteStore, make: Make) -> None:
    """An id with other bytes, another stream, or a part of its append is refused, wholly."""
    one, two = make(), make()
    store.append("a", [one])
    other = NewRecord(one.id, one.at, one.type, one.state, one.reply, two.body)
    for stream, records in (
        ("a", [other]),
        ("b", [one]),
        ("a", [one, two]),
        ("a", [two, other]),
        ("b", [two, two]),
    ):
        with pytest.raises(DuplicateId):
            store.append(stream, records)
    assert store.last_position() == 1
    assert store.streams() == ["a"]
    store.append("b", [two])
    assert [record.version for record in store.read_all()] == [1, 1]


def test_one_conflict_in_a_group_fails_alone(store: SQLiteStore, make: Make) -> None:
    """Of requests that share a commit, those in conflict fail, the others get their versions."""
    same = make()
    requests = [
        Append("a", (make(),), 0),
        Append("a", (make(),), 0),
        Append("b", (same,)),
        Append("b", (same,)),
        Append("a", (same,)),
        Append("a", (make(), make()), 1),
    ]
    for request in requests:
        store.enqueue(request)
    assert store.last_position() == 0
    store.flush()
    assert [type(request.error) for request in requests] == [
        *(type(None), WrongExpectedVersion, type(None)),
        *(type(None), DuplicateId, type(None)),
    ]
    assert requests[2].result == requests[3].result
    assert [(r.stream, r.version) for r in store.read_all()] == [
        ("a", 1), ("b", 1), ("a", 2), ("a", 3),
    ]  # fmt: skip


def test_answers_come_in_the_order_of_the_log(store: SQLiteStore, make: Make) -> None:
    """Every `done` is called once, after the commit, in order, across many groups."""
    seen: list[int] = []

    def done(append: Append) -> None:
        assert append.result is not None
        assert store.last_position() >= append.result[0].position
        seen.append(append.result[0].position)

    count = 2 * REQUESTS_PER_COMMIT_MAX + 7
    for _ in range(count):
        store.enqueue(Append("a", (make(),), done=done))
    store.flush()
    assert seen == list(range(1, count + 1))


def test_what_a_done_enqueues_is_flushed_too(store: SQLiteStore, make: Make) -> None:
    """A `done` may enqueue: the same flush commits it; an append in it is refused."""
    refused: list[type] = []

    def again(append: Append) -> None:
        store.enqueue(Append("b", (make(),)))
        store.flush()
        try:
            store.append("b", [make()])
        except InputError as error:
            refused.append(type(error))

    store.enqueue(Append("a", (make(),), done=again))
    store.flush()
    assert [record.stream for record in store.read_all()] == ["a", "b"]
    assert refused == [InputError]


def test_a_done_that_fails_harms_no_other(
    store: SQLiteStore, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing `done` is raised by the flush after all others were called, and logged bare."""
    called: list[Append] = []

    def fail(append: Append) -> None:
        raise RuntimeError("+15550100001 is secret")

    store.enqueue(Append("a", (make(),), done=fail))
    store.enqueue(Append("a", (make(),), done=called.append))
    with pytest.raises(RuntimeError):
        store.flush()
    assert len(called) == 1
    assert "RuntimeError" in caplog.text and "secret" not in caplog.text
    store.flush()


def test_threads_share_commits_without_losing_any(store: SQLiteStore, make: Make) -> None:
    """Appends of many threads all arrive, each stream in the order of its thread."""
    threads = []
    records = {f"line-{n}": [make() for _ in range(40)] for n in range(8)}

    def run(stream: str) -> None:
        for version, record in enumerate(records[stream]):
            store.append(stream, [record], version)

    for stream in records:
        threads.append(threading.Thread(target=run, args=(stream,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for stream, news in records.items():
        assert [record.id for record in store.read_stream(stream)] == [new.id for new in news]
    assert [record.position for record in store.read_all()] == list(range(1, 321))


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "a b", "a/b", "a\n", "ä", "a" * 65, "15550100001@s.whatsapp.net", "a\x00"],
)
def test_odd_stream_names_are_refused(store: SQLiteStore, make: Make, name: str) -> None:
    """A name that files and addresses can't carry is refused with a hint, without repeating it."""
    with pytest.raises(InvalidStreamName) as caught:
        store.append(name, [make()])
    assert caught.value.hint
    assert len(name) < 4 or name not in str(caught.value)
    assert store.streams() == []


@pytest.mark.parametrize("name", ["5550100", "15550100001", "155501000010001"])
def test_stream_names_are_no_phone_numbers(store: SQLiteStore, make: Make, name: str) -> None:
    """A name of 7 to 15 digits is refused, since names stand in logs, and is not repeated."""
    with pytest.raises(InvalidStreamName, match="phone number") as caught:
        store.append(name, [make()])
    assert name not in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "0", "123456", "line-15550100001", "a" * 64])
def test_ordinary_stream_names_are_taken(store: SQLiteStore, make: Make, name: str) -> None:
    """Letters, digits, dot, underscore and hyphen make a name."""
    store.append(name, [make()])
    assert store.streams() == [name]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((0, value) for value in (b"short", "i" * 16, None)),
        *((1, value) for value in (1.5, 2**63, -(2**63) - 1, True, "1")),
        *((2, value) for value in ("", None, 1, "\ud800")),
        *((3, value) for value in ("", 1, "\ud800")),
        *((4, value) for value in ("", 1, "\ud800")),
        *((5, value) for value in (b"", b"[]", "{}", b'{"a":"\xff"}', None)),
    ],
)
def test_a_malformed_record_is_refused_alone(
    store: SQLiteStore, make: Make, place: int, value: object
) -> None:
    """A record that the log can't store is refused at once and harms no request beside it."""
    fields = [*GOOD]
    fields[place] = value
    waiting = Append("a", (make(),))
    store.enqueue(waiting)
    with pytest.raises(InvalidRecord):
        store.append("a", [NewRecord(*fields)])  # type: ignore[arg-type] # it is what is tried
    store.flush()
    assert waiting.error is None and store.last_position() == 1


@pytest.mark.parametrize("expected", [-1, 1.0, "1", True])
def test_an_expected_version_is_a_whole_number(
    store: SQLiteStore, make: Make, expected: int
) -> None:
    """An expected version that no stream can have is the caller's mistake."""
    with pytest.raises(InvalidRecord):
        store.append("a", [make()], expected)


def test_an_append_of_nothing_is_refused(store: SQLiteStore) -> None:
    """An append without a record is the caller's mistake."""
    with pytest.raises(InvalidRecord):
        store.append("a", [])


def test_a_closed_store_says_so(path: Path, make: Make) -> None:
    """What was queued is written by closing; after it every use but closing is refused."""
    store = SQLiteStore.open(path)
    store.enqueue(Append("a", (make(),)))
    store.close()
    store.close()
    for use in (
        lambda: store.append("a", [make()]),
        lambda: store.enqueue(Append("a", (make(),))),
        store.flush,
        store.last_position,
        lambda: store.save_checkpoint("p", "a", 1, b""),
        lambda: store.drop_checkpoints("p"),
    ):
        with pytest.raises(StoreClosed):
            use()
    with SQLiteStore.open(path) as store:
        assert store.last_position() == 1
