"""One process writes at a time, and who it is can be told."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linewarden.eventstore.errors import StoreClosed, StoreLocked
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.sqlite_reader import SQLiteReader

from .material import Make

Script = Callable[..., "subprocess.Popen[str]"]

HOLD = (
    "import sys\n"
    "from linewarden.eventstore import open_store\n"
    "store = open_store(sys.argv[1], name='other gateway')\n"
    "print('held', flush=True)\n"
    "sys.stdin.readline()\n"
    "store.close()\n"
    "print('closed', flush=True)\n"
    "sys.stdin.readline()\n"
)


def test_a_second_writing_process_is_refused_by_name(path: Path, script: Script) -> None:
    """A second writing process is told the pid and the name of the first, and may read."""
    other = script(HOLD, path)
    assert other.stdout and other.stdin
    assert other.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked) as caught:
        SQLiteStore.open(path)
    assert (caught.value.pid, caught.value.holder) == (other.pid, "other gateway")
    assert str(other.pid) in str(caught.value) and "other gateway" in str(caught.value)
    assert caught.value.hint
    with SQLiteReader.open(path) as reader:
        assert reader.last_position() == 0
    other.stdin.write("\n")
    other.stdin.flush()
    assert other.stdout.readline() == "closed\n"
    SQLiteStore.open(path).close()


def test_a_killed_owner_holds_nothing(path: Path, script: Script) -> None:
    """The lock of a process that was killed is free, without anybody's help."""
    other = script(HOLD, path)
    assert other.stdout and other.stdout.readline() == "held\n"
    other.kill()
    other.wait()
    with SQLiteStore.open(path) as store:
        assert store.last_position() == 0


def test_a_second_opening_in_one_process_is_refused(path: Path, tmp_path: Path) -> None:
    """The same process can't open a store twice, not under another name of the file either."""
    alias = tmp_path / "alias.db"
    alias.symlink_to(path)
    with SQLiteStore.open(path, name="first"):
        for name in (path, alias, os.path.relpath(path)):
            with pytest.raises(StoreLocked) as caught:
                SQLiteStore.open(name)
            assert (caught.value.pid, caught.value.holder) == (os.getpid(), "first")
    SQLiteStore.open(alias).close()


def test_the_files_are_the_owners_alone(path: Path, make: Make) -> None:
    """Every file of a store is readable by its user only, whatever the umask."""
    was = os.umask(0)
    try:
        with SQLiteStore.open(path) as store:
            store.append("a", [make()])
            modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
    finally:
        os.umask(was)
    assert modes == dict.fromkeys(["log.db", "log.db-wal", "log.db-shm", "log.db.lock"], 0o600)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_refused(path: Path, make: Make) -> None:
    """A child that was forked can't use the parent's store, and the parent keeps lock and data."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()])
        answer, question = os.pipe()
        child = os.fork()
        if child == 0:
            refused = b""
            for use in (lambda: store.append("a", [make()]), store.flush, store.last_position):
                try:
                    use()
                except StoreClosed:
                    refused += b"x"
            store.close()
            os.write(question, refused or b"?")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(answer, 10) == b"xxx"
        os.close(answer)
        os.close(question)
        with pytest.raises(StoreLocked) as caught:
            SQLiteStore.open(path)
        assert caught.value.pid == os.getpid()
        store.append("a", [make()], 1)


def test_a_child_does_not_prolong_the_lock(path: Path, script: Script) -> None:
    """The lock ends with the process that took it, though a forked child lives on."""
    parent = script(
        "import os, sys\n"
        "from linewarden.eventstore import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "if os.fork() == 0:\n"
        "    print('forked', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    os._exit(0)\n"
        "sys.stdin.readline()\n"
        "os._exit(0)\n",
        path,
    )
    assert parent.stdout and parent.stdout.readline() == "forked\n"
    parent.kill()
    parent.wait()
    SQLiteStore.open(path).close()
