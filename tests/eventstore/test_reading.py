"""Reading: by stream, by position, by id and by reply, in this and in other processes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import Reader, Store, chain, open_reader, open_store
from linewarden.eventstore.errors import StoreClosed, StoreNotFound
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import PAGE_RECORDS, SQLiteReader

from .material import Make


def test_the_faces_are_the_protocols(path: Path) -> None:
    """What the face opens is a store and a reader as the protocols have them."""
    with SQLiteStore.open(path) as store:
        assert isinstance(store, Store)
        with SQLiteReader.open(path) as reader:
            assert isinstance(reader, Reader)
            assert not isinstance(reader, Store)
    opened = open_store(str(path), name="face")
    beside = open_reader(path)
    assert beside.log_id == opened.log_id
    beside.close()
    opened.close()


def test_ranges_are_after_and_up_to(store: SQLiteStore, make: Make) -> None:
    """A read begins after the one bound and ends with the other, for streams and positions."""
    for n in range(10):
        store.append("ab"[n % 2], [make()])
    assert [r.version for r in store.read_stream("b", 2, 4)] == [3, 4]
    assert [r.position for r in store.read_all(3, 6)] == [4, 5, 6]
    assert [r.position for r in store.read_all(9)] == [10]
    assert list(store.read_all(10)) == []
    assert list(store.read_stream("unknown")) == []
    assert store.head("unknown") == (0, chain.genesis(store.log_id, "unknown"))


def test_long_reads_go_on_over_pages(store: SQLiteStore, make: Make) -> None:
    """Reads of more than a page miss no record and double none, also at a page's very end."""
    total = 2 * PAGE_RECORDS
    store.append("a", [make() for _ in range(total)])
    for read in (store.read_all, lambda: store.read_stream("a")):
        assert [r.position for r in read()] == list(range(1, total + 1))
    store.append("b", [make()])
    assert [len(page) for page in store.pages()] == [PAGE_RECORDS, PAGE_RECORDS, 1]
    assert [len(page) for page in store.links()] == [PAGE_RECORDS, PAGE_RECORDS, 1]
    assert sum(1 for _ in store.read_all()) == total + 1


def test_records_are_found_by_id_and_by_reply(store: SQLiteStore, make: Make) -> None:
    """A record is found by its id, and those of one reply of one account in their order."""
    news = [make(reply=reply) for reply in ("r1", "r2", "r1", None)]
    stored = store.append("a", news)
    store.append("b", [make(reply="r1")])
    assert store.get(news[1].id) == stored[1]
    assert store.get(b"?" * 16) is None
    assert store.of_reply("a", "r1") == [stored[0], stored[2]]
    assert store.of_reply("a", "r9") == store.of_reply("c", "r1") == []


def test_a_reader_learns_new_names(path: Path, make: Make) -> None:
    """A reader that is open already reads accounts, types and states that it never met."""
    with SQLiteStore.open(path) as store, SQLiteReader.open(path) as reader:
        store.append("a", [make()])
        assert [r.stream for r in reader.read_all()] == ["a"]
        store.append("b", [make(type="opened", state="connected")])
        (record,) = reader.read_all(1)
        assert (record.stream, record.type, record.state) == ("b", "opened", "connected")
        assert reader.stream_name(2) == "b"
        assert reader.streams() == ["a", "b"]


def test_a_reader_works_without_a_writer(path: Path, make: Make) -> None:
    """A store at rest is read as well; a closed reader says that it is closed."""
    with SQLiteStore.open(path) as store:
        stored = store.append("a", [make()])
    reader = SQLiteReader.open(path)
    assert list(reader.read_all()) == stored
    reader.close()
    reader.close()
    with pytest.raises(StoreClosed):
        reader.last_position()


def test_a_reader_makes_no_store(path: Path) -> None:
    """Reading where there is no store is refused with a hint and makes no file."""
    with pytest.raises(StoreNotFound) as caught:
        SQLiteReader.open(path)
    assert caught.value.hint
    assert list(path.parent.iterdir()) == []


