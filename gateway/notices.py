"""Notices are delivered from their records, at least once: a crash repeats one, and loses none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..eventstore import Store, decode
from ..statemachine.outcome import Effect, Notify

if TYPE_CHECKING:
    from .service import Service

CURSOR = "notices"
"""The name of the checkpoint: up to which version the notices of a stream are delivered."""


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
        for account in service.accounts():
            if not service.mine(service.account(account)):
                continue
            known = self._store.load_checkpoint(CURSOR, account)
            self._reached[account] = known[0] if known is not None else 0
            for record in self._store.read_stream(account, self._reached[account]):
                if b'"notify"' in record.body:
                    effects = decode(record.body)["outcome"].get("effects", ())
                    found += [
                        (account, Notify(effect["controller"], effect["notice"]), record.version)
                        for effect in effects
                        if effect["effect"] == "notify"
                    ]
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
