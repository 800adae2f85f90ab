"""What an audit of a log finds wrong with a record."""

from . import chain
from .records import Record


class BadRecord(Exception):
    """A record that is not as it was written."""

    def __init__(self, position: int, stream: str | None, version: int | None, reason: str) -> None:
        super().__init__(reason)
        self.position, self.stream, self.version, self.reason = position, stream, version, reason


def fault(record: Record, reason: str) -> BadRecord:
    """What is wrong with a record that could be read."""
    return BadRecord(record.position, record.stream, record.version, reason)


def diagnose(
    position: int,
    expected: int,
    stream: str,
    version: int,
    head: tuple[int, bytes],
    leaf: bytes,
    body: bytes,
) -> BadRecord:
    """Why a record at a position does not follow the `head` (version and chain) of its stream."""
    if position != expected:
        reason = f"record {expected} is missing"
    elif chain.leaf(body) != leaf:
        reason = "the bytes of the record are not what was hashed"
    elif version != head[0] + 1:
        reason = f"version {version} follows version {head[0]} of its stream"
    else:
        reason = "the chain does not continue from the record before"
    return BadRecord(expected, stream, version, reason)
