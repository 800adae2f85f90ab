"""Moves closed stretches of a log into bundles, one after the other, so that the log stays small.

Of each stretch the bundle is written and proven first, then the `archived` record joins the chain,
and only then its records go. Whatever breaks in between, the log is whole, and the next run of the
command goes on from there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import msgspec

from ..eventstore import NewRecord, Record, Store, decode, encode, open_reader
from ..eventstore.archived import archive_id, archive_of, bundle_name, file_hash
from ..eventstore.bundle_format import (
    INFLATED_BYTES_MAX,
    LINE_BYTES_MAX,
    RECORDS_MAX,
    event_line,
)
from ..eventstore.bundle_writing import write_bundle
from ..eventstore.sqlite import SQLiteStore
from ..gateway.clock import SystemClock
from ..gateway.dice import Dice
from ..gateway.notices import delivered, notices_of
from ..gateway.recording import write
from ..projections import checkpoints
from ..projections.archived import beginning, snapshot_of
from ..projections.projections import Projections
from ..projections.view import AccountView
from ..statemachine.decision import decide
from ..statemachine.errors import InputError, LinewardenError
from ..statemachine.stimuli import Archived
from .incident import cut
from .moments import Moment

_BUNDLE = re.compile(r"(.+)-(\d{1,18})\.incident\.jsonl\.gz")
STRETCH_RECORDS = 100_000
"""Records after which a stretch ends as soon as it can; what is more goes into the next one."""


class Moved(msgspec.Struct, frozen=True):
    """A stretch that was moved: versions `first` to `last` of an account, into `bundle`."""

    account: str
    first: int
    last: int
    bundle: str


class BrokenOff(LinewardenError):
    """It went no further; `moved` is what was moved until then."""

    def __init__(self, why: LinewardenError, moved: list[Moved]) -> None:
        self.moved = moved
        super().__init__(why.message, hint=why.hint)


class _Stretch(msgspec.Struct, frozen=True):
    """Where a stretch ends: its last version, and that record's position and time."""

    first: int
    last: int
    position: int
    at: int


def archive(
    path: str, before: Moment, folder: str, account: str | None = None
) -> tuple[list[Moved], int, int]:
    """Move what is settled and was before a moment; gives that, and the file's bytes then and now.

    Raises `StoreLocked` while a gateway runs: only who holds the log alone may take records out.
    Raises `BrokenOff` where it could go no further.
    """
    open_reader(path).close()  # a writer would make a log of nothing
    if not os.path.isdir(folder):
        raise InputError(f"There is no folder {folder}", hint="make it, on a disk of its own")
    was = os.path.getsize(path)
    with SQLiteStore.open(path, name="linewarden archive") as store:
        if account is not None and not store.head(account).version:
            raise InputError(
                "The log has no account of this name", hint="`linewarden status` lists them all"
            )
        moved: list[Moved] = []
        try:
            begun = _bundles(folder)
            for name in store.streams() if account is None else [account]:
                moved += _move(store, name, before, folder, begun)
            if moved:
                # Views are folded anew from the snapshots, and kept: the next start need not do it.
                views = Projections(store)
                views.catch_up()
                views.checkpoint(store)
                store.flush()
            _shrink(store)
        except LinewardenError as error:
            raise BrokenOff(error, moved) from error
    return moved, was, os.path.getsize(path)


def _shrink(store: SQLiteStore) -> None:
    try:
        store.shrink()  # also what a run before this one left
    except LinewardenError as error:
        raise LinewardenError(
            f"The file could not be made smaller: {error.message}",
            hint="make room on its disk, and run the command again",
        ) from error


def _bundles(folder: str) -> dict[str, list[int]]:
    """The last versions in bundles that a run before this one wrote, by all before in the name."""
    found: dict[str, list[int]] = {}
    for name in sorted(os.listdir(folder)):
        bundle = _BUNDLE.fullmatch(name)
        if bundle is not None:
            found.setdefault(bundle[1], []).append(int(bundle[2]))
    return found


