"""What can go wrong with a log, and whose fault it is.

An `InputError` is the caller's: nothing was written. Everything else is the world's. No message
repeats a value that a caller gave for a stream, an identity or a body: it could be personal.
"""

from ..statemachine.errors import InputError, LinewardenError


class WrongExpectedVersion(LinewardenError):
    """The stream is not at the version that the append expected, so nothing was written."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        super().__init__(
            f"Stream {stream} is at version {actual}, the append expected {expected}",
            hint="another writer was first: catch up, decide again on the new head",
        )


class DuplicateId(InputError):
    """A record id is stored already with other content, so nothing was written."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(
            message,
            hint=hint or "an id names one record for ever: give a new record a new id",
        )


class InvalidStreamName(InputError):
    """The name of a stream is not allowed."""


class InvalidRecord(InputError):
    """A record to be appended is malformed, so nothing was written."""


class InvalidContent(InputError):
    """The content of a record can't be written as canonical JSON."""


class UnsupportedStore(InputError):
    """This kind of store is not supported."""


class StoreNotFound(InputError):
    """There is no store, and no place for one, at this path."""


class StoreClosed(InputError):
    """The store was closed, or belongs to the process that this one was forked from."""


class NotALinewardenStore(InputError):
    """The path holds something else than a linewarden store; it was left as it is."""


class NewerSchema(LinewardenError):
    """The store was written by a newer linewarden; it was left as it is."""


class StoreLocked(LinewardenError):
    """Another process writes to this store."""

    def __init__(self, path: str, pid: int | None, name: str) -> None:
        self.path, self.pid, self.holder = path, pid, name
        who = f"process {pid} ({name})" if pid is not None else "another process"
        super().__init__(
            f"The store {path} is being written by {who}",
            hint="one process writes at a time: stop it first, or open the store for reading",
        )


class ReadOnlyStore(LinewardenError):
    """The store, or the folder it lies in, can't be written to."""


class StoreUnavailable(LinewardenError):
    """The store can't be used now; what was acknowledged is kept, the rest was not written."""


class Corrupt(LinewardenError):
    """The store holds damaged or altered data."""

    def __init__(self, message: str = "", *, hint: str = "", position: int | None = None) -> None:
        self.position = position
        super().__init__(
            message, hint=hint or "run `linewarden verify` and keep the file as evidence"
        )
