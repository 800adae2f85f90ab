"""Incidents: cut out of a log, opened straight from it or from a bundle."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from ..eventstore import Reader, Record, chain, codec, open_reader
from ..eventstore.anchor import Anchor, Point
from ..eventstore.anchors import anchors_path, read_anchors
from ..eventstore.bundle_format import (
    LINE_BYTES_MAX,
    ONWARD_MAX,
    RECORDS_MAX,
    Bundle,
    Header,
    Trailer,
    plain_line,
    table_hash,
)
from ..eventstore.bundle_reading import read_bundle
from ..eventstore.kind import kind_of
from ..projections.archived import beginning, check_start
from ..projections.projections import version_at
from ..projections.view import AccountView
from ..projections.why import NothingKnown
from ..statemachine.errors import InputError, LinewardenError
from ..statemachine.version import SCHEMA, VERSION
from .moments import Moment, moment


def incident_of(
    source: str | os.PathLike[str],
    account: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Bundle:
    """The incident of a bundle, or of a range of an account straight from a log.

    `start` and `end` are moments as an operator writes them (`moments.moment`), both inclusive;
    a bundle is taken whole. The account need not be named where there is one only.
    """
    if kind_of(source) == "log":
        return cut_from(source, account, start, end)
    if start is not None or end is not None:
        raise InputError(
            "A range can be cut out of a log only, and this is a bundle",
            hint="leave out --from and --to, or name the log",
        )
    bundle = read_bundle(source)
    if account not in (None, bundle.header.account):
        raise InputError(
            f"The bundle is of the account {bundle.header.account}", hint="leave out --account"
        )
    return bundle


def cut_from(
    path: str | os.PathLike[str],
    account: str | None = None,
    start: str | None = None,
    end: str | None = None,
) -> Bundle:
    """Cut a range out of a log, now; another process may be writing to it."""
    now = time.time_ns()
    reader = open_reader(path)
    try:
        return cut(
            reader,
            account,
            start=moment(start, now) if start is not None else Moment(),
            end=moment(end, now) if end is not None else Moment(),
            at=now,
            anchors=_anchors(path, reader, account),
        )
    finally:
        reader.close()


def cut(
    reader: Reader,
    account: str | None = None,
    *,
    start: Moment = Moment(),  # noqa: B008 - a named tuple, which nobody can change
    end: Moment = Moment(),  # noqa: B008 - a named tuple, which nobody can change
    at: int,
    anchors: Iterable[Anchor] = (),
) -> Bundle:
    """Cut a range out of an account's stream; `at` (UTC ns) is when.

    Of `anchors`, in their order, the first that covers the range goes with it. Without a start it
    begins with the first record that the log still has. Raises `InputError` where the account has
    no record in the range, or too many, and `BeforeTheArchive` where some are archived.
    """
    account = account if account is not None else _only(reader)
    if not reader.head(account).version:
        raise NothingKnown(
            "The log has no account of this name", hint="`linewarden status` lists all accounts"
        )
    last = version_at(reader, account, position=end.position, at=end.at)
    check_start(reader, account, position=start.position, at=start.at)
    if last == beginning(reader, account).version:
        check_start(reader, account, position=0)  # it ends before what is left
    if start.at is not None and end.at is not None and end.at < start.at:
        raise InputError(
            "The range ends before it begins",
            hint="a time without a day is the last one that was: say the day too",
        )
    before, records = _read(reader, account, start, last)
    if not records:
        raise InputError(
            f"{account} has no record in this range",
            hint=f"`linewarden timeline --account {account}` shows what there is, and when",
        )
    if len(records) > RECORDS_MAX:
        raise InputError(
            f"The range holds more than {RECORDS_MAX} records", hint="choose a shorter one"
        )
    chained = before.chain or chain.genesis(reader.log_id, account)
    header = Header(
        log=reader.log_id.hex(),
        account=account,
        first=records[0].version,
        last=last,
        before=Point(before.version, chained.hex()),
        snapshot=codec.in_order(before.machine),
        policy=before.machine.overrides or {},
        build=VERSION,
        schema=SCHEMA,
        table=table_hash(),
        at=at,
    )
    return Bundle(header, records, _trailer(reader, header, records, anchors))


def _only(reader: Reader) -> str:
    accounts = reader.streams()
    if len(accounts) == 1:
        return accounts[0]
    raise InputError(
        f"The log has {len(accounts)} accounts", hint="name one of them with --account"
    )


def _trailer(
    reader: Reader, header: Header, records: list[Record], anchors: Iterable[Anchor]
) -> Trailer:
    """The trailer of a range: with the leaves to the first anchor that covers it, and that anchor.

    It has all heads of the log: where they don't fit into a line, the leaves go alone.
    """
    account, last = header.account, header.last
    trailer = Trailer(len(records), Point(last, records[-1].chain.hex()))
    for anchor in anchors:
        head = anchor.heads.get(account)
        if anchor.log == header.log and head is not None and head.version >= last:
            if head.version - last > ONWARD_MAX:
                break
            onward = [one.leaf.hex() for one in reader.read_stream(account, last, head.version)]
            trailer = msgspec.structs.replace(trailer, onward=onward)
            whole = msgspec.structs.replace(trailer, anchor=anchor)
            return whole if len(plain_line(whole)) <= LINE_BYTES_MAX else trailer
    return trailer


def _anchors(path: str | os.PathLike[str], reader: Reader, account: str | None) -> Iterator[Anchor]:
    """The anchors beside a log, up to the first that does not fit: `verify` tells of that one.

    An incident can be cut out of a log that was tampered with all the same.
    """
    own = anchors_path(path)
    if not os.path.exists(own):
        return
    account = account if account is not None else _only(reader)
    gone = beginning(reader, account).version
    try:
        for anchor in read_anchors(own, reader.log_id.hex(), copy=False):
            head = anchor.heads.get(account)
            if head is not None and head.version > gone:
                anchored = next(reader.read_stream(account, head.version - 1, head.version), None)
                if anchored is None or anchored.chain.hex() != head.chain:
                    return
                yield anchor
    except LinewardenError:
        return


def _read(
    reader: Reader, account: str, start: Moment, last: int
) -> tuple[AccountView, list[Record]]:
    """The records of an account from a moment on, up to its version `last`, and the view before.

    Of more records than a bundle may hold one more than that.
    """
    view = beginning(reader, account)
    stream = reader.read_stream(account, view.version, last)
    records: list[Record] = []

    def earlier() -> Iterator[Record]:
        for record in stream:
            if record.position >= (start.position or 0) and record.at >= (start.at or 0):
                records.append(record)
                return
            yield record

    view.fold(earlier())
    records += islice(stream, RECORDS_MAX)
    return view, records
