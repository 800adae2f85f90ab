"""The `archived` record: it stands for the older records of its account, which are in a bundle.

It has an id that follows from what it stands for, so whoever finds a stream beginning at version
N + 1 finds by that the record that vouches for the N before. The bundle's bytes are named by their
hash, and the record is part of the chain that goes on from them.
"""

import os
from hashlib import file_digest

import msgspec

from . import chain
from .bundle_format import BadBundle
from .errors import Corrupt
from .records import Record


class Archive(msgspec.Struct, frozen=True):
    """What an `archived` record says: versions `first` to `last` are in a bundle.

    `bundle` is the hash of its file, `chain` the link after `last`, `position` that of `last`;
    `state` is that of the account after it.
    """

    first: int
    last: int
    position: int
    chain: bytes
    bundle: str
    state: str | None


class _Stimulus(msgspec.Struct, frozen=True):
    first: int
    last: int
    position: int
    chain: str
    bundle: str


class _Machine(msgspec.Struct, frozen=True):
    state: str | None = None


class _Snapshot(msgspec.Struct, frozen=True):
    machine: _Machine = _Machine()


class _Content(msgspec.Struct, frozen=True):
    stimulus: _Stimulus
    snapshot: _Snapshot


_content = msgspec.json.Decoder(_Content).decode

BUNDLES_HINT = "keep the bundles of an archive in one folder, as they were written"


def archive_id(log_id: bytes, stream: str, last: int) -> bytes:
    """The id of the record that stands for a stream up to its version `last`: a UUIDv8."""
    number = bytearray(chain.archived(log_id, stream, last)[:16])
    number[6] = number[6] & 0x0F | 0x80
    number[8] = number[8] & 0x3F | 0x80
    return bytes(number)


def archive_of(record: Record) -> Archive:
    """What an `archived` record says; raises `Corrupt` where it says nothing of the kind."""
    try:
        content = _content(record.body)
        said = content.stimulus
        return Archive(
            said.first,
            said.last,
            said.position,
            bytes.fromhex(said.chain),
            said.bundle,
            content.snapshot.machine.state,
        )
    except (msgspec.MsgspecError, ValueError):
        raise Corrupt(
            f"Record {record.position} stands for archived ones and does not say which",
            position=record.position,
        ) from None


def bundle_name(log_id: bytes, stream: str, first: int, last: int) -> str:
    """What the file of an archived stretch is called."""
    return f"{log_id.hex()[:8]}.{stream}.{first}-{last}.incident.jsonl.gz"


def file_hash(path: str | os.PathLike[str]) -> str:
    """The hash of a bundle's file, by which a record names it; raises `BadBundle`."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadBundle(f"{path} can't be read: {error.strerror}", hint=BUNDLES_HINT) from None
