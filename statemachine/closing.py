"""What a close does: late, echo, ignored, or the consequence of its class. One close, one cause."""

from __future__ import annotations

import msgspec

from . import replies
from .account import Close, Hold
from .closes import ENDING, CloseClass, classify, is_pairing_401
from .draft import Draft
from .lifecycle import Phase, State
from .outcome import CloseSocket, Purge
from .ownership import ask_claim, proceed
from .policy import NS, UNKNOWN_CLOSES_MAX, span
from .stimuli import Banned, Closed, DialFailed, WorkerDied

ECHO_NS = NS
"""A close that names no socket is an echo up to 1 s after the last close (design §3.2)."""

_OWN_DOING = "own_doing"
_DEFINITE = (Closed, DialFailed, WorkerDied)
"""Stimuli after which nothing of the socket is left to be closed."""


def decide_close(d: Draft) -> None:
    """Decide on a close that was observed on the wire."""
    a, stimulus = d.a, d.stimulus
    kind = _class_of(d)
    if not d.newest:
        _close_of_elder(d)
        return
    assert a.controller is not None
    if isinstance(stimulus, WorkerDied):
        d.confirm(a.controller, None, every=True)
        replies.interrupt(d)
    if stimulus.socket is not None and stimulus.socket < a.socket:
        d.confirm(a.controller, stimulus.socket)
        d.move("close.late")
    elif isinstance(stimulus, DialFailed) and a.state is State.CONNECTED:
        d.move("close.late")
    elif _is_echo(d):
        _echo(d, kind)
    else:
        a.socket = max(a.socket, stimulus.socket or 0)
        apply(d, kind, "close")


def _class_of(d: Draft) -> CloseClass:
    """The class of the close; in the pairing window a 401 is no logout but a restart."""
    window = d.a.window
    if window is not None and d.at <= window.until and is_pairing_401(d.stimulus):
        return CloseClass.RESTART
    return classify(d.stimulus)


def _close_of_elder(d: Draft) -> None:
    """A superseded controller's close changes nothing but that its socket is known to be over."""
    controller = d.stimulus.controller
    assert controller is not None
    d.confirm(controller, d.stimulus.socket, every=isinstance(d.stimulus, WorkerDied))
    replaced = classify(d.stimulus) is CloseClass.REPLACED
    d.ignore("late.replaced" if replaced else "late.close")
    if d.a.phase is Phase.WAITING and not d.elders_linger:
        d.a.handover_at = None
        proceed(d)


def _is_echo(d: Draft) -> bool:
    last, stimulus = d.a.close, d.stimulus
    if last is None or isinstance(stimulus, DialFailed):
        return False
    if stimulus.socket is not None:
        return stimulus.socket == last.socket
    return d.at - last.at <= ECHO_NS


def _echo(d: Draft, kind: CloseClass) -> None:
    """A further word about the same close; only a more severe one may change what was done."""
    a, last = d.a, d.a.close
    assert last is not None
    a.close = msgspec.structs.replace(last, at=d.at)
    if isinstance(d.stimulus, _DEFINITE):
        _socket_is_over(d)
    if a.phase is Phase.WAITING and kind.severity > last.kind.severity:
        apply(d, kind, "close")
        return
    if kind.severity <= last.kind.severity or not _may_upgrade(d, kind):
        d.move("close.echo")
        return
    if a.hold is not None and _effective(d, kind) == _OWN_DOING:
        _close_again(d)  # no retry: a hold is stronger than everything but its end
        a.close = msgspec.structs.replace(a.close, kind=kind)
        d.move("close.echo")
        return
    a.attempt = max(0, a.attempt - last.attempts)
    a.unknowns = max(0, a.unknowns - last.unknowns)
    a.restarted = last.restarted
    apply(d, kind, "upgrade")


def _may_upgrade(d: Draft, kind: CloseClass) -> bool:
    """An end is replaced by another end only, and a stop or a logout by nothing."""
    if d.a.state is State.RECONNECT_GAP:
        return True
    stopped = d.a.state is State.CLOSED and d.a.reason == "stopped"
    replaceable = d.a.state in (State.CONFLICT, State.CLOSED) and not stopped
    return replaceable and kind in ENDING and _effective(d, kind) == kind.value


def _effective(d: Draft, kind: CloseClass) -> str:
    """The class after our own doing has had its say."""
    if kind is CloseClass.REPLACED and not d.a.own_doing and _is_own_doing(d):
        return _OWN_DOING
    return kind.value


def _is_own_doing(d: Draft) -> bool:
    """Whether a socket of an older controller of ours explains that we were replaced."""
    opening = d.a.late_opening
    recent = opening is not None and d.at <= opening + span(d.policy.handover_s)
    return d.elders_linger or recent


def apply(d: Draft, kind: CloseClass, how: str) -> None:
    """Apply a class to the newest controller; `how` is `close` or `upgrade`."""
    a = d.a
    effective = _effective(d, kind)
    ignorable = effective in ("transient", "restart", "unknown", _OWN_DOING)
    waiting = a.state is State.RECONNECT_GAP or a.phase is Phase.WAITING
    if how == "close" and (d.ended or (ignorable and waiting)):
        if effective == _OWN_DOING:
            _close_again(d)
            a.close = Close(a.socket, d.at, kind)  # said again, it is an echo
        _socket_is_over(d)
        d.move("close.ignored")
        return
    repeated = effective == "restart" and a.restarted
    socket = a.close.socket if how == "upgrade" and a.close is not None else a.socket
    a.close = Close(socket, d.at, kind, restarted=a.restarted)
    a.restarted = effective == "restart"
    if effective == "restart" and not repeated:
        _restart(d, how)
    elif effective in ("banned", "outdated"):
        _hold(d, effective, how)
    elif effective in ("rejected", "forbidden", "replaced", "logged_out"):
        _end_by_class(d, effective, how)
    else:
        if effective == _OWN_DOING:
            _close_again(d)
        _retry_or_give_up(d, "transient" if repeated else effective, how)


