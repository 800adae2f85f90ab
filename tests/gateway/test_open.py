"""Opening a log: what is not ours, too new, held or read-only is refused, and nothing is lost."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import open_store
from linewarden.eventstore.errors import (
    NewerSchema,
    NotALinewardenStore,
    ReadOnlyStore,
    StoreLocked,
    StoreNotFound,
)
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError, LinewardenError


def test_anchors_are_signed_and_told_outside(tmp_path: Path) -> None:
    """At its end a gateway signs where every account stands, beside the log and in the sink."""
    pytest.importorskip("cryptography", reason="the extra `audit`")
    from linewarden.eventstore.signing import new_key

    path, key, sink = tmp_path / "log.db", tmp_path / "key", tmp_path / "elsewhere.anchors"
    new_key(str(key))
    with Linewarden.open(path, anchor_key=str(key), anchor_sink=str(sink)) as warden:
        warden.claim("main").result(20)
    assert b'"signature":' in sink.read_bytes()
    assert sink.read_bytes() == (tmp_path / "log.db.anchors").read_bytes()


@pytest.mark.parametrize("given", [{"anchor_key": "no-key"}, {"anchor_sink": "log.db"}])
def test_a_bad_key_or_sink_makes_no_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    """What anchors need is looked at first: a mistake leaves nothing behind."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LinewardenError) as caught:
        Linewarden.open("log.db", **given)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "policy",
    [
        {"preset": "mine"}, {"initial_s": 0}, {"initial_s": "soon"}, {"factor": 0.5},
        {"jitter": 2}, {"patience": 1}, {"fast_attempts": 1.5}, {"max_s": float("nan")},
        {"relink": "perhaps"}, {"preset": ["default"]}, {"app_silence_s": -1},
    ],
)  # fmt: skip
def test_a_bad_policy_opens_nothing(tmp_path: Path, policy: dict[str, Any]) -> None:
    """A policy that is not understood is refused, and leaves the log free for another try."""
    with pytest.raises(InputError) as caught:
        Linewarden.open(tmp_path / "log.db", policy=policy)
    assert caught.value.hint
    with pytest.raises(InputError):
        Linewarden.open(tmp_path / "log.db", policies={"main": policy})
    with Linewarden.open(tmp_path / "log.db", policy={"initial_s": 0.5}) as warden:
        assert warden.claim("main").result(20)


def foreign(path: Path) -> None:
    """A SQLite database of somebody else."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages (body TEXT)")
    connection.execute("INSERT INTO messages VALUES ('keep me')")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    """A log that a later linewarden has written."""
    open_store(path).close()
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.write_text("dear diary\n" * 500), NotALinewardenStore),
        (foreign, NotALinewardenStore),
        (newer, NewerSchema),
        (lambda path: path.mkdir(), LinewardenError),
        (lambda path: path.symlink_to(path), LinewardenError),
    ],
    ids=["text", "foreign", "newer", "folder", "loop"],
)
def test_a_file_that_is_not_ours_stays_as_it_is(tmp_path: Path, make: Any, error: Any) -> None:
    """What is no log of ours is refused by a typed error with a hint, byte for byte untouched."""
    path = tmp_path / "log.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error) as caught:
        Linewarden.open(path)
    assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else None) == before
    assert not list(tmp_path.glob("log.db-*"))


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    """A missing folder, no name at all and memory are refused with a hint."""
    for path in (tmp_path / "nowhere" / "log.db", "", ":memory:", "postgresql://localhost/x"):
        with pytest.raises(LinewardenError) as caught:
            Linewarden.open(path)
        assert caught.value.hint


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """A log that another process writes is refused by its pid and name; then it goes on."""
    path = tmp_path / "log.db"
    script = (
        "import sys\n"
        "from linewarden.gateway.warden import Linewarden\n"
        "with Linewarden.open(sys.argv[1], holder='first') as warden:\n"
        "    warden.claim('main', 'A').result(20)\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        with pytest.raises(StoreLocked) as caught:
            Linewarden.open(path)
        assert str(first.pid) in str(caught.value)
        assert "first" in str(caught.value)
        assert caught.value.hint
        first.communicate("\n", timeout=30)
    assert first.returncode == 0
    with Linewarden.open(path, holder="first") as warden:
        stream = warden.projections.reader.read_stream("main", 0, 2)
        assert [record.type for record in stream] == ["claimed", "service_stopped"]


def test_a_folder_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only folder is said to be one before anything is made in it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        # Root may write everywhere: what is asked of the system is answered as for others.
        monkeypatch.setattr(os, "access", lambda _path, mode, **_: not mode & os.W_OK)
    with pytest.raises(ReadOnlyStore) as caught:
        Linewarden.open(folder / "log.db")
    assert caught.value.hint
    assert not list(folder.iterdir())


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A path into a folder that does not exist is a mistake, not a wish for a folder."""
    with pytest.raises(StoreNotFound):
        Linewarden.open(tmp_path / "nowhere" / "log.db")
    assert not list(tmp_path.iterdir())
