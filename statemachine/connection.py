"""Openings, signs of life, pairing and identity of the newest controller."""

from __future__ import annotations

from . import replies
from .account import LINKS_MAX, PairingWindow
from .closes import CloseClass
from .closing import apply, end_pairing, lose
from .draft import Draft
from .identity import Identity
from .lifecycle import Phase, State
from .outcome import CloseSocket
from .ownership import proceed
from .policy import NS, span
from .stimuli import Activity, IdentityLinked, IdentityObserved, SendAcked, Silence

WINDOW_NS = 300 * NS
"""The pairing window lasts at most 300 s after `paired` (design §3.2)."""

WINDOW_OPENED_NS = 30 * NS
"""… and 30 s, inclusive, after the first opening that follows (design §3.2)."""


def decide_opened(d: Draft) -> None:
    """A socket is open: of the newest controller it is the connection, else it is closed again."""
    a, stimulus = d.a, d.stimulus
    if not d.newest:
        _opened_by_elder(d)
    elif d.ended:
        _opened_after_end(d)
    elif _is_stale_socket(d):
        d.move("opened.stale")
    elif a.state is State.CONNECTED:
        if stimulus.socket is None or stimulus.socket == a.socket:
            d.move("opened")
        else:
            d.move("opened.new_socket")
            _open(d, stimulus.socket)
    else:
        own = a.state is State.CONNECTING and a.socket_state == "dialing"
        d.move("opened")
        _open(d, stimulus.socket or (a.socket if own else a.socket + 1))


def _opened_after_end(d: Draft) -> None:
    """A library opens after the end: closed again, and what that causes is our own doing."""
    a, socket = d.a, d.stimulus.socket
    assert a.controller is not None
    stale = _is_stale_socket(d)
    d.move("opened")
    a.late_opening = d.at
    d.effects.append(CloseSocket(a.controller, socket or max(1, a.socket)))
    if not stale:
        a.socket = max(a.socket, socket or 0)
        a.close = None
        a.socket_state = "closing"


def _opened_by_elder(d: Draft) -> None:
    """A superseded controller opens: closed again; a `replaced` soon after is our own doing."""
    a = d.a
    controller = d.stimulus.controller
    assert controller is not None
    known = (a.lingering or {}).get(controller)
    socket = d.stimulus.socket or (known.sockets[-1] if known else 1)
    d.ignore("opened")
    if controller in (a.retired or {}):
        d.linger(controller, known.holder if known else a.holder or "", socket)
        a.late_opening = d.at
    d.effects.append(CloseSocket(controller, socket))


def _is_stale_socket(d: Draft) -> bool:
    """Whether the opening names a socket that is already closed or asked to close."""
    socket = d.stimulus.socket
    if socket is None:
        return False
    over = d.a.socket_state in ("closed", "closing")
    return socket < d.a.socket or (socket == d.a.socket and over)


def _open(d: Draft, socket: int) -> None:
    a = d.a
    if socket != a.socket and a.socket_state in ("closing", "dialing"):
        assert a.controller is not None
        d.linger(a.controller, a.holder or "", a.socket)
    d.leave_connection()
    a.socket = socket
    a.socket_state = "open"
    a.opened_at = a.proof = d.at
    a.close = None
    a.hold = None
    a.outage = False
    a.retry_at = a.hold_at = None
    a.stability_at = d.due(d.policy.stability_s)
    a.silence_at = d.due(d.policy.silence_s) if a.active else None
    if a.window is not None and not a.window.opened:
        a.window = PairingWindow(min(a.window.until, d.at + WINDOW_OPENED_NS), opened=True)


def _of_an_old_socket(d: Draft) -> bool:
    return d.stimulus.socket is not None and d.stimulus.socket < d.a.socket


def prove_life(d: Draft) -> None:
    """A proof of life of the open connection: silence starts to count anew."""
    a = d.a
    a.proof = d.at
    if a.active:
        a.silence_at = d.due(d.policy.silence_s)


def decide_activity(d: Draft, activity: Activity) -> None:
    """A sign of life; an engine that reports them is judged by their absence."""
    if not d.newest:
        d.ignore("late")
        return
    d.move("activity")
    if d.ended:
        return
    d.a.active = True
    if d.a.state is State.CONNECTED and not _of_an_old_socket(d):
        prove_life(d)


def decide_keepalive(d: Draft, *, restored: bool) -> None:
    """Missed keepalives degrade a connection without ending it."""
    if not d.newest:
        d.ignore("late")
        return
    d.move("keepalive_restored" if restored else "keepalive_timeout")
    if d.a.state is State.CONNECTED and not _of_an_old_socket(d):
        d.a.degraded = not restored
        if restored:
            prove_life(d)


