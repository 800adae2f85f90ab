"""The one restart authority: which restart, relink, release or stop is granted, and which refused.

A monitor may only restart a connection that has shown no life for `silence_s`; it undoes no end.
An operator may restart anything that is alive and not held, lift holds, and begin again.
"""

from __future__ import annotations

from .closing import end
from .draft import Draft
from .lifecycle import Phase, State
from .outcome import Purge
from .ownership import ask_claim, claim_outstanding, proceed
from .policy import span
from .stimuli import ReleaseRequested, RelinkRequested, RestartRequested, StopRequested


def decide_restart(d: Draft, request: RestartRequested) -> None:
    """Grant or refuse a restart; the claim that it asks for has a retry as its backstop."""
    refusal = _refusal(d, request)
    if refusal is not None:
        d.move("restart.refused." + refusal)
        return
    a = d.a
    if request.by == "operator":
        d.reset_counters()
    d.close_socket(asked=True)
    a.cause = "restart_requested"
    d.move("restart.granted")
    d.leave_connection()
    a.close = None
    a.retry_at = d.due(d.policy.handover_s)
    ask_claim(d, "restart")


def _refusal(d: Draft, request: RestartRequested) -> str | None:
    a = d.a
    if not d.newest:
        return "superseded"
    if d.ended:
        return "ended"
    if claim_outstanding(d):
        return "outstanding"
    if a.hold is not None:
        return "hold"
    if request.by == "operator":
        return None
    if a.state is not State.CONNECTED:
        return "recovering"
    return None if d.at - a.proof > span(d.policy.silence_s) else "healthy"


def decide_relink(d: Draft, request: RelinkRequested) -> None:
    """Begin again after an end: from a logout the session is purged first, once."""
    a = d.a
    assert a.controller is not None
    if not d.newest:
        d.move("relink.refused.superseded")
    elif request.by == "monitor":
        d.move("relink.refused.monitor")
    elif not d.ended:
        d.move("relink.refused.alive")
    elif claim_outstanding(d):
        d.move("relink.refused.outstanding")
    else:
        d.move("relink.granted")
        d.reset_counters()
        if a.state is State.LOGGED_OUT and a.purge is None:
            a.purge = "asked"
            d.effects.append(Purge(a.controller))
        ask_claim(d, "relink")


def decide_release(d: Draft, request: ReleaseRequested) -> None:
    """Lift a hold and dial at once, or ask for a successor in a conflict."""
    a = d.a
    if not d.newest:
        d.ignore("late")
    elif request.by == "monitor":
        d.move("release.refused.monitor")
    elif a.state is State.CONFLICT and claim_outstanding(d):
        d.move("release.refused.outstanding")
    elif a.state is State.CONFLICT:
        d.move("release.conflict")
        d.reset_counters()
        a.hold = a.hold_at = None
        ask_claim(d, "release")
    elif a.hold is not None:
        _lift(d)
    else:
        d.move("release.refused.nothing_held")


def _lift(d: Draft) -> None:
    a = d.a
    d.reset_counters()
    a.hold = a.hold_at = a.retry_at = None
    from_gap = a.state is State.RECONNECT_GAP
    d.move("release.hold")
    if from_gap:
        d.dial()
    elif a.phase is Phase.WAITING:
        proceed(d)


def decide_stop(d: Draft, request: StopRequested) -> None:
    """End on purpose: no notice, and the counters start over."""
    if not d.newest:
        d.ignore("late")
        return
    if d.ended:
        d.move("stop")
        return
    d.close_socket(asked=True)
    d.reset_counters()
    end(d, "stop", reason="stopped", notice=None)
