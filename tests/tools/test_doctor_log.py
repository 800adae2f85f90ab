"""What `linewarden doctor` looks at around a log: its files, its owner, its time and its room."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from linewarden.eventstore import NewRecord, encode, open_store
from linewarden.statemachine.policy import NS
from linewarden.tools import doctor_log
from linewarden.tools.doctor_machine import Finding

NOW = 4_000_000_000 * NS  # later than any file of this installation
MIB = 2**20
WRITTEN_AT = 1_700_000_000 * NS


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A log with one record, closed in order."""
    path = tmp_path / "log.db"
    body = encode({"stimulus": "dialing"})
    record = NewRecord(
        id=b"1" * 16, at=WRITTEN_AT, type="dialing", state=None, reply=None, body=body
    )
    store = open_store(path, name="main")
    try:
        store.append("support", [record])
    finally:
        store.close()
    return str(path)


def test_a_log_that_is_none_is_bad(tmp_path: Path) -> None:
    """Whatever else lies at the path is named, and its time is not believed."""
    path = tmp_path / "log.db"
    path.write_bytes(b"something else" * 100)
    finding, newest = doctor_log.look_at_log(str(path))
    assert (finding.level, newest) == ("bad", None)


def test_the_owner_is_named(log: str) -> None:
    """While a process holds the log, its number and name are told, and it goes on."""
    store = open_store(log, name="the gateway")
    try:
        finding = doctor_log.look_at_owner(log)
        assert finding == Finding("owner", "ok", f"held by process {os.getpid()} (the gateway)")
    finally:
        store.close()
    assert doctor_log.look_at_owner(log).found == "free"


def test_an_owner_that_was_killed_holds_nothing(log: str) -> None:
    """The name that a killed process left is told, and the lock is free."""
    Path(f"{log}.lock").write_text("4194305\nmain\n")
    finding = doctor_log.look_at_owner(log)
    assert finding.level == "ok"
    assert finding.found.startswith("free: process 4194305 (main) ended")


def test_an_owner_without_a_name_holds_the_log(log: str) -> None:
    """A lock whose label a full disk cost is held nevertheless."""
    with open(f"{log}.lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert doctor_log.look_at_owner(log).found == "held by a process without a name"


def test_a_lock_that_can_not_be_tried_is_bad(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks, and a lock of somebody else's, are bad."""

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert "No locks" in doctor_log.look_at_owner(log).found
    monkeypatch.setattr(os, "open", refuse(os.open, f"{log}.lock"))
    assert doctor_log.look_at_owner(log).level == "bad"


def refuse(call: Callable[..., object], refused: str) -> Callable[..., object]:
    """The call, with no right to one path."""

    def tried(path: object, *more: object, **named: object) -> object:
        if path == refused:
            raise PermissionError(13, "Permission denied", refused)
        return call(path, *more, **named)

    return tried


def session_beside(log: str) -> Path:
    session = Path(log).parent / "sessions" / "support.db"
    session.parent.mkdir(mode=0o700)
    session.touch(mode=0o600)
    return session


def test_private_files_are_fine(log: str) -> None:
    """A log and a session as they are made need no advice."""
    session = session_beside(log)
    assert [(finding.level, finding.found) for finding in look(log, session)] == [
        ("ok", "private")
    ] * 2


def look(log: str, session: Path) -> list[Finding]:
    return doctor_log.look_at_files(log, [str(session)])


def test_what_others_can_read_is_bad(log: str) -> None:
    """A log or a session that others can read is bad, with the command that hides it."""
    session = session_beside(log)
    os.chmod(f"{log}.lock", 0o644)
    os.chmod(session, 0o640)
    files, sessions = look(log, session)
    assert (files.level, files.found) == ("bad", f"{log}.lock is 0644")
    assert files.advice == f"chmod go-rwx {log}.lock"
    assert (sessions.level, sessions.found) == ("bad", f"{session} is 0640")


def test_what_others_can_replace_is_warned_of(log: str) -> None:
    """Folders that others can write in are warned of, unless only owners can replace there."""
    session = session_beside(log)
    os.chmod(session.parent, 0o755)
    os.chmod(Path(log).parent, 0o777)
    files, sessions = look(log, session)
    assert (files.level, files.advice) == ("warn", f"chmod go-w {Path(log).parent}")
    assert (sessions.level, sessions.advice) == ("warn", f"chmod go-rwx {session.parent}")
    os.chmod(Path(log).parent, 0o1777)
    assert look(log, session)[0].level == "ok"


def test_files_of_somebody_else_are_bad(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not the owner is told so, and so is a session whose owner is not the log's."""
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    [files, _] = look(log, session_beside(log))
    assert files.level == "bad"
    assert f"{log} is of user {owner}, not {owner + 1}" in files.found
    assert f"chown {owner + 1} {log}" in files.advice


def test_root_looks_after_the_owner_of_the_log(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For root the files are right when they belong to the log's owner."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert {finding.level for finding in look(log, session_beside(log))} == {"ok"}


def test_files_that_can_not_be_seen_are_bad(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that this user may not look into is bad, and not empty."""
    session = session_beside(log)
    monkeypatch.setattr(os, "stat", refuse(os.stat, str(session)))
    assert look(log, session)[1].found == f"{session}: Permission denied"


def test_the_clock_is_not_before_what_was(log: str) -> None:
    """A clock before the newest record, or before this installation, is bad."""
    [_, newest] = doctor_log.look_at_log(log)
    assert newest == WRITTEN_AT
    assert doctor_log.look_at_clock(NOW, newest, True).level == "ok"
    assert doctor_log.look_at_clock(NOW, NOW + 30 * NS, True).level == "ok"
    late = doctor_log.look_at_clock(NOW, NOW + 3600 * NS, True)
    assert (late.level, late.found) == ("bad", "3600 s before the newest record")
    early = doctor_log.look_at_clock(0, None, True)
    assert early.level == "bad"
    assert early.found.endswith("s before this installation")


def test_a_clock_that_nothing_keeps_is_warned_of() -> None:
    """The kernel says whether a time service keeps the clock; where it doesn't say, it is fine."""
    levels = [doctor_log.look_at_clock(NOW, None, kept).level for kept in (True, None, False)]
    assert levels == ["ok", "ok", "warn"]
    assert doctor_log.synchronised() in {True, False, None}


def disk(monkeypatch: pytest.MonkeyPatch, folder: Path, **changes: int) -> Finding:
    """What is said of a disk with these numbers."""
    numbers = {"f_flag": 0, "f_bavail": 9000, "f_frsize": MIB, "f_files": 9, "f_favail": 9}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**{**numbers, **changes}))
    return doctor_log.look_at_disks([str(folder)])


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, "ok"),
        ({"f_files": 0, "f_favail": 0}, "ok"),
        ({"f_bavail": 500}, "warn"),
        ({"f_bavail": 12}, "bad"),
        ({"f_favail": 0}, "bad"),
        ({"f_flag": os.ST_RDONLY}, "bad"),
    ],
)
def test_a_disk_needs_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, int], level: str
) -> None:
    """Less than 1 GiB is warned of; no room for the write-ahead log or a file is bad."""
    assert disk(monkeypatch, tmp_path, **changes).level == level


def test_the_worst_disk_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of several folders the worst is told; one that is not there yet is judged by its parent."""
    (tmp_path / "closed").mkdir()
    closed = str(tmp_path / "closed")
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed)
    finding = doctor_log.look_at_disks([str(tmp_path), str(tmp_path / "closed" / "sessions")])
    assert finding.level == "bad"
    assert f"can't write in {closed}" in finding.found
