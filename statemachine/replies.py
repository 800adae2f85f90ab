"""Replies: held, sent through whoever is live for the identity they were captured on, or refused.

Only replies without an outcome are kept. Order is kept within a chat, and one send of a chat is in
flight at a time. `settle` runs at the end of every decision and is the one barrier of the account:
what the decision made possible or impossible happens to all held replies in the same record.
"""

from __future__ import annotations

from msgspec.structs import replace

from .account import Reply
from .draft import Draft
from .identity import Identity, overlap
from .lifecycle import State
from .outcome import ReplyOutcome, Send, Settled
from .policy import span
from .stimuli import ReplyCancelled, ReplySubmitted, SendAcked, SendFailed, TimerFired


def _write(d: Draft) -> dict[str, Reply]:
    """The replies of the draft, as a map that may be written."""
    if d.a.replies is None or d.a.replies is d.before.replies:
        d.a.replies = dict(d.a.replies or {})
    return d.a.replies


def _settle_one(d: Draft, name: str, outcome: ReplyOutcome, reason: str | None = None) -> None:
    _write(d).pop(name, None)
    d.settled[name] = Settled(outcome, reason)


def decide_submitted(d: Draft, submitted: ReplySubmitted) -> None:
    """Take a reply in, or refuse it with the reason; the same id again is the same reply."""
    a, name = d.a, submitted.reply
    if name in (a.replies or {}) or submitted.earlier is not None:
        d.move("reply.repeated")
        return
    captured = _captured(d, submitted)
    seconds = d.policy.reply_deadline_s if submitted.deadline_s is None else submitted.deadline_s
    deadline = d.at + span(seconds)
    refusal = _refusal(d, submitted, captured, deadline)
    if refusal is not None:
        _refuse_now(d, name, refusal)
        return
    reply = Reply(submitted.chat, deadline, captured, reply_deadline_at=deadline)
    _write(d)[name] = reply
    if a.live and not _chat_is_busy(d, name, reply.chat):
        _send(d, name, reply)
        d.move("reply.sending")
    else:
        d.move("reply.held")


def _refuse_now(d: Draft, name: str, reason: str) -> None:
    d.settled[name] = Settled("refused", reason)
    d.move("reply.refused")


def _captured(d: Draft, submitted: ReplySubmitted) -> Identity | None:
    a, origin = d.a, submitted.captured_on
    if origin is None:
        return a.known
    return a.proven if origin == a.controller else (a.retired or {}).get(origin)


def _refusal(
    d: Draft, submitted: ReplySubmitted, captured: Identity | None, deadline: int
) -> str | None:
    """Why a reply is not even held; a full house is the last of the reasons."""
    a, policy = d.a, d.policy
    if submitted.captured_on is not None and not (captured and (captured.pn or captured.lid)):
        return "no_identity"
    if d.ended and a.claim is None and a.state is not None:
        return a.state.value
    if a.hold is not None and deadline < a.hold.until:
        return a.hold.kind
    if a.live and captured is not None and not overlap(captured, a.identity, a.links):
        return "identity_mismatch"
    count = len(a.replies or ())
    full = count + submitted.held_elsewhere >= policy.held_max_total
    return "overloaded" if full or count >= policy.held_max_account else None


def _chat_is_busy(d: Draft, name: str, chat: str) -> bool:
    """Whether an earlier reply of the same chat has no outcome yet."""
    for other, reply in (d.a.replies or {}).items():
        if other == name:
            return False
        if reply.chat == chat:
            return True
    return False


def _send(d: Draft, name: str, reply: Reply) -> None:
    a = d.a
    assert a.controller is not None
    _write(d)[name] = replace(
        reply,
        captured=reply.captured or a.identity,
        via=a.controller,
        sends=reply.sends + 1,
        reply_deadline_at=None,
        resend_at=None,
        unsent=False,
        send_deadline_at=d.due(d.policy.send_deadline_s),
    )
    d.effects.append(Send(name, a.controller, reply.chat))


def decide_acked(d: Draft, acked: SendAcked) -> None:
    """The one acknowledgement that makes a reply sent; after an outcome it is evidence only."""
    reply = (d.a.replies or {}).get(acked.reply)
    if reply is None or not reply.sends:
        d.move("reply.answered_late")
        return
    _settle_one(d, acked.reply, "sent")
    d.move("reply.sent")


