"""The lifecycle of a controller: states, and the one table of what may follow what.

Theory of operation
===================

A controller is one runtime owner of an account's connection, from its claim to its end. It may open
many sockets one after another. Its lifecycle starts in `connecting` and lives in three states:

* `connecting`: a dial is wanted. It has a phase: `waiting` (an older socket of ours is not known
  to be over, a hold runs, or an inherited retry is not yet due), `dialing`, or `pairing`.
* `connected`: a socket is open. Who is logged in is proven for each socket anew, and only then is
  the controller live.
* `reconnect_gap`: there is no socket, and a timer says when to dial again.

It ends in one of four: `logged_out`, `conflict` (somebody we don't know took the session), `closed`
(on purpose or given up, with a reason) or `superseded` (a newer claim of our own). The ends absorb:
only a new claim, by a new controller with the next epoch, starts the account again. The one
exception is an upgrade: a second and more severe word about the same close may replace `conflict`
or `closed` by another end.

What is observed is first classified with its context (is it late, is it an echo, is the ladder
used up): that names a trigger. The table below then says, for a trigger in a state, which rule
applies and which state follows. It holds no conditions: one row for one trigger in one state. The
rule's name goes into the record, so a divergence, a picture and an explanation can name it. A
stimulus that changes nothing has a rule too, the one that ignored it.

What a rule sets besides the state (counters, timers, effects, replies) stands in the module of its
group: `closing`, `connection`, `ownership`, `requests`, `hosting`, `clockwork`, `replies`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class State(enum.Enum):
    """The states of a controller's lifecycle."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECT_GAP = "reconnect_gap"
    LOGGED_OUT = "logged_out"
    CONFLICT = "conflict"
    SUPERSEDED = "superseded"
    CLOSED = "closed"

    # An enum hashes its name in Python code; the table is looked up by state for every stimulus.
    __hash__ = object.__hash__

    @property
    def printed(self) -> str:
        """The state as people read it: `reconnect-gap`."""
        return self.value.replace("_", "-")


class Phase(enum.Enum):
    """What a connecting controller is doing."""

    WAITING = "waiting"
    DIALING = "dialing"
    PAIRING = "pairing"


class Row(NamedTuple):
    """One row: a trigger in these states leads to `target` (None: the state stays) by `rule`."""

    trigger: str
    sources: tuple[State, ...]
    target: State | None
    rule: str


C, O, G = State.CONNECTING, State.CONNECTED, State.RECONNECT_GAP  # noqa: E741 - in columns
L, X, S, Z = State.LOGGED_OUT, State.CONFLICT, State.SUPERSEDED, State.CLOSED
ALIVE, ENDS, ANY = (C, O, G), (L, X, Z), (C, O, G, L, X, Z, S)
NEWEST = ALIVE + ENDS

