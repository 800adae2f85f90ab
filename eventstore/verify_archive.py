"""Audits what was archived: a bundle is the one that a record names, and none is missing."""

import os
from collections.abc import Container, Iterator, Mapping

import msgspec

from . import chain
from .archived import BUNDLES_HINT, archive_id, archive_of, bundle_name, file_hash
from .bundle_format import BadBundle
from .bundle_reading import Reading
from .errors import Corrupt
from .links import Links, add_link
from .records import Record
from .store import Reader


class _Promises(msgspec.Struct):
    commitments: dict[str, str] = {}


_promises = msgspec.json.Decoder(_Promises).decode


def contents(reading: Reading, record: Record, log_id: bytes) -> Iterator[Record]:
    """The records that an `archived` record stands for, each checked; raises `BadBundle`."""
    archive, header = archive_of(record), reading.header
    if file_hash(reading.path) != archive.bundle:
        raise BadBundle(f"{reading.path} is not the bundle that was archived", hint=BUNDLES_HINT)
    said = (header.log, header.account, header.first, header.last)
    if said != (log_id.hex(), record.stream, archive.first, archive.last):
        raise BadBundle(f"{reading.path} is not of what was archived", hint=BUNDLES_HINT)
    yield from reading
    if reading.trailer.head.chain != archive.chain.hex():
        raise BadBundle(f"{reading.path} does not lead to what was archived", hint=BUNDLES_HINT)


def audit_archives(
    reader: Reader,
    folder: str | os.PathLike[str],
    anchored: Mapping[str, Mapping[int, str]],
) -> int:
    """Prove every archived stretch of a log by its bundle in a folder; return how many records.

    The vault is compared with what those records promised of it, the links that the log keeps with
    those that they name, and `anchored`, the chains (hex) that anchors know of them by account and
    version, with theirs. No record of the log may stand at a position of theirs. Raises
    `BadBundle` where a bundle is missing or another, `Corrupt` where the log or an anchor does not
    go with them.
    """
    links: Links = {}
    kept = reader.archived_links()
    taken = {link[0] for batch in reader.links() for link in batch}
    count = sum(
        _audit_stream(reader, stream, folder, links, anchored.get(stream, {}), taken)
        for stream in reader.streams()
    )
    # More may be archived meanwhile, and a number may be erased: only what was kept before has to
    # be named by the bundles, and what they name kept after. The vault is read last of all.
    since = reader.archived_links()
    known = reader.vault_entries({pn for pn, _ in links | kept})
    if not (_within(kept, links, known) and _within(links, since, known)):
        raise Corrupt("The links of archived records are not those that the records name")
    return count


def _within(some: Links, others: Links, known: Container[str]) -> bool:
    """Whether the links of known numbers are among others, which may be newer."""
    return all(
        position <= others.get(link, 0) for link, position in some.items() if link[0] in known
    )


def _audit_stream(
    reader: Reader,
    stream: str,
    folder: str | os.PathLike[str],
    links: Links,
    anchored: Mapping[int, str],
    taken: Container[int],
) -> int:
    count = 0
    known: dict[bytes, Record] = {}  # an older `archived` record may be in a newer bundle
    record = reader.archived(stream)
    while record is not None:
        archive = archive_of(record)
        name = bundle_name(reader.log_id, stream, archive.first, archive.last)
        reading = Reading(os.path.join(folder, name))
        for inside in contents(reading, record, reader.log_id):
            count += 1
            if inside.position in taken and _is_there(reader, inside.position):
                raise Corrupt(
                    "a record has the position of an archived one", position=inside.position
                )
            add_link(links, inside)
            if inside.type == "archived":
                known[inside.id] = inside
            _check_vault(reader, inside)
            _check_anchored(inside, anchored)
        if archive.first == 1:
            break
        earlier = archive_id(reader.log_id, stream, archive.first - 1)
        record = known.get(earlier) or reader.get(earlier)
        if record is None or archive_of(record).chain.hex() != reading.header.before.chain:
            raise Corrupt(f"Nothing stands for version {archive.first - 1} of {stream}")
    return count


def _is_there(reader: Reader, position: int) -> bool:
    """Whether the log still has a record at a position: it may have been archived meanwhile."""
    record = next(reader.read_all(position - 1), None)
    return record is not None and record.position == position


def _check_vault(reader: Reader, record: Record) -> None:
    if b'"commitments"' not in record.body:
        return
    promised = _promises(record.body).commitments
    for token, entry in reader.vault_entries(promised).items():
        if chain.commitment(entry.salt, entry.kind, entry.value).hex() != promised[token]:
            raise Corrupt(f"The vault's value of {token} was changed", position=record.position)


def _check_anchored(record: Record, anchored: Mapping[int, str]) -> None:
    said = record.chain.hex()
    if anchored.get(record.version, said) != said:
        raise Corrupt(
            f"version {record.version} of {record.stream}, which is archived, is not what was "
            "anchored",
            position=record.position,
        )
