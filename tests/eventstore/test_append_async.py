"""Appending from coroutines."""

import asyncio
import threading

import pytest

from linewarden.eventstore import turns
from linewarden.eventstore.errors import InvalidRecord, WrongExpectedVersion
from linewarden.eventstore.sqlite import SQLiteStore

from .material import Make


def commits(store: SQLiteStore) -> list[int]:
    """Counts the requests of each commit from now on."""
    groups: list[int] = []
    commit = store._writer.commit

    def counted(batch, checkpoints):  # type: ignore[no-untyped-def] # as the writer has it
        groups.append(len(batch))
        return commit(batch, checkpoints)

    store._writer.commit = counted  # type: ignore[method-assign] # to count is all it adds
    return groups


def test_one_turn_of_the_loop_is_one_commit(store: SQLiteStore, make: Make) -> None:
    """Coroutines that append in one turn of the loop share a commit, each with its answer."""
    groups = commits(store)

    async def run() -> None:
        answers = await asyncio.gather(
            *(store.append_async(f"line-{n}", [make()], 0) for n in range(50))
        )
        assert [answer[0].stream for answer in answers] == [f"line-{n}" for n in range(50)]

    asyncio.run(run())
    assert groups == [50]
    assert store.last_position() == 50


def test_errors_reach_their_own_coroutine(store: SQLiteStore, make: Make) -> None:
    """A conflict and a malformed record raise in the coroutine that caused them only."""

    async def run() -> None:
        good, conflict, malformed = await asyncio.gather(
            store.append_async("a", [make()], 0),
            store.append_async("a", [make()], 0),
            store.append_async("a", []),
            return_exceptions=True,
        )
        assert not isinstance(good, BaseException)
        assert isinstance(conflict, WrongExpectedVersion)
        assert isinstance(malformed, InvalidRecord)

    asyncio.run(run())


def test_slow_commits_leave_the_loop(
    store: SQLiteStore, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where commits are too slow for the loop a thread does them; when fast, the loop again."""
    committed_by: list[int] = []
    commit = store._writer.commit

    def watched(batch, checkpoints):  # type: ignore[no-untyped-def] # as the writer has it
        committed_by.append(threading.get_ident())
        return commit(batch, checkpoints)

    store._writer.commit = watched  # type: ignore[method-assign] # to watch is all it adds

    async def run() -> None:
        monkeypatch.setattr(turns, "INLINE_SECONDS_MAX", -1.0)
        await asyncio.gather(*(store.append_async(f"l-{n}", [make()]) for n in range(20)))
        await store.append_async("a", [make()])
        monkeypatch.setattr(turns, "INLINE_SECONDS_MAX", 1e9)
        await store.append_async("a", [make()])

    asyncio.run(run())
    assert threading.get_ident() not in committed_by[:-1]
    assert committed_by[-1] == threading.get_ident()
    assert store.last_position() == 22


def test_a_cancelled_wait_takes_nothing_back(store: SQLiteStore, make: Make) -> None:
    """A coroutine cancelled while it waits leaves its request to be committed, and its id tells."""
    record = make()

    async def run() -> None:
        waiting = asyncio.create_task(store.append_async("a", [record]))
        other = asyncio.create_task(store.append_async("a", [make()]))
        await asyncio.sleep(0)
        waiting.cancel()
        await other
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(run())
    assert store.get(record.id) is not None
    assert store.append("a", [record])[0].version == 1


def test_several_loops_and_threads_append_at_once(store: SQLiteStore, make: Make) -> None:
    """Loops in several threads, and a thread without one, share the store."""
    records = {f"line-{n}": [make() for _ in range(30)] for n in range(4)}

    async def produce(stream: str) -> None:
        for version, record in enumerate(records[stream]):
            await store.append_async(stream, [record], version)

    threads = [
        threading.Thread(target=lambda name=name: asyncio.run(produce(name))) for name in records
    ]
    for thread in threads:
        thread.start()
    for _ in range(30):
        store.append("sync", [make()])
    for thread in threads:
        thread.join()
    assert store.last_position() == 150
    for stream, news in records.items():
        assert [r.id for r in store.read_stream(stream)] == [new.id for new in news]