def _move(
    store: SQLiteStore, account: str, before: Moment, folder: str, begun: dict[str, list[int]]
) -> Iterator[Moved]:
    """Move the stretches of an account, the oldest first; finish what was begun before."""
    head: AccountView | None = None
    while True:
        start = beginning(store, account)
        record = _begun(store, account, start.version + 1, begun)
        if record is None:
            stretch = _stretch(store, account, start, before)
            if stretch is None:
                return
            place = _place(store, account, stretch.first, stretch.last, folder)
            _write_bundle(store, account, stretch, place)
            record = store.get(archive_id(store.log_id, account, stretch.last))
            if record is None:
                head = head or Projections(store).rebuild(account)
                record = _record(store, head, stretch, file_hash(place))
        said = archive_of(record)
        # A view that remembers more than the snapshot does would no longer be what a rebuild gives.
        store.drop_checkpoints(checkpoints.PROJECTION)
        place = _place(store, account, said.first, said.last, folder)
        store.release(record, place)
        yield Moved(account, said.first, said.last, os.path.basename(place))


def _place(store: Store, account: str, first: int, last: int, folder: str) -> str:
    return os.path.join(folder, bundle_name(store.log_id, account, first, last))


def _begun(store: Store, account: str, first: int, begun: dict[str, list[int]]) -> Record | None:
    """The record of a stretch that a run before this one bundled and did not take out."""
    for last in begun.get(bundle_name(store.log_id, account, first, 0).rpartition("-")[0], ()):
        record = store.get(archive_id(store.log_id, account, last))
        if record is not None:
            return record
    return None


def _stretch(store: Store, account: str, start: AccountView, before: Moment) -> _Stretch | None:
    """The longest stretch from an account's beginning that is settled, and that a bundle can hold.

    No reply is pending after it, and no notice in it is still to be delivered: a gateway that
    starts takes it from its record. A line without such a moment in all that is left as it is.
    """
    view, end, news, log = start, None, False, store.log_id.hex()
    first, told = start.version + 1, delivered(store, account)
    size = 2 * LINE_BYTES_MAX  # the header and the trailer, at most
    for record in store.read_stream(account, start.version):
        line = len(event_line(record, log)) + 1
        size += line
        count = record.version - first
        if not _is_before(record, before) or (end is not None and count >= STRETCH_RECORDS):
            break
        if line > LINE_BYTES_MAX or size > INFLATED_BYTES_MAX or count >= RECORDS_MAX:
            break
        if told is not None and record.version > told and notices_of(record):
            break
        view.apply(record)
        news = news or record.type != "archived"
        if news and not view.replies.pending and not view.machine.replies:
            end = _Stretch(first, record.version, record.position, record.at)
    return end


def _is_before(record: Record, moment: Moment) -> bool:
    return (moment.position is None or record.position < moment.position) and (
        moment.at is None or record.at < moment.at
    )


def _write_bundle(store: Store, account: str, stretch: _Stretch, place: str) -> None:
    """Write it and see it read back; the same stretch is the same bytes, whenever it is written."""
    bundle = cut(store, account, end=Moment(position=stretch.position), at=stretch.at)
    write_bundle(place, bundle.header, bundle.records, bundle.trailer, replace=True)


def _record(store: Store, head: AccountView, stretch: _Stretch, bundle: str) -> Record:
    """Put the record that stands for a stretch at the end of the stream, and into the view."""
    account = head.account
    then = Projections(store).rebuild(account, stretch.last)
    stimulus = Archived(
        at=max(SystemClock().now(), head.at),
        source="operator",
        first=stretch.first,
        last=stretch.last,
        position=stretch.position,
        chain=then.chain.hex(),
        bundle=bundle,
    )
    outcome, after = decide(head.machine, stimulus)
    decided = write(Dice(), stimulus, outcome, after, None, {})
    record: NewRecord = msgspec.structs.replace(
        decided,
        id=archive_id(store.log_id, account, stretch.last),
        body=encode({**decode(decided.body), "snapshot": snapshot_of(then)}),
    )
    stored = store.append(account, [record], head.version)[0]
    head.apply(stored, after)
    return stored
