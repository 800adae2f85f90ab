"""A session is one path: what the worker opens is what a purge deletes."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from linewarden.gateway.supervisor.session import PATH_BYTES_MAX, Session, files_of
from linewarden.statemachine.errors import InputError, LinewardenError

ODD_NAMES = [
    "a b.db",
    "a?_journal_mode=WAL&_x=.db",
    "hash#.db",
    "percent%41.db",
    "%zz.db",
    ":memory:",
    "new\nline.db",
    "no-utf-8-\udcff.db",
    "$HOME.db",
]

# Dials through a proxy that refuses: the library opens its database first.
OPEN = """
import os, sys
from linewarden.gateway.whatsapp.adapter import load_neonize
load_neonize()
from neonize.client import NewClient, ProxySettings
clients = []
for name in sys.argv[1:]:
    clients.append(NewClient(name))
    try:
        clients[-1].connect(
            ProxySettings(
                proxy_address="http://127.0.0.1:1",
                no_websocket=False,
                only_login=False,
                no_media=False,
            )
        )
    except Exception as error:
        assert "proxyconnect" in str(error), error
    else:
        raise AssertionError("a refused proxy let the dial through")
os._exit(0)
"""


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def test_the_library_opens_the_very_file_that_is_deleted(tmp_path: Path) -> None:
    """Whatever letters a path holds, neonize opens that file, keeps its mode, and it is deleted."""
    sessions = [Session(name, tmp_path / "se?ss#ions") for name in ODD_NAMES]
    for session in sessions:
        session.prepare()
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *(session.name for session in sessions)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {str(path) for path in found} == {session.path for session in sessions}
    assert all(path.stat().st_size > 0 and mode(path) == 0o600 for path in found)
    assert [session.delete() for session in sessions] == [[]] * len(sessions)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_path_is_expanded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder, a relative path starts in its folder, and `$` is a letter."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    session = Session("~/support.db")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert session.path == str(tmp_path / "home" / "support.db")
    assert Session("$HOME/x.db", "folder").path == str(tmp_path / "folder" / "$HOME" / "x.db")
    assert Session(session.path, "folder").path == session.path
    assert Session("//two/slashes.db").path == "/two/slashes.db"


def test_a_link_is_followed(tmp_path: Path) -> None:
    """SQLite lays its files beside the target of a link, so the target is the path."""
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    session = Session(tmp_path / "link.db")
    session.prepare()
    assert session.path == str(tmp_path / "real.db")
    assert session.delete() == []
    assert not (tmp_path / "real.db").exists()


@pytest.mark.parametrize(
    "path", ["", "sessions/", "a\0b.db", "postgres://host/db", "file:x.db", "~nobody-here/x.db"]
)
def test_what_is_no_file_is_refused(path: str) -> None:
    """An empty path, a folder, a server's address and an unknown home are refused."""
    with pytest.raises(InputError) as refused:
        Session(path)
    assert refused.value.hint


def test_a_path_that_the_library_cannot_open_is_refused(tmp_path: Path) -> None:
    """A path over the limit of SQLite, or a name with no room for a journal's, is refused."""
    with pytest.raises(InputError, match="too long"):
        Session("x" * 240, tmp_path / ("y" * 240) / ("z" * (PATH_BYTES_MAX - 480)))
    with pytest.raises(InputError, match="too long"):
        Session("é" * 124)
    Session("x" * 247, "/")


def test_only_the_owner_reads_a_session(tmp_path: Path) -> None:
    """Folder and file are made for the owner alone, and a file that others could read is shut."""
    session = Session(tmp_path / "a" / "sessions" / "support.db")
    session.prepare()
    assert (mode(tmp_path / "a" / "sessions"), mode(session.path)) == (0o700, 0o600)
    Path(session.path).write_bytes(b"kept")
    os.chmod(session.path, 0o644)
    session.prepare()
    assert (mode(session.path), Path(session.path).read_bytes()) == (0o600, b"kept")


def test_a_folder_in_the_place_of_a_session_is_an_error_of_the_settings(tmp_path: Path) -> None:
    """A folder, or anything else that is no file, is refused without being touched."""
    os.mkfifo(tmp_path / "pipe.db")
    (tmp_path / "folder.db").mkdir()
    for name in ("pipe.db", "folder.db"):
        with pytest.raises(InputError, match="is no file"):
            Session(name, tmp_path).prepare()
        assert (tmp_path / name).exists()


def test_a_place_that_cannot_be_written_is_told_with_a_hint(tmp_path: Path) -> None:
    """Where the folder can't be made, the error says why and what to do, and no phone number."""
    (tmp_path / "file").touch()
    with pytest.raises(LinewardenError, match="can't be written") as failed:
        Session("file/15550100001.db", tmp_path).prepare()
    assert failed.value.hint
    assert "15550100001" not in str(failed.value)


def test_a_folder_without_the_right_to_write_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite needs the folder too, so a folder that takes no new file is an error."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LinewardenError, match="folder can't be written"):
        Session("support.db", tmp_path).prepare()


def test_a_deletion_goes_in_order_and_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes first, then what lies beside it; what is missing is fine."""
    session = Session("support.db", tmp_path)
    for path in files_of(session.path):
        Path(path).touch()
    (tmp_path / "support.db.bak").touch()
    gone: list[str] = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (gone.append(path), unlink(path))[1])
    assert session.delete() == []
    suffixes = [path.removeprefix(session.path) for path in gone]
    assert suffixes == ["", "-wal", "-shm", "-journal"]
    assert os.listdir(tmp_path) == ["support.db.bak"]
    assert session.delete() == []


def test_an_error_does_not_stop_a_deletion(tmp_path: Path) -> None:
    """What can't be deleted is told without its path, and the rest is deleted all the same."""
    session = Session("15550100001.db", tmp_path)
    database, log, shared, _ = files_of(session.path)
    for folder in (database, log):
        Path(folder).mkdir()
    Path(shared).touch()
    failed = session.delete()
    assert [words.partition(":")[0] for words in failed] == [
        "the session's database",
        "the session's -wal",
    ]
    assert "15550100001" not in " ".join(failed)
    assert not Path(shared).exists()