def _socket_is_over(d: Draft) -> None:
    if d.a.socket_state != "none":
        d.a.socket_state = "closed"


def _close_again(d: Draft) -> None:
    """It was our own doing, once a controller: the old sockets are asked to close again."""
    d.a.own_doing = True
    for name, known in sorted((d.a.lingering or {}).items()):
        if name != d.a.controller:
            d.effects.extend(CloseSocket(name, number) for number in known.sockets)


def _retry_or_give_up(d: Draft, effective: str, how: str) -> None:
    """Transient and unknown: one more attempt by the ladder, or its last column."""
    _socket_is_over(d)
    if d.a.phase is Phase.PAIRING:
        if d.policy.relink != "auto":
            d.a.cause = "unknown" if effective == "unknown" else "transient"
            end(d, "pairing_failed", reason="pairing_failed", notice="pairing_failed")
            return
        effective = "transient"
    retry(d, how + "." + effective, how + ".gave_up", unknown=effective == "unknown")


def retry(
    d: Draft, trigger: str, exhausted: str, *, unknown: bool = False, at_once: bool = False
) -> None:
    """Take one attempt and wait for it, or end by `exhausted` where the policy gives up."""
    a, policy = d.a, d.policy
    attempt = a.attempt + 1
    bounded = unknown and a.unknowns + 1 > UNKNOWN_CLOSES_MAX
    a.cause = "unknown" if unknown else "transient"
    if bounded or (attempt > policy.fast_attempts and policy.after == "give_up"):
        end(d, exhausted, reason="gave_up", notice="gave_up")
        return
    a.attempt = attempt
    a.unknowns += unknown
    if a.close is not None:
        last = a.close
        a.close = Close(last.socket, last.at, last.kind, 1, int(unknown), last.restarted)
    _wait(d, trigger, d.at if at_once else d.at + d.ladder(attempt))


def lose(d: Draft, trigger: str, exhausted: str, *, at_once: bool = False) -> None:
    """A transient close that nobody on the wire told of: a timer of ours, or a lost process."""
    a = d.a
    a.close = Close(a.socket, d.at, CloseClass.TRANSIENT, restarted=a.restarted)
    a.restarted = False
    d.close_socket(asked=True)
    retry(d, trigger, exhausted, at_once=at_once)


def _restart(d: Draft, how: str) -> None:
    _socket_is_over(d)
    d.a.cause = "restart"
    _wait(d, how + ".restart", d.at)


def _wait(d: Draft, trigger: str, retry_at: int) -> None:
    """Rest in the gap until then; inside a hold nothing dials but its end."""
    d.move(trigger)
    d.leave_connection()
    d.a.retry_at = retry_at if d.a.hold is None else None


def _hold(d: Draft, kind: str, how: str) -> None:
    """The server asks for patience: extended, never shortened; told once."""
    a, stimulus = d.a, d.stimulus
    seconds: int | float | str = (
        d.policy.outdated_hold_s if kind == "outdated" else d.policy.ban_default_s
    )
    if isinstance(stimulus, Banned) and stimulus.expires_s is not None:
        seconds = stimulus.expires_s
    until = d.at + span(seconds)
    told = a.outage if kind == "outdated" else a.hold is not None and a.hold.kind == "banned"
    if a.hold is None or until >= a.hold.until:
        a.hold = Hold("outdated" if kind == "outdated" else "banned", until)
    a.outage = a.outage or kind == "outdated"
    a.cause = kind
    _tidy(d)
    d.move(how + "." + kind)
    d.leave_connection()
    a.retry_at = None
    a.hold_at = a.hold.until
    if not told:
        d.notify(kind)


def _tidy(d: Draft) -> None:
    """Close the socket of an end or a hold, unless the stimulus says that nothing is left."""
    if isinstance(d.stimulus, _DEFINITE):
        _socket_is_over(d)
    else:
        d.close_socket(asked=False)


def _end_by_class(d: Draft, kind: str, how: str) -> None:
    d.a.cause = kind
    _tidy(d)
    reason = kind if kind in ("rejected", "forbidden") else None
    end(d, how + "." + kind, reason=reason, notice="conflict" if kind == "replaced" else kind)
    if kind == "logged_out" and d.policy.relink == "auto":
        _relink(d)


def _relink(d: Draft) -> None:
    """Policy `relink: auto`: the logout takes one attempt, and asks for purge and successor."""
    a, policy = d.a, d.policy
    assert a.controller is not None
    a.purge = "asked"
    d.effects.append(Purge(a.controller))
    if a.attempt + 1 > policy.fast_attempts and policy.after == "give_up":
        return
    a.attempt += 1
    ask_claim(d, "relink_auto")


def end(d: Draft, trigger: str, *, reason: str | None, notice: str | None) -> None:
    """Enter an absorbing state: timers end, sends in flight are uncertain, one notice."""
    a = d.a
    d.move(trigger)
    d.leave_connection()
    a.retry_at = a.hold_at = None
    a.reason = reason
    a.claim = None
    if notice is not None:
        d.notify(notice)
    replies.interrupt(d)


def end_pairing(d: Draft) -> None:
    """Nobody paired: the operator begins again; with `relink: auto` the ladder does."""
    if d.policy.relink == "auto" and d.a.phase is Phase.WAITING:
        d.move("close.ignored")
    elif d.policy.relink == "auto":
        lose(d, "pairing.retry", "pairing.gave_up")
    else:
        d.close_socket(asked=True)
        end(d, "pairing_failed", reason="pairing_failed", notice="pairing_failed")
