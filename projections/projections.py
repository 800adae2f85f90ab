"""The projections of a log: a view of each account, and the live controllers of all of them.

A view is loaded when it is first asked for, from its checkpoint and what the log has after it. In
the process that writes, every record is applied right after its commit, so what was written is
read. Another process calls `catch_up`, or applies what it tails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..eventstore import Reader, Record, Store
from ..eventstore.errors import Corrupt
from ..statemachine.account import Account
from ..statemachine.identity import Identity
from . import checkpoints
from .archived import BeforeTheArchive, beginning, bundle_of
from .connections import Live
from .directory import Directory
from .view import AccountView, unpacked


class Projections:
    """Views of the accounts of a log. For one thread; `live` may be asked from any."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._views: dict[str, AccountView] = {}
        self._live: dict[str, Live] = {}
        self._directory = Directory()
        self._written: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._position: int | None = None

    def accounts(self) -> list[str]:
        """Name all accounts of the log, in the order of their first record."""
        return self.reader.streams()

    def account(self, name: str) -> AccountView | None:
        """The view of an account, up to date when it is loaded; None where it has no record."""
        view = self._views.get(name)
        if view is None:
            view = self._load(name, self.reader.load_checkpoint(checkpoints.PROJECTION, name))
            if not view.version:
                return None
            self._adopt(view)
        return view

    def live(self, account: str) -> Live | None:
        """The live controller of an account; None where it has none."""
        live = self._live.get(account)
        if live is None and account not in self._views:
            self.account(account)
            live = self._live.get(account)
        return live

    def live_of(self, identity: Identity) -> list[Live]:
        """The live controllers that are logged in as an identity (tokens), by account.

        The first call loads every account; more than one answer means that one person is logged
        in on several lines.
        """
        if self._position is None:
            self.catch_up()
        while self._forgotten:
            self.account(self._forgotten.pop())
        return [
            self._live[account]
            for account in self._directory.find(identity)
            if account in self._live
        ]

    def apply(self, record: Record, machine: Account | None = None) -> AccountView:
        """Take in a committed record, in the order of its stream; one already known is skipped.

        `machine` is the account's state after it, where the caller has it from deciding.
        """
        view = self._views.get(record.stream)
        if view is None:
            view = self.account(record.stream)
            assert view is not None, "the record was committed, so its stream is there"
        if record.version > view.version + 1:
            view = self._followed(view, record.version - 1)
        if record.version == view.version + 1:
            try:
                view.apply(record, machine)
            except Corrupt:
                # Half of the record may be taken in: the view is not to be trusted any more.
                self.forget(record.stream)
                raise
            self._index(view)
        return view

    def forget(self, account: str) -> None:
        """Drop the view of an account: it is loaded anew from the log when it is asked for."""
        if self._views.pop(account, None) is not None:
            self._forgotten.add(account)
        self._written.pop(account, None)
        if self._live.pop(account, None) is not None:
            self._directory.forget(account)

    def catch_up(self, upto_position: int | None = None) -> int:
        """Load every account and take in all records up to a position; return that position.

        Without `upto_position` it is the newest. A view that is further on already stays there.
        """
        last = self.reader.last_position()
        upto = last if upto_position is None else min(upto_position, last)
        if self._position is None:
            self._load_all(upto)
        else:
            for record in self.reader.read_all(self._position, upto):
                self.apply(record)
        self._position = max(upto, self._position or 0)
        return self._position

    def checkpoint(self, store: Store, *, records_min: int = 1) -> int:
        """Queue checkpoints of the loaded views that have so many records since their last one.

        Returns how many there are; they are written with the store's next flush.
        """
        due = {
            name: (view.version, checkpoints.write(view))
            for name, view in self._views.items()
            if view.version - self._written.get(name, 0) >= records_min
        }
        if due:
            store.save_checkpoints(checkpoints.PROJECTION, due)
            self._written.update((name, version) for name, (version, _) in due.items())
        return len(due)

    def rebuild(self, account: str, upto_version: int | None = None) -> AccountView:
        """The view of an account from its first record on; checkpoints and memory are not used."""
        view = beginning(self.reader, account)
        view.fold(self.reader.read_stream(account, view.version, upto_version))
        return view

    def rebuild_all(self, upto_position: int | None = None) -> dict[str, AccountView]:
        """The views of all accounts from the first record on, in one pass over the log."""
        return rebuilt(self.reader.pages(0, upto_position), partial(beginning, self.reader))

    def as_of(
        self, account: str, *, position: int | None = None, at: int | None = None
    ) -> AccountView:
        """The view of an account as it was: after a position of the log, or at a time (UTC ns).

        As of a time is after the last record that is not later, whatever clocks did in between.
        """
        return self.rebuild(account, version_at(self.reader, account, position=position, at=at))

    def _load(self, name: str, saved: tuple[int, bytes] | None) -> AccountView:
        view = checkpoints.read(saved[1], name, saved[0]) if saved is not None else None
        if view is not None:
            # The record that the checkpoint stands on is read again, to see that it is the same.
            tail = self.reader.read_stream(name, view.version - 1)
            stands_on = next(iter(tail), None)
            if stands_on is not None and stands_on.chain == view.chain:
                self._written[name] = view.version
                view.fold(tail)
                return view
        return self.rebuild(name)

    def _load_all(self, upto: int) -> None:
        """Load what is not loaded yet: by checkpoints where there are some, else in one pass."""
        saved = self.reader.load_checkpoints(checkpoints.PROJECTION)
        if not saved and not self._views:
            for view in self.rebuild_all(upto).values():
                self._adopt(view)
            return
        heads = self.reader.heads()
        for name, head in heads.items():
            known = self._views.get(name)
            if known is None:
                self._adopt(self._load(name, saved.get(name)))
            elif known.version < head.version:
                self._index(self._followed(known, head.version))

    def _followed(self, view: AccountView, upto: int) -> AccountView:
        """A loaded view with what it lacks; begun anew where that was archived meanwhile."""
        before = beginning(self.reader, view.account)
        if before.version > view.version:
            self.forget(view.account)
            view = self._views[view.account] = before
        view.fold(self.reader.read_stream(view.account, view.version, upto))
        return view

    def _adopt(self, view: AccountView) -> None:
        self._views[view.account] = view
        self._index(view)

    def _index(self, view: AccountView) -> None:
        """Keep the live controllers in step with a view."""
        account, machine = view.account, view.machine
        known = self._live.get(account)
        if not machine.live:
            if known is not None:
                del self._live[account]
                self._directory.forget(account)
            return
        if (
            known is None
            or known.identity is not machine.identity
            or known.controller != machine.controller
        ):
            live = view.live
            assert live is not None
            self._live[account] = live
        self._directory.learn(account, machine)


