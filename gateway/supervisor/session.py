"""The session of an account: one SQLite file that the worker opens and a purge deletes.

The path is expanded once, and what is opened is what is deleted. The service never opens the file
as a database: a second SQLite library on the same file drops the locks of the first.
"""

from __future__ import annotations

import os
import re
import stat
from urllib.parse import quote

from ...statemachine.errors import InputError, LinewardenError
from ..redaction import redact

PATH_BYTES_MAX = 500
"""SQLite as neonize carries it opens no path of 505 bytes; `-journal` must fit beside it."""

NAME_BYTES_MAX = 247
"""Usual file systems take names of 255 bytes, and `-journal` comes to this one."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:")


def expanded(path: str | os.PathLike[str], folder: str | os.PathLike[str] = "") -> str:
    """The path from the root, links followed; a relative one starts in the folder, `$` is a letter.

    Raises `InputError` for what is no path of a file.
    """
    text = os.path.expanduser(os.fspath(path))
    if not text or "\0" in text or text.endswith("/"):
        raise InputError("a path names no file", hint="end it with the name of a file")
    if _ADDRESS.match(text):
        raise InputError("an address stands where a path must", hint="give the path of a file")
    if text.startswith("~"):
        raise InputError("a path begins with ~ and nobody's home is known", hint="write it out")
    # Two leading slashes would be a host in the address by which SQLite opens the file.
    return "/" + os.path.realpath(os.path.join(folder, text)).lstrip("/")


def files_of(database: str) -> tuple[str, ...]:
    """A database, and then what SQLite lays beside it."""
    return (database, *(database + suffix for suffix in ("-wal", "-shm", "-journal")))


def files_of_log(path: str) -> tuple[str, ...]:
    """A log, and what linewarden lays beside it."""
    return (*files_of(path), path + ".lock", path + ".control", path + ".anchors")


class Session:
    """Where the session of an account lies; raises `InputError` for a path that can't work."""

    def __init__(self, path: str | os.PathLike[str], folder: str | os.PathLike[str] = "") -> None:
        self.path = expanded(path, folder)
        name = os.fsencode(os.path.basename(self.path))
        if len(os.fsencode(self.path)) > PATH_BYTES_MAX or len(name) > NAME_BYTES_MAX:
            raise InputError(
                "the path of a session is too long",
                hint=f"at most {PATH_BYTES_MAX} bytes, and {NAME_BYTES_MAX} in the file's name",
            )

    @property
    def name(self) -> str:
        """What `NewClient` must be given to open `path`: the library puts it into an address.

        It is plain ASCII whatever the path holds, so it travels in JSON too.
        """
        return quote(os.fsencode(self.path))

    def prepare(self) -> None:
        """Make the folder (0700) and an empty file (0600), which neonize takes for a new database.

        Its own would be readable by everybody; what SQLite lays beside it takes its mode. May be
        repeated. Raises `InputError` where something else has the path, `LinewardenError` where
        it can't be written.
        """
        folder = os.path.dirname(self.path)
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o600)
            try:
                regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
                if regular:
                    os.fchmod(descriptor, 0o600)
            finally:
                os.close(descriptor)
        except IsADirectoryError:
            regular = False
        except OSError as error:
            raise LinewardenError(
                f"the session can't be written at {redact(self.path)}: {error.strerror}",
                hint="give the service's user a folder that it may write in, on a disk with space",
            ) from None
        if not regular:
            raise InputError(
                f"the session's path is no file: {redact(self.path)}",
                hint="name a file in the folder, such as sessions/support.db",
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise LinewardenError(
                f"the session's folder can't be written: {redact(folder)}",
                hint="SQLite lays files beside the session: make the service's user its owner",
            )

    def delete(self) -> list[str]:
        """Delete the database, then what lies beside it; what is missing is fine.

        An error doesn't stop the rest: each is given in words that name no path. The worker must
        have ended, or it goes on with files that nobody can find.
        """
        failed = []
        for path in files_of(self.path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                what = path.removeprefix(self.path) or "database"
                failed.append(f"the session's {what}: {type(error).__name__}, {error.strerror}")
        return failed
