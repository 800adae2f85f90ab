"""The owner lock: one process writes to a store at a time.

The lock is an `flock` on a file beside the store, never on the store itself, whose POSIX locks
belong to SQLite. The kernel releases it however the process ends. The file is left in place when
the lock is released: deleting it would let two processes lock two files of one name.
"""

import contextlib
import fcntl
import os
import weakref

from .errors import StoreLocked
from .sqlite_connection import read_only

_held: "weakref.WeakSet[OwnerLock]" = weakref.WeakSet()


class OwnerLock:
    """Holds the right to write to one store until `release`."""

    def __init__(self, path: str, name: str) -> None:
        self.path = path + ".lock"
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise read_only(path) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise StoreLocked(path, *_holder(descriptor)) from None
            os.ftruncate(descriptor, 0)
            label = " ".join(name.split())[:200]
            with contextlib.suppress(OSError):  # a full disk costs the label, not the lock
                os.pwrite(descriptor, f"{os.getpid()}\n{label}\n".encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _held.add(self)

    def release(self) -> None:
        """Let another process write."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)

    def forget(self) -> None:
        """Close a copy that a fork made, without touching what the parent wrote into it."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def is_owned(path: str) -> bool:
    """Whether a process has the right to write to a store now; one that was killed has not.

    The lock is tried only where somebody left a name, so that this is in nobody's way.
    """
    try:
        descriptor = os.open(os.path.realpath(path) + ".lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if _holder(descriptor)[0] is not None:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _holder(descriptor: int) -> tuple[int | None, str]:
    lines = os.pread(descriptor, 4096, 0).decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or not lines[0].isdigit():
        return None, ""
    return int(lines[0]), lines[1]


def _forget_all() -> None:
    # A forked child would keep the parent's lock alive after the parent is gone.
    for lock in _held:
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
