"""Incidents: cut out of a log, opened straight from it or from a bundle, made from a scenario."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ..eventstore import Reader, Record, chain, open_reader
from ..eventstore.anchors import anchors_path, read_anchors
from ..eventstore.bundle import Bundle, Header, Point, Trailer, read_bundle, table_hash
from ..eventstore.bundle_format import ONWARD_MAX, RECORDS_MAX
from ..projections.projections import Projections, version_at
from ..projections.why import NothingKnown
from ..statemachine.errors import InputError, LinewardenError
from ..statemachine.version import SCHEMA, VERSION
from .moments import Moment, moment

_SQLITE = b"SQLite format 3\0"


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
    if _is_log(source):
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
    anchors: Iterable[dict[str, Any]] = (),
) -> Bundle:
    """Cut a range out of an account's stream; `at` (UTC ns) is when.

    Of `anchors`, in their order, the first that covers the range goes with it. Raises `InputError`
    where the account has no record in the range, or too many.
    """
    account = account if account is not None else _only(reader)
    if not reader.head(account).version:
        raise NothingKnown(
            "The log has no account of this name", hint="`linewarden status` lists all accounts"
        )
    last = version_at(reader, account, position=end.position, at=end.at)
    first = _first(reader, account, start, last)
    if first is None:
        raise InputError(
            f"{account} has no record in this range",
            hint=f"`linewarden timeline --account {account}` shows what there is, and when",
        )
    if last - first.version >= RECORDS_MAX:
        raise InputError(
            f"The range holds more than {RECORDS_MAX} records", hint="choose a shorter one"
        )
    records = list(reader.read_stream(account, first.version - 1, last))
    before = Projections(reader).as_of(account, position=first.position - 1)
    snapshot = msgspec.to_builtins(before.machine)
    chained = before.chain or chain.genesis(reader.log_id, account)
    header = Header(
        log=reader.log_id.hex(),
        account=account,
        first=first.version,
        last=last,
        before=Point(before.version, chained.hex()),
        snapshot=snapshot,
        policy=snapshot.get("overrides", {}),
        build=VERSION,
        schema=SCHEMA,
        table=table_hash(),
        at=at,
    )
    onward, anchor = _onward(reader, header, anchors)
    head = Point(last, records[-1].chain.hex())
    return Bundle(header, records, Trailer(len(records), head, onward, anchor))


def bundles_of_scenario(path: str | os.PathLike[str]) -> list[Bundle]:
    """Play a scenario through the real service; the whole bundle of each account, by first record.

    It plays on a virtual clock, so they are exported at the virtual instant at which it ends.
    """
    # What plays it can perform effects: a process that replays must be able to do without.
    from .scenario_file import read_scenario
    from .scenario_run import Run

    scenario = read_scenario(path)
    run = Run(scenario)
    try:
        for line in scenario.lines:
            run.play(line)
        run.advance(scenario.until)
        store, at = run.service.store, run.clock.now()
        return [cut(store, account, at=at) for account in store.streams()]
    finally:
        run.close()


def bundle_of_scenario(path: str | os.PathLike[str], account: str | None = None) -> Bundle:
    """The bundle of one account of a scenario, of its first where none is named."""
    for bundle in bundles_of_scenario(path):
        if account in (None, bundle.header.account):
            return bundle
    raise InputError("The scenario has no account of this name", hint="leave it out for the first")


def _is_log(source: str | os.PathLike[str]) -> bool:
    # A pipe is never opened here: it could hold us up for ever.
    if not os.path.isfile(source):
        return False
    try:
        with open(source, "rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _only(reader: Reader) -> str:
    accounts = reader.streams()
    if len(accounts) == 1:
        return accounts[0]
    raise InputError(
        f"The log has {len(accounts)} accounts", hint="name one of them with --account"
    )


def _onward(
    reader: Reader, header: Header, anchors: Iterable[dict[str, Any]]
) -> tuple[list[str], dict[str, Any] | None]:
    """The leaves that lead from a range to the first anchor that covers it, and that anchor."""
    for anchor in anchors:
        head = anchor["heads"].get(header.account)
        if anchor["log"] == header.log and head is not None and head["version"] >= header.last:
            if head["version"] - header.last > ONWARD_MAX:
                break
            after = reader.read_stream(header.account, header.last, head["version"])
            return [record.leaf.hex() for record in after], anchor
    return [], None


def _anchors(
    path: str | os.PathLike[str], reader: Reader, account: str | None
) -> Iterator[dict[str, Any]]:
    """The anchors beside a log, up to the first that does not fit: `verify` tells of that one.

    An incident can be cut out of a log that was tampered with all the same.
    """
    own = anchors_path(path)
    if not os.path.exists(own):
        return
    account = account if account is not None else _only(reader)
    try:
        for anchor in read_anchors(own, reader.log_id.hex(), copy=False):
            head = anchor.heads.get(account)
            if head is not None:
                anchored = next(reader.read_stream(account, head.version - 1, head.version), None)
                if anchored is None or anchored.chain.hex() != head.chain:
                    return
                yield msgspec.to_builtins(anchor)
    except LinewardenError:
        return


def _first(reader: Reader, account: str, start: Moment, last: int) -> Record | None:
    """The first record of an account from a moment on, up to its version `last`."""
    for record in reader.read_stream(account, 0, last):
        if record.position >= (start.position or 0) and record.at >= (start.at or 0):
            return record
    return None
