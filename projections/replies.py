"""Replies: what became of each, through whom, and in which records it stands."""

from __future__ import annotations

from itertools import islice

import msgspec

from ..eventstore import Record
from ..statemachine.outcome import Send
from .content import Decided, seen

FINISHED_MAX = 1_000
"""Finished replies of an account that are always kept; the log has all of them."""

VERSIONS_MAX = 32
"""Records of a reply that are kept by version, the first ones; a reply has a handful."""


class ReplyView(msgspec.Struct, omit_defaults=True, gc=False):
    """A reply. Instants are UTC ns; `outcome` is `held` or `sending` while it is pending.

    `versions` are the records of the account that touched it. `late_ack` is the version of an
    acknowledgement that came after the outcome: evidence that it was delivered, and no more.
    """

    outcome: str
    submitted_at: int
    chat: str | None = None
    captured_on: str | None = None
    reason: str | None = None
    via: str | None = None
    sends: int = 0
    settled_at: int | None = None
    late_ack: int | None = None
    versions: tuple[int, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether it has no outcome yet."""
        return self.settled_at is None


class Replies(msgspec.Struct, gc=False):
    """The pending replies of an account, and the latest that are finished."""

    pending: dict[str, ReplyView] = {}
    finished: dict[str, ReplyView] = {}

    def get(self, name: str) -> ReplyView | None:
        """A reply by its id; None where it is unknown or finished too long ago."""
        return self.pending.get(name) or self.finished.get(name)

    def apply(self, record: Record, outcome: Decided) -> None:
        """Take in a record that names a reply, sends some, or settles some."""
        if record.reply is not None:
            self._named(record.reply, record, outcome.rule)
        for effect in outcome.effects:
            if type(effect) is Send:
                self._sent(effect, record)
        for name, settled in outcome.settled.items():
            self._settle(name, record, settled.outcome, settled.reason)

    def _named(self, name: str, record: Record, rule: str) -> None:
        reply = self.get(name)
        if reply is None:
            if record.type != "reply_submitted" or rule == "reply.repeated":
                return
            stimulus = seen(record.body)
            reply = ReplyView("held", record.at, stimulus.chat, stimulus.captured_on)
            self.pending[name] = reply
        _note(reply, record.version)
        if rule == "reply.resend":
            reply.outcome = "held"
        elif rule == "reply.answered_late" and record.type == "send_acked":
            reply.late_ack = reply.late_ack or record.version

    def _sent(self, effect: Send, record: Record) -> None:
        reply = self.pending.get(effect.reply)
        if reply is not None:
            reply.outcome = "sending"
            reply.via = effect.controller
            reply.sends += 1
            _note(reply, record.version)

    def _settle(self, name: str, record: Record, outcome: str, reason: str | None) -> None:
        reply = self.pending.pop(name, None)
        if reply is None:
            return
        reply.outcome = outcome
        reply.reason = reason
        reply.settled_at = record.at
        _note(reply, record.version)
        self.finished[name] = reply
        if len(self.finished) > FINISHED_MAX * 5 // 4:
            # Many at a time: a dict finds its first key the slower the more were deleted before.
            for old in list(islice(self.finished, len(self.finished) - FINISHED_MAX)):
                del self.finished[old]


def _note(reply: ReplyView, version: int) -> None:
    versions = reply.versions
    if len(versions) < VERSIONS_MAX and (not versions or versions[-1] != version):
        reply.versions = (*versions, version)
