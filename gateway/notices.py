"""Notices are delivered from their records, at least once: a crash repeats one, and loses none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..eventstore import Record, Store, decode
from ..statemachine.outcome import Effect, Notify

if TYPE_CHECKING:
    from .service import Service

CURSOR = "notices"
"""The name of the checkpoint: up to which version the notices of a stream are delivered."""


class Notices:
    """Remembers, in the store, up to where notices have been handed to a driver."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def performed(self, account: str, effect: Effect, record: Record) -> None:
        """A notice of this record was handed over."""
        if isinstance(effect, Notify):
            self._store.save_checkpoint(CURSOR, account, record.version, b"{}")

    def undelivered(self, service: Service) -> Iterator[tuple[str, str, str]]:
        """Account, controller and notice of what a crash kept from being delivered."""
        for account in service.accounts():
            if not service.mine(service.account(account)):
                continue
            known = self._store.load_checkpoint(CURSOR, account)
            after = known[0] if known is not None else 0
            for record in self._store.read_stream(account, after):
                if b'"notify"' not in record.body:
                    continue
                for effect in decode(record.body)["outcome"].get("effects", ()):
                    if effect["effect"] == "notify":
                        yield account, effect["controller"], effect["notice"]
            head = self._store.head(account)
            self._store.save_checkpoint(CURSOR, account, head.version, b"{}")