def decide_silence(d: Draft, silence: Silence) -> None:
    """A watchdog's word: it closes a socket only if it can be about this one and is long enough."""
    if not d.newest:
        d.ignore("late")
        return
    policy = d.policy
    limit = policy.silence_s if silence.kind == "transport" else policy.app_silence_s
    lasted = span(silence.seconds)
    judged = (
        d.a.state is State.CONNECTED
        and limit is not None
        and not _of_an_old_socket(d)
        and span(limit) <= lasted <= d.at - d.a.opened_at
    )
    if judged:
        lose(d, "silence.close", "silence.gave_up")
    else:
        d.move("silence.evidence")


def decide_pairing_started(d: Draft) -> None:
    """A code is shown: the pairing timer takes the place of the connect deadline."""
    a = d.a
    if not d.newest:
        d.ignore("late")
        return
    d.move("pairing_started")
    if a.state is State.CONNECTING and a.phase is not Phase.PAIRING:
        a.phase = Phase.PAIRING
        a.connect_deadline_at = None
        a.pairing_at = d.due(d.policy.pairing_s)


def decide_paired(d: Draft) -> None:
    """The phone accepted: the pairing window opens, in which a 401 is no logout."""
    a = d.a
    if not d.newest:
        d.ignore("late")
        return
    d.move("paired")
    if d.ended:
        return
    a.window = PairingWindow(d.at + WINDOW_NS)
    if a.state is State.CONNECTING and a.phase is not Phase.WAITING:
        a.phase = Phase.DIALING
        a.pairing_at = None
        a.connect_deadline_at = d.due(d.policy.connect_deadline_s)


def decide_pairing_failed(d: Draft) -> None:
    """The pairing ended without success."""
    if not d.newest:
        d.ignore("late")
    elif d.a.state is State.CONNECTING:
        end_pairing(d)
    else:
        d.move("pairing_failed")


def decide_credentials_saved(d: Draft) -> None:
    """The pairing is complete: from here on a 401 is a logout."""
    if not d.newest:
        d.ignore("late")
        return
    d.move("credentials_saved")
    d.a.window = None


def decide_session_purged(d: Draft) -> None:
    """The purge that was asked for is done; only the newest controller's counts."""
    if not d.newest:
        d.ignore("late")
        return
    d.move("session_purged")
    if d.a.purge == "asked":
        d.a.purge = "done"


def decide_identity(d: Draft, observed: IdentityObserved) -> None:
    """Who is logged in on the open socket: from here on the controller is live."""
    a = d.a
    if not d.newest:
        d.ignore("late")
        return
    identity = Identity(observed.forms.get("pn"), observed.forms.get("lid"))
    if not (identity.pn or identity.lid):
        d.move("identity.empty")
        return
    d.move("identity_observed")
    if a.state is State.CONNECTED and not _of_an_old_socket(d):
        a.identity = a.proven = a.known = identity
        replies.prove(d)


def decide_linked(d: Draft, linked: IdentityLinked) -> None:
    """The map's newest entry for a form counts; it completes identities wherever they are read."""
    remember_link(d, linked)
    if d.newest:
        d.move("identity_linked")
    else:
        d.ignore("identity_linked")


def remember_link(d: Draft, linked: IdentityLinked) -> None:
    """Keep an entry of the map, as long as it is among the newest."""
    links = dict(d.a.links or {})
    # In sorted order, as a record's keys stand: a fold of the log must forget the same ones.
    links.update(sorted({linked.pn: linked.lid, linked.lid: linked.pn}.items()))
    while len(links) > LINKS_MAX:
        del links[next(form for form in links if form not in (linked.pn, linked.lid))]
    d.a.links = links


def note_ack(d: Draft, acked: SendAcked) -> None:
    """An acknowledgement through the open connection proves that it lives."""
    if d.newest and d.a.state is State.CONNECTED and not _of_an_old_socket(d):
        prove_life(d)


def decide_socket_closed(d: Draft) -> None:
    """A confirmed close; one of the open socket that nobody asked for is a close without a code."""
    a, stimulus = d.a, d.stimulus
    assert stimulus.controller is not None and a.controller is not None
    if not d.newest:
        d.confirm(stimulus.controller, stimulus.socket, every=stimulus.socket is None)
        d.ignore("socket_closed.confirmed")
        if a.phase is Phase.WAITING and not d.elders_linger:
            a.handover_at = None
            proceed(d)
        return
    if stimulus.socket is not None and stimulus.socket != a.socket:
        d.confirm(a.controller, stimulus.socket)
        d.move("socket_closed.confirmed")
    elif a.socket_state == "open":
        apply(d, CloseClass.TRANSIENT, "close")
    else:
        if a.socket_state == "closing":
            a.socket_state = "closed"
        d.move("socket_closed.confirmed")