def decide_failed(d: Draft, failed: SendFailed) -> None:
    """Not sent is written again later; unknown and rejected are final."""
    name = failed.reply
    reply = (d.a.replies or {}).get(name)
    if reply is None or not reply.in_flight:
        d.move("reply.answered_late")
    elif failed.kind == "unknown":
        _settle_one(d, name, "uncertain")
        d.move("reply.uncertain")
    elif failed.kind == "rejected":
        _settle_one(d, name, "rejected")
        d.move("reply.rejected")
    elif reply.deadline_at <= d.at:
        _settle_one(d, name, "expired")
        d.move("reply.expired")
    else:
        _write(d)[name] = replace(
            reply,
            unsent=True,
            send_deadline_at=None,
            reply_deadline_at=reply.deadline_at,
            resend_at=d.due(d.policy.resend_s),
        )
        d.move("reply.resend")


def decide_cancelled(d: Draft, cancelled: ReplyCancelled) -> None:
    """A held reply leaves its place; what is in flight can't be taken back."""
    reply = (d.a.replies or {}).get(cancelled.reply)
    if reply is None or reply.in_flight:
        d.move("reply.cancel_ignored")
        return
    _settle_one(d, cancelled.reply, "cancelled")
    d.move("reply.cancelled")


def decide_timer(d: Draft, fired: TimerFired) -> None:
    """A deadline of a reply, or the time to write an unsent one again."""
    name = fired.reply or ""
    reply = (d.a.replies or {}).get(name)
    due = getattr(reply, fired.timer + "_at", None)
    if reply is None or due is None or d.at < due:
        d.move("timer.stale")
    elif fired.timer == "resend":
        _write(d)[name] = replace(reply, resend_at=None, unsent=not d.a.live)
        d.move("reply.resend_due")
    elif fired.timer == "send_deadline":
        _settle_one(d, name, "uncertain")
        d.move("reply.uncertain")
    else:
        _settle_one(d, name, "expired")
        d.move("reply.expired")


def prove(d: Draft) -> None:
    """An identity is proven: what was not sent may be written again at once.

    Replies of the gateway's own that waited for whoever is proven first are bound to this one.
    """
    for name, reply in list((d.a.replies or {}).items()):
        if not reply.in_flight and (reply.unsent or reply.captured is None):
            captured = reply.captured or d.a.identity
            _write(d)[name] = replace(reply, unsent=False, resend_at=None, captured=captured)


def interrupt(d: Draft) -> None:
    """Nobody will answer for the sends in flight any more: they are uncertain, and final."""
    for name, reply in list((d.a.replies or {}).items()):
        if reply.in_flight:
            _settle_one(d, name, "uncertain")


def expire_held(d: Draft) -> None:
    """Held replies whose text is gone with the memory that held it."""
    if d.policy.durable_outbox:
        return
    for name, reply in list((d.a.replies or {}).items()):
        if not reply.in_flight:
            _settle_one(d, name, "expired")


def recover(d: Draft) -> None:
    """What a crash or a stop leaves of replies."""
    interrupt(d)
    expire_held(d)


def settle(d: Draft) -> None:
    """Let the decision reach every held reply: refused at an end or in a hold, or sent."""
    a = d.a
    if not a.replies:
        return
    if d.ended and a.claim is None:
        _refuse_all(d, a.state or State.CLOSED)
    elif a.hold is not None:
        for name, reply in list(a.replies.items()):
            if not reply.in_flight and reply.deadline_at < a.hold.until:
                _settle_one(d, name, "refused", a.hold.kind)
    elif a.live and _route_may_differ(d):
        _route(d)


def _route_may_differ(d: Draft) -> bool:
    """Whether anything that routing depends on is new: most stimuli leave it as it was."""
    a, before = d.a, d.before
    same_identity = before.live and a.identity == before.identity and a.links is before.links
    return a.replies is not before.replies or not same_identity


def _refuse_all(d: Draft, state: State) -> None:
    for name, reply in list((d.a.replies or {}).items()):
        if not reply.in_flight:
            _settle_one(d, name, "refused", state.value)


def _route(d: Draft) -> None:
    """One pass in order of submission: the first of each free chat goes, strangers are refused."""
    a = d.a
    busy: set[str] = set()
    for name, reply in list((a.replies or {}).items()):
        if reply.in_flight:
            busy.add(reply.chat)
            continue
        if reply.captured is not None and not overlap(reply.captured, a.identity, a.links):
            _settle_one(d, name, "refused", "identity_mismatch")
            continue
        if reply.chat not in busy and not reply.unsent:
            _send(d, name, reply)
        busy.add(reply.chat)
