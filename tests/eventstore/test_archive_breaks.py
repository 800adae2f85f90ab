"""Archiving broken off by a kill, and a log that somebody changed after it."""

import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linewarden.eventstore import open_reader
from linewarden.eventstore.links import links_of
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify

from .archives import audited, lived, moved, said, views

STEPS = ("_write_bundle", "_record", "release", "delete", "shrink")
BREAKS_OFF = """
import os, signal, sys
from linewarden.eventstore import sqlite
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.tools import archiving
from linewarden.tools.moments import Moment

path, position, folder, step, when = sys.argv[1:]
home = next(one for one in (archiving, SQLiteStore, sqlite) if hasattr(one, step))
real = getattr(home, step)

def broken(*given):
    if when == "after":
        real(*given)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(home, step, broken)
archiving.archive(path, Moment(position=int(position)), folder)
"""


def free_pages(path: Path) -> int:
    """Pages of the file that hold nothing."""
    connection = sqlite3.connect(path)
    count: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    connection.close()
    return count


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_nothing(
    path: Path,
    tmp_path: Path,
    script: Callable[..., "subprocess.Popen[str]"],
    step: str,
    when: str,
) -> None:
    """Killed between any two steps, the log is whole, and the next run ends what was begun."""
    ends = lived(path)
    folder = tmp_path / "archive"
    folder.mkdir()
    before, links = views(path), said(path)[0]
    with SQLiteStore.open(path) as store:
        archived_links = links_of(store.read_all(0, ends[7]))
    process = script(BREAKS_OFF, path, ends[7] + 1, folder, step, when)
    assert process.wait(60) == -signal.SIGKILL
    with SQLiteStore.open(path) as store:
        assert verify(store).ok
    half = views(path)
    assert said(path)[0] == links
    for name in half:
        assert half[name].machine == before[name].machine
    moved(path, ends[7] + 1, folder)
    assert free_pages(path) == 0
    assert said(path) == (links, archived_links)
    ok, _, archived, proven = audited(path, folder)
    assert (ok, archived, proven) == (True, ends[7], ends[7])
    with SQLiteStore.open(path) as store:
        assert sum(record.type == "archived" for record in store.read_all()) == 2


def tampered(path: Path, *statements: str) -> None:
    """Change the file as somebody who has it can."""
    connection = sqlite3.connect(path)
    for table in ("records", "streams"):
        for event in ("deleted", "updated"):
            connection.execute(f"DROP TRIGGER IF EXISTS {table}_are_never_{event}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM records WHERE position = (SELECT min(position) FROM records)",
        "DELETE FROM records WHERE position = (SELECT max(position) - 20 FROM records)",
        "DELETE FROM records WHERE stream = 2",
        "DELETE FROM records WHERE position = (SELECT max(position) - 1 FROM records)",
        "UPDATE records SET chain = zeroblob(32)"
        " WHERE position = (SELECT min(position) FROM records)",
        "UPDATE records SET record = replace(record, '\"last\":', '\"last\":1')"
        " WHERE position = (SELECT max(position) FROM records)",
        "UPDATE records SET position = -position"
        " WHERE position = (SELECT min(position) FROM records)",
    ],
)
@pytest.mark.parametrize("columns", [True, False])
def test_tampering_after_an_archive_shows(
    path: Path, tmp_path: Path, statement: str, columns: bool
) -> None:
    """More missing than was archived, or another beginning than was archived, is found."""
    ends = lived(path)
    moved(path, ends[5] + 1, tmp_path / "archive")
    tampered(path, statement)
    reader = open_reader(path)
    try:
        assert not verify(reader, columns=columns).ok
    finally:
        reader.close()
