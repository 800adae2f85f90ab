"""What a writing process that is killed leaves behind."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify

WRITER = """
import asyncio, sys
from linewarden.eventstore import NewRecord, open_store

store = open_store(sys.argv[1])
first, size, producers = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def made(number, n):
    id = bytes([7]) + number.to_bytes(11, "big") + n.to_bytes(4, "big")
    body = b'{"stimulus":{"at":%d,"stimulus":"closed"}}' % number
    return NewRecord(id, number, "closed", None, None, body)

async def produce(line):
    number = first + line
    while True:
        await store.append_async(f"line-{line}", [made(number, n) for n in range(size)])
        print(number, flush=True)
        number += producers

async def main():
    await asyncio.gather(*(produce(line) for line in range(producers)))

asyncio.run(main())
"""


@pytest.mark.parametrize(("size", "producers", "after"), [(1, 1, 100), (3, 16, 400), (50, 4, 40)])
def test_what_was_acknowledged_survives_a_kill(
    path: Path,
    script: Callable[..., "subprocess.Popen[str]"],
    size: int,
    producers: int,
    after: int,
) -> None:
    """P1, P3: after each kill every acknowledged append is stored, the last one wholly or not."""
    acknowledged: set[int] = set()
    for life in range(3):
        writer = script(WRITER, path, life * 1_000_000, size, producers)
        assert writer.stdout
        for _ in range(after):
            acknowledged.add(int(writer.stdout.readline()))
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged |= {int(line) for line in writer.stdout if line.endswith("\n")}
        writer.wait()
        with SQLiteStore.open(path) as store:
            stored: dict[int, int] = {}
            for record in store.read_all():
                stored[record.at] = stored.get(record.at, 0) + 1
            assert acknowledged <= stored.keys()
            assert set(stored.values()) == {size}
            assert verify(store).ok