def test_tail_sees_what_is_committed_later(
    path: Path, make: Make, script: Callable[..., Any]
) -> None:
    """A tail yields what is there, then what another process commits, each record once."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make(), make()])
    stop = threading.Event()
    with SQLiteReader.open(path) as reader:
        tail = reader.tail(1, stop)
        assert next(tail).position == 2
        writer = script(
            "import sys\n"
            "from linewarden.eventstore import NewRecord, open_store\n"
            "store = open_store(sys.argv[1])\n"
            "for n in range(30):\n"
            "    id = n.to_bytes(16, 'big')\n"
            "    store.append('b', [NewRecord(id, n, 'closed', None, None, b'{}')])\n"
            "store.close()\n",
            path,
        )
        assert [next(tail).position for _ in range(30)] == list(range(3, 33))
        assert writer.wait() == 0
        stop.set()
        assert list(tail) == []


def test_tail_in_the_writing_process(store: SQLiteStore, make: Make) -> None:
    """A tail of the store itself, in another thread, sees every append and ends when told."""
    stop, seen = threading.Event(), []

    def follow() -> None:
        for record in store.tail(0, stop):
            seen.append(record.position)
            if record.position == 50:
                stop.set()

    thread = threading.Thread(target=follow)
    thread.start()
    for _ in range(50):
        store.append("a", [make()])
    thread.join()
    assert seen == list(range(1, 51))


def test_checkpoints_are_kept_by_projection_and_stream(path: Path, make: Make) -> None:
    """A checkpoint is written by the next flush, replaced by a newer one, and dropped at will."""
    with SQLiteStore.open(path) as store:
        store.save_checkpoint("p", "a", 1, b"one")
        store.save_checkpoint("p", "a", 2, b"two")
        store.save_checkpoints("p", {"b": (1, b"b")})
        store.save_checkpoint("q", "a", 9, b"q")
        assert store.load_checkpoint("p", "a") is None
        store.append("a", [make()])
        assert store.load_checkpoint("p", "a") == (2, b"two")
        assert store.load_checkpoints("p") == {"a": (2, b"two"), "b": (1, b"b")}
        store.save_checkpoint("p", "a", 3, b"three")
        store.flush()
        assert store.load_checkpoint("p", "a") == (3, b"three")
        store.save_checkpoint("p", "c", 1, b"c")
        store.drop_checkpoints("p")
        assert store.load_checkpoints("p") == {}
        store.save_checkpoint("p", "a", 4, b"four")
    with SQLiteReader.open(path) as reader:
        assert reader.load_checkpoints("p") == {"a": (4, b"four")}
        assert reader.load_checkpoint("q", "a") == (9, b"q")


def test_no_reader_sees_part_of_a_transaction(
    path: Path, make: Make, script: Callable[..., Any]
) -> None:
    """P4: whatever another process reads while we append is whole appends, contiguous."""
    size = 7
    with SQLiteStore.open(path) as store:
        store.append("a", [make() for _ in range(size)])
        reader = script(
            "import sys\n"
            "from linewarden.eventstore import open_reader\n"
            "reader = open_reader(sys.argv[1])\n"
            "size, last, looks = int(sys.argv[2]), 0, 0\n"
            "print('ready', flush=True)\n"
            "while last < 300 * size:\n"
            "    records = list(reader.read_all(last))\n"
            "    assert len(records) % size == 0, len(records)\n"
            "    expected = [*range(last + 1, last + 1 + len(records))]\n"
            "    assert [r.position for r in records] == expected\n"
            "    assert [r.version for r in records] == expected\n"
            "    looks += bool(records)\n"
            "    last += len(records)\n"
            "print(looks)\n",
            path,
            size,
        )
        assert reader.stdout.readline() == "ready\n"
        for _ in range(299):
            store.append("a", [make() for _ in range(size)])
        looks = int(reader.communicate()[0])
        assert reader.returncode == 0
        assert looks > 1
