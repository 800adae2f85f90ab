"""Start and stop of the service that runs the controllers of its holder, and lapsed leases.

After a crash the newest controller's socket is over, timers are set anew with what remains of them
by the clock, and what was asked is asked again. That older sockets are over has to be confirmed.
"""

from __future__ import annotations

from . import replies
from .closing import lose
from .draft import Draft
from .lifecycle import Phase, State
from .outcome import Claim, CloseSocket, Purge
from .ownership import adopt_policy, proceed
from .stimuli import ServiceStarted, ServiceStopped


def decide_started(d: Draft, started: ServiceStarted) -> None:
    """Take up what the log says was under way."""
    a = d.a
    if a.holder != started.holder:
        d.move("service.other_holder")
        return
    adopt_policy(d, started.policy)
    replies.recover(d)
    if a.socket_state != "none":
        a.socket_state = "closed"  # it died with the process
    if a.state is State.CONNECTED:
        at_once = a.attempt == 0
        lose(d, "service_started", "service_started.gave_up", at_once=at_once)
    elif a.state is State.CONNECTING:
        d.move("service_started")
        _resume_connecting(d)
    elif a.state is State.RECONNECT_GAP:
        d.move("service_started")
        if a.hold is not None:
            a.hold_at = max(a.hold.until, d.at)
        else:
            a.retry_at = max(a.retry_at or d.at, d.at)
    else:
        d.move("service_started")
    _ask_again(d)
    if a.gap_since is not None and not a.gap_told and not d.ended:
        a.gap_notice_at = max(a.gap_notice_at or _gap_due(d), d.at)


def _gap_due(d: Draft) -> int:
    assert d.a.gap_since is not None
    return d.a.gap_since + d.due(d.policy.gap_notice_s) - d.at


def _resume_connecting(d: Draft) -> None:
    """The lost dial is dialed again at once; what was waited for is waited for with its rest."""
    a = d.a
    if a.phase is Phase.WAITING:
        for elder, known in sorted((a.lingering or {}).items()):
            if elder != a.controller:
                d.effects.extend(CloseSocket(elder, number) for number in known.sockets)
    a.connect_deadline_at = a.pairing_at = None
    a.phase = Phase.WAITING
    for name in ("handover_at", "hold_at", "retry_at"):
        due = getattr(a, name)
        if due is not None:
            setattr(a, name, max(due, d.at))
    proceed(d)


def _ask_again(d: Draft) -> None:
    """A purge without `session_purged` and a claim without `claimed` are asked for again."""
    a = d.a
    assert a.controller is not None
    if a.purge == "asked":
        d.effects.append(Purge(a.controller))
    if a.claim is not None and (d.ended or d.at < a.claim.until):
        d.effects.append(Claim(a.claim.reason))


def decide_stopped(d: Draft, stopped: ServiceStopped) -> None:
    """Rest in the gap: sockets are closed, timers end, nothing of a reply stays in memory."""
    a = d.a
    if a.holder != stopped.holder:
        d.move("service.other_holder")
        return
    replies.recover(d)
    d.close_socket(asked=True)
    for name, known in sorted((a.lingering or {}).items()):
        if known.holder == stopped.holder and name != a.controller:
            d.effects.extend(CloseSocket(name, number) for number in known.sockets)
    d.move("service_stopped")
    if not d.ended:
        d.leave_connection()
    a.retry_at = a.hold_at = a.gap_notice_at = None
