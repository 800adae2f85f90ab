"""The invariants of a line, each judged step by step: what no incident and no code may ever break.

They are numbers 1 to 14 of the design. A judge looks at one decision and at what was before it, and
says in a sentence what is broken. What only a whole system shows (a crash, a second process) is not
for it to say: of number 10 it sees that nothing is `sent` whose send was never asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from .account import TIMERS, Account
from .identity import overlap
from .lifecycle import ENDS, Phase, State
from .outcome import CloseSocket, Dial, Outcome, Purge, Send
from .policy import NS
from .stimuli import (
    Claimed,
    Closed,
    DialFailed,
    Replaced,
    SendAcked,
    SendFailed,
    Stimulus,
    StreamError,
)

RESETS = {
    *("stability.reset", "claim.after_end", "restart.granted", "relink.granted"),
    *("release.hold", "release.conflict", "stop.closed", "stop.ended"),
}
"""Rules by which the attempts may return to 0."""

CLAIMS = {"claim.first", "claim.supersedes", "claim.after_end"}
"""Rules by which a controller takes the account."""

_WAITS = {
    Phase.WAITING: {"retry", "hold", "handover"},
    Phase.DIALING: {"connect_deadline"},
    Phase.PAIRING: {"pairing"},
}


class Judged(Protocol):
    """One decision: what was, what came, what was decided, what is."""

    @property
    def before(self) -> Account:
        """The account on which it was decided."""
        ...

    @property
    def stimulus(self) -> Stimulus:
        """What came."""
        ...

    @property
    def decided(self) -> Outcome:
        """What was decided of it."""
        ...

    @property
    def after(self) -> Account:
        """The account with that."""
        ...


class Past:
    """What was before a step, as far as a judge asks for it."""

    def __init__(self, before: Account) -> None:
        self.running = idle(before) is None
        replies = before.replies or {}
        self.asked = {name for name, one in replies.items() if one.sends}
        self.writes = Counter({name for name, one in replies.items() if one.in_flight})
        self.settled: set[str] = set()
        self.purged = {before.controller} if before.purge else set()

    def take(self, step: Judged) -> None:
        """Take in a step that was judged."""
        rule = step.decided.rule
        started = isinstance(step.stimulus, Claimed) or rule.startswith("service.started")
        self.running = not rule.startswith("service.stopped") and (self.running or started)
        unsent, sends = _unsent(step), [one.reply for one in _sends(step)]
        if unsent is not None:
            self.writes[unsent] -= 1
        self.writes.update(sends)
        self.asked.update(sends)
        self.settled.update(step.decided.settled)
        self.purged.update(one.controller for one in step.decided.effects if isinstance(one, Purge))


Judge = Callable[[Judged, Past], str | None]


def _unsent(step: Judged) -> str | None:
    """The reply whose send is proven not to have left."""
    stimulus = step.stimulus
    if not isinstance(stimulus, SendFailed) or stimulus.kind != "not_sent":
        return None
    reply = (step.before.replies or {}).get(stimulus.reply)
    return stimulus.reply if reply is not None and reply.in_flight else None


def _sends(step: Judged) -> list[Send]:
    return [effect for effect in step.decided.effects if isinstance(effect, Send)]


def _one_live(step: Judged, _: Past) -> str | None:
    after = step.after
    if after.identity is not None and after.state is not State.CONNECTED:
        return "a controller has a proven identity and is not connected"
    return None


def _epochs_rise(step: Judged, _: Past) -> str | None:
    before, after = step.before, step.after
    taken = after.epoch - before.epoch
    if taken != (step.decided.rule in CLAIMS):
        return f"the epoch went from {before.epoch} to {after.epoch}"
    newest = step.stimulus.controller if taken else before.controller
    if after.controller != newest or (taken and not isinstance(step.stimulus, Claimed)):
        return "another controller took over than the one that claimed"
    return None


def _superseded_only_closes(step: Judged, _: Past) -> str | None:
    for effect in step.decided.effects:
        controller = getattr(effect, "controller", step.after.controller)
        if controller != step.after.controller and not isinstance(effect, CloseSocket):
            return f"an effect of {controller}, which is not the newest controller"
    return None


def _ends_absorb(step: Judged, _: Past) -> str | None:
    before, after = step.before, step.after
    if before.state not in ENDS or before.epoch != after.epoch:
        return None
    if any(isinstance(effect, Dial | Send) for effect in step.decided.effects):
        return f"{before.state.printed} has ended and still dials or sends"
    if (before.state, before.reason) == (after.state, after.reason):
        return None
    upgrade = step.decided.rule.startswith("close.upgrade.") and after.state in ENDS
    if upgrade and before.state is not State.LOGGED_OUT and before.reason != "stopped":
        return None
    return f"{before.state.printed} was left without a claim"


def _always_pending(step: Judged, past: Past) -> str | None:
    rule = step.decided.rule
    started = isinstance(step.stimulus, Claimed) or rule.startswith("service.started")
    rests = rule.startswith("service.stopped") or not (past.running or started)
    if rests and step.after.state is not State.CONNECTED and step.after.state not in ENDS:
        return None
    return idle(step.after)


def idle(account: Account) -> str | None:
    """Say what is wrong where an account waits for nothing, or for what it should not wait for."""
    pending = {name for name in TIMERS if getattr(account, name + "_at") is not None}
    state = account.state
    if state is None or state in ENDS:
        return f"an end waits for {', '.join(sorted(pending))}" if pending else None
    if state is State.CONNECTED:
        wrong = pending & {"retry", "hold", "connect_deadline", "pairing", "handover"}
        if account.socket_state != "open":
            return "connected without an open socket"
        return f"connected, and waits for {', '.join(sorted(wrong))}" if wrong else None
    if state is State.RECONNECT_GAP:
        return None if pending & {"retry", "hold"} else "a gap in which nothing is waited for"
    phase = account.phase or Phase.WAITING
    return None if pending & _WAITS[phase] else f"{phase.value}, and nothing is waited for"


def _purge_once(step: Judged, past: Past) -> str | None:
    for effect in step.decided.effects:
        if not isinstance(effect, Purge):
            continue
        if step.after.state is not State.LOGGED_OUT:
            return "a purge without a logout"
        if effect.controller != step.after.controller:
            return "a purge by an older controller"
        crashed = step.decided.rule.startswith("service.started")
        if step.before.purge == "done" or (effect.controller in past.purged and not crashed):
            return "a second purge"
    return None


def _replaced_no_retry(step: Judged, _: Past) -> str | None:
    before, after, stimulus = step.before, step.after, step.stimulus
    replaced = isinstance(stimulus, Replaced)
    if isinstance(stimulus, Closed | DialFailed | StreamError):  # asked of no code under trial
        code, tag = str(stimulus.code), stimulus.tag
        replaced = tag == "replaced" or (code == "440" and tag != "device_removed")
    if not replaced:
        return None
    dials = any(isinstance(effect, Dial) for effect in step.decided.effects)
    if dials and before.phase is not Phase.WAITING:  # who waits for a hand-over may have its turn
        return "`replaced` was answered by a dial"
    if after.retry_at in (None, before.retry_at) or (after.own_doing and not before.own_doing):
        return None
    return "`replaced` set a retry"


def _attempts_bounded(step: Judged, _: Past) -> str | None:
    before, after, rule = step.before, step.after, step.decided.rule
    least = before.attempt - 1 if rule.startswith("close.upgrade.") else before.attempt
    reset = after.attempt == after.unknowns == 0 and rule in RESETS
    if not (least <= after.attempt <= before.attempt + 1 or reset):
        return f"the attempts went from {before.attempt} to {after.attempt}"
    if after.retry_at not in (None, before.retry_at):
        policy = after.policy
        longest = max(policy.max_s * (1 + policy.jitter), policy.probe_s, policy.handover_s)
        delay = (after.retry_at - step.stimulus.at) / NS
        if not 0 <= delay <= longest:
            return f"a retry was set for {delay:g} s from here, and the longest is {longest:g} s"
    return None


def _identity_overlaps(step: Judged, _: Past) -> str | None:
    after = step.after
    for send in _sends(step):
        reply = (after.replies or {}).get(send.reply)
        via = None if reply is None else reply.via
        if not after.live or not send.controller == via == after.controller:
            return "a reply leaves through a controller that is not live"
        if reply is not None and not overlap(reply.captured, after.identity, after.links):
            return "a reply leaves as somebody else"
    return None


def _intent_first(step: Judged, past: Past) -> str | None:
    for name, settled in step.decided.settled.items():
        if settled.outcome == "sent" and name not in past.asked:
            return "a reply is sent, and its send was never asked for"
    return None


def _one_outcome(step: Judged, past: Past) -> str | None:
    kept, settled = set(step.after.replies or ()), set(step.decided.settled)
    if settled & past.settled or (settled | past.settled) & kept:
        return "a reply has two outcomes"
    if set(step.before.replies or ()) - kept - settled:
        return "a reply is gone without an outcome"
    return None


def _one_write(step: Judged, past: Past) -> str | None:
    stimulus = step.stimulus
    for name, settled in step.decided.settled.items():
        acked = isinstance(stimulus, SendAcked) and stimulus.reply == name
        if (settled.outcome == "sent") != acked:
            return "sent without an ack" if not acked else "acked and not sent"
    unsent = _unsent(step)
    for send in _sends(step):
        if past.writes[send.reply] > (send.reply == unsent) or send.reply in past.settled:
            return "a reply is written a second time"
    return None


def _held_bounded(step: Judged, _: Past) -> str | None:
    policy, held = step.after.policy, step.after.replies or {}
    most = min(policy.held_max_account, policy.held_max_total)
    more = len(held) > most and held.keys() - (step.before.replies or {}).keys()
    return f"{len(held)} replies are held, and {most} may be" if more else None


def _order_in_chat(step: Judged, _: Past) -> str | None:
    before, replies = step.before.replies or {}, step.after.replies or {}
    kept = [name for name in before if name in replies]
    if list(replies)[: len(kept)] != kept:
        return "a reply lost its place"
    first: dict[str, str] = {}
    for name, reply in replies.items():
        if first.setdefault(reply.chat, name) != name and reply.in_flight:
            return "a reply overtook an older one of its chat"
    return None


INVARIANTS: dict[str, Judge] = {
    "one-live": _one_live,
    "epochs-rise": _epochs_rise,
    "superseded-only-closes": _superseded_only_closes,
    "ends-absorb": _ends_absorb,
    "always-pending": _always_pending,
    "purge-once": _purge_once,
    "replaced-no-retry": _replaced_no_retry,
    "attempts-bounded": _attempts_bounded,
    "identity-overlaps": _identity_overlaps,
    "intent-first": _intent_first,
    "one-outcome": _one_outcome,
    "one-write": _one_write,
    "held-bounded": _held_bounded,
    "order-in-chat": _order_in_chat,
}
"""Every invariant by its name, in the order of its number in the design, from 1."""