def rebuilt(
    pages: Iterable[Iterable[Record]], begin: Callable[[str], AccountView] = AccountView
) -> dict[str, AccountView]:
    """The views that pages of a log make, from its first record on; `begin` gives each before."""
    folds: dict[str, tuple[AccountView, dict[str, Any]]] = {}
    for page in pages:
        # An account's records of a page are folded together: one look-up for all of them.
        streams: dict[str, list[Record]] = {}
        for record in page:
            records = streams.get(record.stream)
            if records is None:
                streams[record.stream] = [record]
            else:
                records.append(record)
        for stream, records in streams.items():
            known = folds.get(stream)
            if known is None:
                view = begin(stream)
                known = folds[stream] = (view, unpacked(view.machine))
            known[0].fold_into(known[1], records)
    for view, fields in folds.values():
        view.machine = Account(*fields.values())
    return {stream: view for stream, (view, _) in folds.items()}


def version_at(
    reader: Reader, account: str, *, position: int | None = None, at: int | None = None
) -> int:
    """The last version of an account up to a position and a time (UTC ns), 0 for none."""
    if position is None and at is None:
        return reader.head(account).version
    before = beginning(reader, account)
    if before.version and (
        (position is not None and position < before.position) or (at is not None and at < before.at)
    ):
        raise BeforeTheArchive(
            f"The records of {account} up to position {before.position} are archived",
            hint=f"it is in the bundle {bundle_of(reader, account)}, or one before it",
        )
    last = before.version
    for record in reader.read_stream(account):
        if position is not None and record.position > position:
            break
        if at is None or record.at <= at:
            last = record.version
    return last
