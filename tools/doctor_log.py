"""What `linewarden doctor` looks at around a log: its files, its owner, its time and its room.

Nothing is changed. The owner lock is tried for an instant, shared, because the kernel has no other
way to say whether somebody holds it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shlex
import stat
import sys
from collections.abc import Iterable, Sequence
from typing import get_args

from ..eventstore import open_reader
from ..eventstore.errors import StoreNotFound
from ..eventstore.sqlite_connection import JOURNAL_BYTES_MAX
from ..gateway.redaction import redact
from ..gateway.supervisor.session import files_of
from ..statemachine.errors import LinewardenError
from ..statemachine.policy import NS
from .doctor_machine import Finding, Level

CLOCK_S = 60
"""How far the clock may be behind what it said before: time services correct it by such steps."""

DISK_BYTES_LOW = 1024 * 1024 * 1024
DISK_BYTES_MIN = JOURNAL_BYTES_MAX
"""What the write-ahead log may take before it is written back."""

_TIME_ERROR = 5
"""What adjtimex answers where nothing keeps the clock."""


def look_at_log(log: str) -> tuple[Finding, int | None]:
    """Whether the log can be read, and the instant of its newest record."""
    try:
        reader = open_reader(log)
        try:
            position = reader.last_position()
            newest = [record.at for record in reader.read_all(position - 1, position)]
            found = f"{position} records of {len(reader.streams())} accounts in {log}"
        finally:
            reader.close()
    except StoreNotFound:
        return Finding("log", "ok", f"none yet at {log}"), None
    except LinewardenError as error:
        return Finding("log", "bad", error.message, error.hint), None
    return Finding("log", "ok", found), max(newest, default=None)


def look_at_owner(log: str) -> Finding:
    """Who has the right to write to the log."""
    path = f"{log}.lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return Finding("owner", "ok", "free: nobody has opened the log yet")
    except OSError as error:
        return Finding("owner", "bad", f"{path}: {error.strerror}", "run it as the service's user")
    try:
        pid, name, *_ = [*os.pread(descriptor, 4096, 0).decode("utf-8", "replace").split("\n"), ""]
        who = f"process {pid} ({redact(name)})" if pid.isdigit() else "a process without a name"
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Finding("owner", "ok", f"held by {who}")
    except OSError as error:
        return Finding(
            "owner", "bad", f"{path}: {error.strerror}", "put the log on a local disk that can lock"
        )
    finally:
        os.close(descriptor)
    ended = f": {who} ended without letting go, and any start may take it" if pid else ""
    return Finding("owner", "ok", f"free{ended}")


def look_at_files(log: str, sessions: Sequence[str]) -> list[Finding]:
    """Whether only the service's user can read what is private, and nobody else replace it."""
    user = os.geteuid()
    if user == 0 and os.path.exists(log):
        user = os.stat(log).st_uid  # root looks after a service of somebody else
    private = [*files_of(log), f"{log}.lock", f"{log}.control"]
    held = [file for session in sessions for file in files_of(session)]
    folders = sorted({os.path.dirname(session) for session in sessions})
    return [
        _private("log's files", private, [(os.path.dirname(log), 0o022)], user),
        _private("sessions' files", held, [(folder, 0o077) for folder in folders], user),
    ]


def _private(
    name: str, files: Sequence[str], folders: Sequence[tuple[str, int]], user: int
) -> Finding:
    """Judge files that must be 0600, and folders that may not have the bits beside them."""
    level: Level = "ok"
    seen, wrong, commands = 0, [], []
    for path, forbidden in [*folders, *((file, 0o077) for file in files)]:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            return Finding(name, "bad", f"{path}: {error.strerror}", "run it as the service's user")
        folder = stat.S_ISDIR(status.st_mode)
        seen += not folder
        mode = stat.S_IMODE(status.st_mode)
        if mode & forbidden and not (folder and mode & stat.S_ISVTX):
            level = "bad" if not folder or level == "bad" else "warn"
            wrong.append(f"{path} is {mode:04o}")
            commands.append(f"chmod go-{'w' if forbidden == 0o022 else 'rwx'} {shlex.quote(path)}")
        if status.st_uid != user and not folder:
            level = "bad"
            wrong.append(f"{path} is of user {status.st_uid}, not {user}")
            commands.append(f"chown {user} {shlex.quote(path)}")
    if not wrong:
        return Finding(name, "ok", "private" if seen else "none yet")
    return Finding(name, level, "; ".join(wrong), "; ".join(commands))


def look_at_clock(now: int, newest: int | None, kept: bool | None) -> Finding:
    """Whether the clock can be right: not before what was there already."""
    installed = os.stat(__file__).st_mtime_ns
    advice = "set the clock: timedatectl set-ntp true; for a container, on its host"
    for before, what in [(newest, "the newest record"), (installed, "this installation")]:
        behind = ((before or 0) - now) // NS
        if behind > CLOCK_S:
            return Finding("clock", "bad", f"{behind} s before {what}", advice)
    if kept is False:
        return Finding("clock", "warn", "plausible, but nothing keeps it right", advice)
    return Finding("clock", "ok", "plausible" if kept is None else "kept by a time service")


def synchronised() -> bool | None:
    """Whether the kernel holds the clock for kept; none where it doesn't say."""
    if sys.platform != "linux":
        return None
    answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(256))  # zeros: only read
    return None if answer < 0 else answer != _TIME_ERROR


def look_at_disks(folders: Iterable[str]) -> Finding:
    """Room, and the right to write, where the log and the sessions lie; the least good counts."""
    found = [_disk(folder) for folder in sorted(folders)]
    return max(found, key=lambda finding: get_args(Level).index(finding.level))


def _disk(folder: str) -> Finding:
    while not os.path.isdir(folder):  # a start makes what is not there yet
        folder = os.path.dirname(folder)
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        return Finding("disk", "bad", f"{folder} is read-only", "mount it for writing")
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = "run it as the service's user, or make that user the owner"
        return Finding("disk", "bad", f"user {os.geteuid()} can't write in {folder}", advice)
    free = disk.f_bavail * disk.f_frsize
    found = f"{free // 2**20} MiB free in {folder}"
    if free < DISK_BYTES_MIN or (disk.f_files and not disk.f_favail):
        return Finding("disk", "bad", f"{found}, {disk.f_favail} files", "free space")
    if free < DISK_BYTES_LOW:
        return Finding("disk", "warn", found, "free space before the log can't grow")
    return Finding("disk", "ok", found)
