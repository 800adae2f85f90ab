"""Timers that came due. One that was cancelled or replaced and fires all the same is stale."""

from __future__ import annotations

from . import replies
from .account import REPLY_TIMERS
from .closing import end_pairing, lose
from .draft import Draft
from .lifecycle import State
from .outcome import CloseSocket
from .stimuli import TimerFired


def decide_timer(d: Draft, fired: TimerFired) -> None:
    """Do what the timer was set for, if it is due."""
    if not d.newest:
        d.ignore("timer.stale")
        return
    if fired.timer in REPLY_TIMERS:
        replies.decide_timer(d, fired)
        return
    due = getattr(d.a, fired.timer + "_at")
    if due is None or d.at < due:
        d.move("timer.stale")
        return
    setattr(d.a, fired.timer + "_at", None)
    _DUE[fired.timer](d)


def _retry(d: Draft) -> None:
    _dial_or_wait(d, "retry")


def _hold(d: Draft) -> None:
    d.a.hold = None
    _dial_or_wait(d, "hold")


def _handover(d: Draft) -> None:
    """Asking was not enough: the old sockets are closed by force, and waited for no longer."""
    for name, known in sorted((d.a.lingering or {}).items()):
        if name != d.a.controller:
            d.effects.extend(CloseSocket(name, number, force=True) for number in known.sockets)
    _dial_or_wait(d, "handover")


def _dial_or_wait(d: Draft, timer: str) -> None:
    """The timer is over: dial, unless something else still has to be waited for."""
    a = d.a
    blocked = a.handover_at is not None or a.hold_at is not None or a.retry_at is not None
    if a.state is State.CONNECTING and blocked:
        d.move(timer + ".waits")
        return
    d.move(timer)
    d.dial()


def _connect_deadline(d: Draft) -> None:
    lose(d, "connect_deadline", "connect_deadline.gave_up")


def _stability(d: Draft) -> None:
    d.reset_counters()
    d.move("stability")


def _silence(d: Draft) -> None:
    lose(d, "silence.close", "silence.gave_up")


def _gap_notice(d: Draft) -> None:
    d.a.gap_told = True
    d.move("gap_notice")
    d.notify("gap")


_DUE = {
    "retry": _retry,
    "hold": _hold,
    "handover": _handover,
    "connect_deadline": _connect_deadline,
    "pairing": end_pairing,
    "stability": _stability,
    "silence": _silence,
    "gap_notice": _gap_notice,
}
