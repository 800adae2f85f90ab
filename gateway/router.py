"""The reply router: a message leaves through whoever is live for the identity it was captured on.

The router holds messages in memory and nothing else; where a reply stands is the machine's to say.
All held replies of an account wake in the one record that makes its controller live: that is the
barrier they share, and there is no loop and no polling for any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ..eventstore import Record, decode
from ..projections.projections import Projections
from ..statemachine.errors import LinewardenError
from ..statemachine.lifecycle import UNCLAIMED
from ..statemachine.outcome import Settled
from ..statemachine.parsing import check_name
from .receipt import Decided, Promise, Receipt, ReplyHandle, ReplyResult

T = TypeVar("T")


class Skipped(LinewardenError):
    """There was no live controller for the identity: a best-effort operation was left out."""


class Host(Protocol):
    """What the router needs of the warden."""

    @property
    def projections(self) -> Projections:
        """The live view of the log."""
        ...

    def observe(self, account: str, name: str, **fields: Any) -> Receipt:
        """Record a stimulus."""
        ...

    def new_name(self, prefix: str) -> str:
        """A name that nothing else has."""
        ...

    def operate(
        self, account: str, operation: Callable[[Any], Any], captured_on: str | None
    ) -> Promise[Any]:
        """Run an operation on the live controller, best effort."""
        ...


class Router:
    """Routes replies at the time of sending, not of capture."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._messages: dict[tuple[str, str], Any] = {}
        self._handles: dict[tuple[str, str], ReplyHandle] = {}
        self._message_ids: dict[tuple[str, str], str] = {}

    def reply(
        self,
        account: str,
        chat: str,
        message: Any,
        *,
        captured_on: str | None = None,
        id: str | None = None,
        deadline_s: float | None = None,
    ) -> ReplyHandle:
        """Send a message to a chat as soon as the right controller is live.

        `message` is handed to the driver as it is (text, media, a reaction, a quoted message) or is
        called with the live client at the moment of the write. `captured_on` is the controller on
        which the conversation was seen: the message leaves only as that identity. `id` makes a
        repeat harmless: the same id again is the same reply. `deadline_s` is in seconds (policy:
        300). The handle can be awaited or waited for; cancelling it takes a held reply back.
        Raises `InputError` at once for names or numbers that are not understood.
        """
        fields: dict[str, Any] = {
            "source": "router",
            "reply": id if id is not None else self._host.new_name("r"),
            "chat": chat,
            "captured_on": captured_on,
        }
        if deadline_s is not None:
            fields["deadline_s"] = deadline_s
        return self.submit(account, fields, message)

    def submit(self, account: str, fields: dict[str, Any], message: Any) -> ReplyHandle:
        """Submit a reply by the fields of its stimulus, as `reply` does."""
        name = fields["reply"]
        check_name("reply", name)
        key = (account, name)
        handle = ReplyHandle(account, name)
        known = self._handles.setdefault(key, handle)  # one step: two threads may submit at once
        if known is not handle:
            # Recorded all the same: that a reply was submitted twice is part of what happened.
            self._host.observe(account, "reply_submitted", **fields)
            return known
        self._messages[key] = message
        try:
            receipt = self._host.observe(account, "reply_submitted", **fields)
        except BaseException:
            self._forget(key)
            raise
        receipt.add_done_callback(lambda _: self._submitted(key, receipt))
        handle.add_done_callback(lambda done: self._cancelled(key, done.cancelled()))
        return handle

    def reply_sync(
        self, account: str, chat: str, message: Any, *, timeout_s: float | None = None, **how: Any
    ) -> ReplyResult:
        """The same as `reply`, waiting for the outcome in this thread."""
        return self.reply(account, chat, message, **how).result(timeout_s)

    def perform(
        self, account: str, operation: Callable[[Any], T], *, captured_on: str | None = None
    ) -> Promise[T]:
        """Run an operation around replies (typing, read receipts, group metadata), best effort.

        It is called with the live client, under the same identity guard as a reply; in a gap the
        promise fails with `Skipped` at once. Nothing of it is recorded.
        """
        return self._host.operate(account, operation, captured_on)

    def cancel(self, account: str, reply: str) -> Receipt:
        """Take back a reply that is still held; its place is free at once."""
        return self._host.observe(account, "reply_cancelled", source="router", reply=reply)

    def restore(self, account: str, reply: str, message: Any) -> None:
        """Bring back the message of a reply that is held over a restart, from a durable outbox."""
        self._messages[account, reply] = message

    def has_message(self, account: str, reply: str) -> bool:
        """Whether the message is at hand; one that lived in another process is not."""
        return (account, reply) in self._messages

    def message_of(self, account: str, reply: str) -> Any:
        """The message of a reply that has no outcome yet."""
        return self._messages.get((account, reply))

    @property
    def pending(self) -> int:
        """How many replies have no outcome yet."""
        return len(self._handles)

    def note_message_id(self, account: str, reply: str, message_id: str | None) -> None:
        """Keep the id that the server knows the message by until the outcome is told."""
        if message_id is not None and (account, reply) in self._handles:
            self._message_ids[account, reply] = message_id

    def settled(self, account: str, reply: str, settled: Settled, record: Record) -> None:
        """A reply has its outcome: tell who waits, and let the message go."""
        view = self._host.projections.account(account)
        entry = view.replies.get(reply) if view is not None else None
        result = ReplyResult(
            reply,
            settled.outcome,
            settled.reason,
            entry.via if entry is not None else None,
            self._message_ids.get((account, reply)),
        )
        self._resolve((account, reply), result)

    def abandon(self, error: Exception) -> None:
        """The service ends: whoever still waits is told so."""
        for key, handle in list(self._handles.items()):
            self._forget(key)
            handle.tell(error)

    def _submitted(self, key: tuple[str, str], receipt: Receipt) -> None:
        """Tell of a submission that was not recorded, or that repeats a finished reply."""
        error = receipt.exception()
        if error is not None:
            handle = self._handles.get(key)
            self._forget(key)
            if handle is not None and isinstance(error, Exception):
                handle.tell(error)
            return
        decided: Decided = receipt.result()
        repeats = decided.outcome.rule in ("reply.repeated", UNCLAIMED)
        if repeats and key[1] not in decided.outcome.settled:
            result = self._earlier_result(key)
            if result is not None:
                self._resolve(key, result)

    def _earlier_result(self, key: tuple[str, str]) -> ReplyResult | None:
        """The outcome that a repeated reply got before, from the live view or from the log."""
        account, name = key
        view = self._host.projections.account(account)
        entry = view.replies.get(name) if view is not None else None
        if entry is not None:
            if entry.outcome in ("held", "sending"):
                return None
            return ReplyResult(name, entry.outcome, entry.reason, entry.via)
        via = None
        for record in self._host.projections.reader.of_reply(account, name):
            outcome = decode(record.body)["outcome"]
            for effect in outcome.get("effects", ()):
                if effect["effect"] == "send" and effect["reply"] == name:
                    via = effect["controller"]
            settled = outcome.get("settled", {}).get(name)
            if settled is not None:
                return ReplyResult(name, settled["outcome"], settled.get("reason"), via)
        return None

    def _cancelled(self, key: tuple[str, str], cancelled: bool) -> None:
        if cancelled and self._handles.pop(key, None) is not None:
            # The message stays until the outcome: it may be in flight, and written again.
            try:
                self.cancel(*key)
            except LinewardenError:
                return  # the service has ended; its end has settled the reply

    def _resolve(self, key: tuple[str, str], result: ReplyResult) -> None:
        handle = self._handles.get(key)
        self._forget(key)
        if handle is not None:
            handle.tell(result)

    def _forget(self, key: tuple[str, str]) -> None:
        self._handles.pop(key, None)
        self._messages.pop(key, None)
        self._message_ids.pop(key, None)
