"""Proves what was archived: that a bundle is the one a record names, and that none is missing."""

import os
from collections import deque
from collections.abc import Iterator
from hashlib import file_digest

import msgspec

from . import chain
from .archived import archive_id, archive_of, bundle_name
from .bundle import BadBundle, Reading
from .errors import Corrupt
from .records import Record
from .store import Reader

_HINT = "keep the bundles of an archive in one folder, as they were written"


class _Promises(msgspec.Struct):
    commitments: dict[str, str] = {}


_promises = msgspec.json.Decoder(_Promises).decode


def hash_of(path: str | os.PathLike[str]) -> str:
    """The hash of a file, by which a record names a bundle; raises `BadBundle`."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadBundle(f"{path} can't be read: {error.strerror}", hint=_HINT) from None


def contents(reading: Reading, record: Record, log_id: bytes) -> Iterator[Record]:
    """The records that an `archived` record stands for, each checked; raises `BadBundle`."""
    archive, header = archive_of(record), reading.header
    if hash_of(reading.path) != archive.bundle:
        raise BadBundle(f"{reading.path} is not the bundle that was archived", hint=_HINT)
    said = (header.log, header.account, header.first, header.last)
    if said != (log_id.hex(), record.stream, archive.first, archive.last):
        raise BadBundle(f"{reading.path} is not of what was archived", hint=_HINT)
    yield from reading
    if reading.trailer.head.chain != archive.chain.hex():
        raise BadBundle(f"{reading.path} does not lead to what was archived", hint=_HINT)


def prove(record: Record, log_id: bytes, path: str) -> None:
    """Read a bundle to its end and compare it with the record; raises `BadBundle`."""
    deque(contents(Reading(path), record, log_id), maxlen=0)


def audit_archives(reader: Reader, folder: str | os.PathLike[str]) -> int:
    """Prove every archived stretch of a log by its bundle in a folder; return how many records.

    The vault is compared with what those records promised of it, too. Raises `BadBundle` where a
    bundle is missing or another, `Corrupt` where the log or its vault does not go with them.
    """
    return sum(_audit_stream(reader, stream, folder) for stream in reader.streams())


def _audit_stream(reader: Reader, stream: str, folder: str | os.PathLike[str]) -> int:
    count = 0
    known: dict[bytes, Record] = {}  # an older `archived` record may be in a newer bundle
    record = reader.archived(stream)
    while record is not None:
        archive = archive_of(record)
        name = bundle_name(reader.log_id, stream, archive.first, archive.last)
        reading = Reading(os.path.join(folder, name))
        for inside in contents(reading, record, reader.log_id):
            count += 1
            if inside.type == "archived":
                known[inside.id] = inside
            _check_vault(reader, inside)
        if archive.first == 1:
            break
        earlier = archive_id(reader.log_id, stream, archive.first - 1)
        record = known.get(earlier) or reader.get(earlier)
        if record is None or archive_of(record).chain.hex() != reading.header.before.chain:
            raise Corrupt(f"Nothing stands for version {archive.first - 1} of {stream}")
    return count


def _check_vault(reader: Reader, record: Record) -> None:
    if b'"commitments"' not in record.body:
        return
    promised = _promises(record.body).commitments
    for token, entry in reader.vault_entries(promised).items():
        if chain.commitment(entry.salt, entry.kind, entry.value).hex() != promised[token]:
            raise Corrupt(f"The vault's value of {token} was changed", position=record.position)
