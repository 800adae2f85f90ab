"""Who owns the connection: claims, hand-over, and sockets that are confirmed closed.

The newest claim wins. Its controller dials only when the older sockets are known to be over, or
`handover_s` after the claim; so a process never conflicts with itself.
"""

from __future__ import annotations

from .account import RETIRED_MAX, AskedClaim
from .draft import Draft
from .identity import NOBODY
from .lifecycle import Phase, State
from .outcome import Claim, CloseSocket
from .policy import overrides_of, policy_of
from .stimuli import Claimed


def ask_claim(d: Draft, reason: str) -> None:
    """Ask for a successor; the claim is outstanding for `handover_s`."""
    d.a.claim = AskedClaim(reason, d.due(d.policy.handover_s))
    d.effects.append(Claim(reason))


def claim_outstanding(d: Draft) -> bool:
    """Whether a claim was asked for so lately that another request has to wait for it."""
    return d.a.claim is not None and d.at < d.a.claim.until


def adopt_policy(d: Draft, overrides: dict[str, object]) -> None:
    """Take over the policy that the service runs with."""
    plain = overrides_of(policy_of(overrides))
    d.a.overrides = plain or None
    d.policy = d.a.policy


def decide_claimed(d: Draft, claim: Claimed) -> None:
    """A new controller takes the account: epoch + 1, the older one is superseded."""
    a = d.a
    name = claim.controller
    assert name is not None
    if name == a.controller or name in (a.retired or {}):
        d.move("claim.reused")
        return
    asked = a.claim is not None and (d.ended or d.at <= a.claim.until)
    by_policy = asked and a.claim is not None and a.claim.reason == "relink_auto"
    if d.ended and not by_policy:
        d.reset_counters()
    if a.controller is None:
        d.rule = "claim.first"
    else:
        d.move("claim")
        _retire(d)
    pending_retry = _inherited_retry(d, asked, by_policy)
    _begin(d, claim, name)
    adopt_policy(d, claim.policy)
    if by_policy:
        pending_retry = d.at + d.ladder(max(1, a.attempt))
    a.retry_at = pending_retry
    if d.elders_linger:
        a.handover_at = d.due(d.policy.handover_s)
    proceed(d)


def _inherited_retry(d: Draft, asked: bool, by_policy: bool) -> int | None:
    """A claim that nobody asked for over a gap dials when the pending retry is due."""
    if asked or by_policy or d.before.state not in (State.RECONNECT_GAP, State.CONNECTING):
        return None
    return d.before.retry_at


def _retire(d: Draft) -> None:
    """The older controller leaves what may still be asked of it: its identity and its sockets."""
    a = d.a
    assert a.controller is not None
    retired = dict(a.retired or {})
    retired[a.controller] = a.proven or NOBODY
    while len(retired) > RETIRED_MAX:
        del retired[next(iter(retired))]
    a.retired = retired
    if a.socket_state in ("open", "dialing", "closing"):
        d.linger(a.controller, a.holder or "", a.socket)
    mine = (a.lingering or {}).get(a.controller)
    if mine is not None:
        d.effects.extend(CloseSocket(a.controller, number) for number in mine.sockets)


def _begin(d: Draft, claim: Claimed, name: str) -> None:
    """The new controller at its start; what belongs to the account stays as it is."""
    a = d.a
    d.leave_connection()
    a.epoch += 1
    a.controller = name
    a.holder = claim.holder
    a.state = State.CONNECTING
    a.since = d.at
    a.phase = Phase.WAITING
    a.reason = a.cause = None
    a.socket = 0
    a.socket_state = "none"
    a.opened_at = a.proof = 0
    a.active = False
    a.proven = None
    a.close = None
    a.claim = None
    a.purge = None
    a.own_doing = False
    if a.hold is not None and a.hold.until <= d.at:
        a.hold = None
    a.hold_at = a.hold.until if a.hold is not None else None


def proceed(d: Draft) -> bool:
    """Dial, unless older sockets, a hold or an inherited retry still have to be waited for."""
    a = d.a
    if a.handover_at is not None or a.hold_at is not None or a.retry_at is not None:
        return False
    d.dial()
    return True
