"""Notices are delivered from their records, at least once: a crash repeats one, and loses none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..eventstore import Reader, Record, Store, decode
from ..statemachine.outcome import Effect, Notify

if TYPE_CHECKING:
    from .service import Service

CURSOR = "notices"
"""The name of the checkpoint: up to which version the notices of a stream are delivered."""


def notices_of(record: Record) -> list[Notify]:
    """The notices that a record asks for."""
    if b'"notify"' not in record.body:
        return []
    effects = decode(record.body).get("outcome", {}).get("effects", ())
    return [
        Notify(effect["controller"], effect["notice"])
        for effect in effects
        if effect["effect"] == "notify"
    ]


def delivered(reader: Reader, account: str) -> int | None:
    """The version up to which the notices of an account are delivered; None where nobody does it.

    A log in which no account has a cursor never had a gateway that delivers, so none is owed.
    """
    cursors = reader.load_checkpoints(CURSOR)
    return cursors.get(account, (0, b""))[0] if cursors else None


class Notices:
    """Remembers, in the store, up to where every notice was taken by a driver."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: dict[str, list[int]] = {}
        self._reached: dict[str, int] = {}

    def asked(self, account: str, effect: Effect, version: int) -> None:
        """A driver is about to be asked."""
        if isinstance(effect, Notify):
            self._asked.setdefault(account, []).append(version)

    def performed(self, account: str, effect: Effect, version: int) -> None:
        """The driver has taken it; the cursor stays before the oldest one that is not taken."""
        if not isinstance(effect, Notify):
            return
        waiting = self._asked[account]
        waiting.remove(version)
        reached = min(waiting) - 1 if waiting else version
        self._reach(account, reached)

    def undelivered(self, service: Service) -> list[tuple[str, Notify, int]]:
        """Account, notice and version of what a crash kept from being delivered."""
        found = []
        cursors = self._store.load_checkpoints(CURSOR)
        for account in service.accounts():
            if not service.mine(service.account(account)):
                continue
            self._reached[account], _ = cursors.get(account, (0, b""))
            for record in self._store.read_stream(account, self._reached[account]):
                found += [(account, notice, record.version) for notice in notices_of(record)]
        return found

    def rest(self, service: Service, records_min: int) -> None:
        """Where every notice was taken, the next start need not look for any up to here."""
        for account in service.heads.names():
            view = service.projections.account(account)
            if view is None or self._asked.get(account) or not service.mine(view.machine):
                continue
            if view.version - self._reached.get(account, 0) >= records_min:
                self._reach(account, view.version)

    def _reach(self, account: str, version: int) -> None:
        self._reached[account] = version
        self._store.save_checkpoint(CURSOR, account, version, b"{}")
