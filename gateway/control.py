"""The socket for commands: where it stands, how to name it to the system, how to reach it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from ..statemachine.errors import LinewardenError

ADDRESS_BYTES_MAX = 103
"""Bytes of a socket's path that every system takes: macOS 103, Linux 107."""


def control_of(log_path: str | os.PathLike[str]) -> str:
    """The socket's path: beside the log itself, as its lock, whatever links lead to it."""
    return os.path.realpath(os.fspath(log_path)) + ".control"


@contextmanager
def address_of(path: str) -> Iterator[str]:
    """A name for the socket that is short enough for the system, good while it is open."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield path
        return
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def connect(channel: socket.socket, path: str) -> bool:
    """Whether somebody listens."""
    try:
        with address_of(path) as address:
            channel.connect(address)
    except PermissionError:
        raise LinewardenError(
            "this user may not hand commands to the process that holds the log",
            hint="run the command as the user that the gateway runs as",
        ) from None
    except (BlockingIOError, TimeoutError):
        raise LinewardenError(
            "the process that holds the log is too busy to take a command",
            hint="try again in a moment",
        ) from None
    except OSError:
        return False
    return True