TABLE: tuple[Row, ...] = (
    # Ownership. The newest claim wins; the new controller starts at `connecting`.
    Row("claim", ALIVE, S, "claim.supersedes"),
    Row("claim", ENDS, None, "claim.after_end"),
    Row("claim.reused", NEWEST, None, "claim.reused"),
    Row("socket_closed.confirmed", ANY, None, "socket_closed.confirmed"),
    Row("lease_lapsed", ANY, None, "lease_lapsed"),
    Row("late", (S,), None, "late"),
    Row("late.close", (S,), None, "late.close"),
    Row("late.replaced", (S,), None, "late.replaced"),
    # Closes, by class. In the gap and while waiting only an end or a hold counts.
    Row("close.late", NEWEST, None, "close.late"),
    Row("close.echo", NEWEST, None, "close.echo"),
    Row("close.transient", (C, O), G, "close.transient.retry"),
    Row("close.unknown", (C, O), G, "close.unknown.retry"),
    Row("close.own_doing", (C, O), G, "close.replaced.own_doing"),
    Row("close.restart", (C, O), G, "close.restart.retry"),
    Row("close.banned", ALIVE, G, "close.banned.hold"),
    Row("close.outdated", ALIVE, G, "close.outdated.hold"),
    Row("close.gave_up", (C, O), Z, "close.gave_up"),
    Row("close.rejected", ALIVE, Z, "close.rejected"),
    Row("close.forbidden", ALIVE, Z, "close.forbidden"),
    Row("close.replaced", ALIVE, X, "close.replaced.conflict"),
    Row("close.logged_out", ALIVE, L, "close.logged_out"),
    Row("close.ignored", (C,), None, "close.ignored.waiting"),
    Row("close.ignored", (G,), None, "close.ignored.gap"),
    Row("close.ignored", ENDS, None, "close.ignored.ended"),
    # A more severe word about the same close, within the gap or over an end.
    Row("upgrade.transient", (G,), G, "close.upgrade.transient"),
    Row("upgrade.unknown", (G,), G, "close.upgrade.unknown"),
    Row("upgrade.own_doing", (G,), G, "close.upgrade.own_doing"),
    Row("upgrade.restart", (G,), G, "close.upgrade.restart"),
    Row("upgrade.banned", (G,), G, "close.upgrade.banned"),
    Row("upgrade.outdated", (G,), G, "close.upgrade.outdated"),
    Row("upgrade.gave_up", (G,), Z, "close.upgrade.gave_up"),
    Row("upgrade.rejected", (G, Z), Z, "close.upgrade.rejected"),
    Row("upgrade.forbidden", (G, Z), Z, "close.upgrade.forbidden"),
    Row("upgrade.replaced", (G, Z), X, "close.upgrade.conflict"),
    Row("upgrade.logged_out", (G, X, Z), L, "close.upgrade.logged_out"),
    # Openings. A library may open by itself, in the gap too.
    Row("opened", (C,), O, "opened.connected"),
    Row("opened", (G,), O, "opened.reconnected"),
    Row("opened", (O,), None, "opened.again"),
    Row("opened", ENDS, None, "opened.after_end"),
    Row("opened", (S,), None, "late.opened"),
    Row("opened.new_socket", (O,), None, "opened.new_socket"),
    Row("opened.stale", NEWEST, None, "opened.stale"),
    # Liveness.
    Row("activity", (O,), None, "activity.proof"),
    Row("activity", (C, G, *ENDS), None, "activity.unopened"),
    Row("keepalive_timeout", (O,), None, "keepalive.degraded"),
    Row("keepalive_timeout", (C, G, *ENDS), None, "keepalive.unopened"),
    Row("keepalive_restored", (O,), None, "keepalive.restored"),
    Row("keepalive_restored", (C, G, *ENDS), None, "keepalive.unopened"),
    Row("silence.close", (O,), G, "silence.close"),
    Row("silence.gave_up", (O,), Z, "silence.gave_up"),
    Row("silence.evidence", (O,), None, "silence.evidence"),
    Row("silence.evidence", (C, G, *ENDS), None, "silence.unopened"),
    # Pairing.
    Row("pairing_started", (C,), None, "pairing.started"),
    Row("pairing_started", (O, G, *ENDS), None, "pairing.ignored"),
    Row("paired", (C,), None, "pairing.paired"),
    Row("paired", (O, G), None, "pairing.window"),
    Row("paired", ENDS, None, "pairing.ignored"),
    Row("pairing_failed", (C,), Z, "pairing.failed"),
    Row("pairing_failed", (O, G, *ENDS), None, "pairing.ignored"),
    Row("pairing.retry", (C,), G, "pairing.retry"),
    Row("pairing.gave_up", (C,), Z, "pairing.gave_up"),
    Row("credentials_saved", NEWEST, None, "pairing.credentials_saved"),
    Row("session_purged", (L,), None, "session.purged"),
    Row("session_purged", (C, O, G, X, Z), None, "session.purge_unasked"),
    # Identity.
    Row("identity_observed", (O,), None, "identity.proven"),
    Row("identity_observed", (C, G, *ENDS), None, "identity.unopened"),
    Row("identity.empty", NEWEST, None, "identity.empty"),
    Row("identity_linked", ANY, None, "identity.linked"),
    # Timers.
    Row("timer.stale", ANY, None, "timer.stale"),
    Row("retry", (G,), C, "retry.dial"),
    Row("retry", (C,), None, "retry.dial"),
    Row("retry.waits", (C,), None, "retry.waits"),
    Row("hold", (G,), C, "hold.dial"),
    Row("hold", (C,), None, "hold.dial"),
    Row("hold.waits", (C,), None, "hold.waits"),
    Row("handover", (C,), None, "handover.dial"),
    Row("handover.waits", (C,), None, "handover.waits"),
    Row("connect_deadline", (C,), G, "connect_deadline.retry"),
    Row("connect_deadline.gave_up", (C,), Z, "connect_deadline.gave_up"),
    Row("stability", (O,), None, "stability.reset"),
    Row("gap_notice", ALIVE, None, "gap_notice.told"),
    # Requests. Refusals are rules of their own: one restart authority.
    Row("restart.granted", ALIVE, G, "restart.granted"),
    Row("restart.refused.superseded", ANY, None, "restart.refused.superseded"),
    Row("restart.refused.ended", ENDS, None, "restart.refused.ended"),
    Row("restart.refused.outstanding", ALIVE, None, "restart.refused.outstanding"),
    Row("restart.refused.hold", ALIVE, None, "restart.refused.hold"),
    Row("restart.refused.recovering", (C, G), None, "restart.refused.recovering"),
    Row("restart.refused.healthy", (O,), None, "restart.refused.healthy"),
    Row("relink.granted", ENDS, None, "relink.granted"),
    Row("relink.refused.alive", ALIVE, None, "relink.refused.alive"),
    Row("relink.refused.outstanding", ENDS, None, "relink.refused.outstanding"),
    Row("relink.refused.superseded", NEWEST, None, "relink.refused.superseded"),
    Row("relink.refused.monitor", NEWEST, None, "relink.refused.monitor"),
    Row("release.hold", (G,), C, "release.hold"),
    Row("release.hold", (C, *ENDS), None, "release.hold"),
    Row("release.conflict", (X,), None, "release.conflict"),
    Row("release.refused.outstanding", (X,), None, "release.refused.outstanding"),
    Row("release.refused.nothing_held", NEWEST, None, "release.refused.nothing_held"),
    Row("release.refused.monitor", NEWEST, None, "release.refused.monitor"),
    Row("stop", ALIVE, Z, "stop.closed"),
    Row("stop", ENDS, None, "stop.ended"),
    # Start and stop of the service that runs the controllers of its holder.
    Row("service.other_holder", NEWEST, None, "service.other_holder"),
    Row("service_started", (O,), G, "service.started.retry"),
    Row("service_started", (C,), None, "service.started.connecting"),
    Row("service_started", (G,), None, "service.started.gap"),
    Row("service_started", ENDS, None, "service.started.ended"),
    Row("service_started.gave_up", (O,), Z, "service.started.gave_up"),
    Row("service_stopped", ALIVE, G, "service.stopped"),
    Row("service_stopped", ENDS, None, "service.stopped.ended"),
    # Replies. They move no state; the rule says what became of the one that is named.
    Row("reply.sending", NEWEST, None, "reply.sending"),
    Row("reply.held", NEWEST, None, "reply.held"),
    Row("reply.refused", NEWEST, None, "reply.refused"),
    Row("reply.repeated", NEWEST, None, "reply.repeated"),
    Row("reply.sent", NEWEST, None, "reply.sent"),
    Row("reply.resend", NEWEST, None, "reply.resend"),
    Row("reply.uncertain", NEWEST, None, "reply.uncertain"),
    Row("reply.rejected", NEWEST, None, "reply.rejected"),
    Row("reply.expired", NEWEST, None, "reply.expired"),
    Row("reply.answered_late", NEWEST, None, "reply.answered_late"),
    Row("reply.cancelled", NEWEST, None, "reply.cancelled"),
    Row("reply.cancel_ignored", NEWEST, None, "reply.cancel_ignored"),
    Row("reply.resend_due", NEWEST, None, "reply.resend_due"),
    # What is kept of the log: no connection and no reply is touched.
    Row("subject_erased", ANY, None, "subject_erased"),
    Row("archived", ANY, None, "archived"),
)

UNCLAIMED = "unclaimed"
"""The rule for what is observed of an account that nobody has claimed."""
