"""One sentence for every rule of the machine, so that a record can be read by people.

A sentence says what was decided and why, in the words of the design. The numbers of a single case
(codes, seconds, names) stand in its record and are shown beside the sentence.
"""

from __future__ import annotations

from collections.abc import Collection

_LATE = "It came from a superseded controller, so nothing of the newest one changed"

EXPLANATIONS: dict[str, str] = {
    # Ownership.
    "claim.first": "A controller claimed the account for the first time.",
    "claim.supersedes": "A newer controller claimed the account and superseded the one before.",
    "claim.after_end": "A new controller claimed the account after the one before had ended.",
    "claim.reused": "The claim was ignored: the name of a controller serves one claim only.",
    "socket_closed.confirmed": "A socket is confirmed closed, which changed no state.",
    "lease_lapsed": "The lease of a holder lapsed, so another host may claim the account.",
    "late": f"{_LATE}.",
    "late.close": f"{_LATE}; its socket is known to be over.",
    "late.replaced": "The superseded controller was replaced, which the newer claim explains.",
    "late.opened": "A superseded controller opened a socket, which is closed again.",
    "unclaimed": "Nobody had claimed the account, so nothing could be decided.",
    # Closes.
    "close.late": "The close is of an older socket or dial, so nothing changed.",
    "close.echo": "The close repeats one that was decided already, so nothing changed.",
    "close.transient.retry": "The connection was lost for a passing reason and is dialed again.",
    "close.unknown.retry": "The connection closed for an unknown reason and is dialed again.",
    "close.replaced.own_doing": "An older socket of our own took the session, so we dial again.",
    "close.restart.retry": "The server asked for a restart, so we dial again at once.",
    "close.banned.hold": "The server banned the line for a time, so no dial goes out until then.",
    "close.outdated.hold": "The client is outdated, so no dial goes out until the hold ends.",
    "close.gave_up": "The connection closed once more and the policy gave it up.",
    "close.rejected": "The server rejected the login, so the controller is closed.",
    "close.forbidden": "The server forbade the line, so the controller is closed.",
    "close.replaced.conflict": "Somebody we don't know took the session: an operator must decide.",
    "close.logged_out": "The device was logged out: it must be linked anew.",
    "close.ignored.waiting": "The close was ignored, because the controller has not dialed yet.",
    "close.ignored.gap": "The close was ignored, because the connection is down already.",
    "close.ignored.ended": "The close was ignored, because the controller has ended already.",
    # A more severe word about the same close.
    "close.upgrade.transient": "The same close is passing after all, and is dialed again.",
    "close.upgrade.unknown": "The same close has an unknown reason after all, and is dialed again.",
    "close.upgrade.own_doing": "The same close was our own doing after all, so we dial again.",
    "close.upgrade.restart": "The same close was a restart after all, so we dial again at once.",
    "close.upgrade.banned": "The same close was a ban after all, so no dial goes out in it.",
    "close.upgrade.outdated": "The same close was for an outdated client, so dialing is on hold.",
    "close.upgrade.gave_up": "The same close was worse than first told, and was given up.",
    "close.upgrade.rejected": "The same close was a rejection after all: the controller is closed.",
    "close.upgrade.forbidden": "The same close forbade the line after all: it is closed.",
    "close.upgrade.conflict": "The same close was a takeover by somebody we don't know.",
    "close.upgrade.logged_out": "The same close was a logout after all: link the device anew.",
    # Openings.
    "opened.connected": "The dial opened: the controller is connected.",
    "opened.reconnected": "The library reconnected by itself: the controller is connected.",
    "opened.again": "The opening repeats one that is known, so nothing changed.",
    "opened.after_end": "A socket opened after the controller had ended, and is closed again.",
    "opened.new_socket": "A new socket opened unseen, so there was a gap of unknown length.",
    "opened.stale": "The opening is of a socket that is closed already, so nothing changed.",
    # Liveness.
    "activity.proof": "A sign of life proves the connection.",
    "activity.unopened": "A sign of life came while nothing was open, so it proves nothing.",
    "keepalive.degraded": "A keepalive was missed: the connection is degraded, not lost.",
    "keepalive.restored": "Keepalives are answered again, which proves the connection.",
    "keepalive.unopened": "Word of a keepalive came while nothing was open, so nothing changed.",
    "silence.close": "Nothing was heard for too long, so the socket is closed and dialed again.",
    "silence.gave_up": "Nothing was heard for too long, and the policy gave the line up.",
    "silence.evidence": "The silence is noted as evidence; it is no reason to close.",
    "silence.unopened": "Silence was told of while nothing was open, so nothing changed.",
    # Pairing.
    "pairing.started": "A code to pair with is shown.",
    "pairing.paired": "The phone accepted the pairing.",
    "pairing.window": "The phone accepted the pairing; for a while a 401 is no logout.",
    "pairing.ignored": "Word of a pairing came when none could be under way, so nothing changed.",
    "pairing.failed": "Nobody paired in time, or the phone refused: the controller is closed.",
    "pairing.retry": "Nobody paired, and the policy asks for the next code.",
    "pairing.gave_up": "Nobody paired, and the policy gave the line up.",
    "pairing.credentials_saved": "The credentials are saved: from here on a 401 is a logout.",
    "session.purged": "The session of the logged-out controller was deleted.",
    "session.purge_unasked": "A session was deleted that nobody had asked to delete.",
    # Identity.
    "identity.proven": "The library said who is logged in: the controller is live.",
    "identity.unopened": "Who is logged in was told while nothing was open, so it proves nothing.",
    "identity.empty": "The identity that was told is empty, so it proves nothing.",
    "identity.linked": "The library's map ties a phone number to a LID.",
    # Timers.
    "timer.stale": "The timer had been cancelled or replaced, so nothing changed.",
    "retry.dial": "The wait for the retry is over: dial.",
    "retry.waits": "The wait for the retry is over, but something else is still waited for.",
    "hold.dial": "The hold is over: dial.",
    "hold.waits": "The hold is over, but something else is still waited for.",
    "handover.dial": "The older sockets had time enough to close: dial.",
    "handover.waits": "The older sockets had time enough, but something else is waited for.",
    "connect_deadline.retry": "The dial neither opened nor failed in time, and is dialed again.",
    "connect_deadline.gave_up": "The dial did not open in time, and the policy gave it up.",
    "stability.reset": "The connection has lasted: the attempts count from 0 again.",
    "gap_notice.told": "The gap has lasted so long that the operator is told.",
    # Requests.
    "restart.granted": "The restart was granted: the socket closes and a successor is asked for.",
    "restart.refused.superseded": "The restart was refused: it names a superseded controller.",
    "restart.refused.ended": "The restart was refused: the controller has ended.",
    "restart.refused.outstanding": "The restart was refused: a claim is already asked for.",
    "restart.refused.hold": "The restart was refused: the server asked for patience.",
    "restart.refused.recovering": "The restart was refused: the connection is recovering already.",
    "restart.refused.healthy": "The restart was refused: the connection has shown life lately.",
    "relink.granted": "Beginning again was granted: a successor is asked for.",
    "relink.refused.alive": "Beginning again was refused: the controller has not ended.",
    "relink.refused.outstanding": "Beginning again was refused: a claim is already asked for.",
    "relink.refused.superseded": "Beginning again was refused: it names a superseded controller.",
    "relink.refused.monitor": "Beginning again was refused: only an operator may undo an end.",
    "release.hold": "The operator lifted the hold: dial.",
    "release.conflict": "The operator released the conflict: a successor is asked for.",
    "release.refused.outstanding": "The release was refused: a claim is already asked for.",
    "release.refused.nothing_held": "The release was refused: nothing is held.",
    "release.refused.monitor": "The release was refused: only an operator may lift a hold.",
    "stop.closed": "The account was stopped on purpose.",
    "stop.ended": "The stop changed nothing, because the controller has ended already.",
    # Start and stop of the service.
    "service.other_holder": "The service of another holder started or stopped.",
    "service.started.retry": "The service started after its connection was lost, and dials again.",
    "service.started.connecting": "The service started and takes up the dial that was lost.",
    "service.started.gap": "The service started and sets its timers with what remains of them.",
    "service.started.ended": "The service started; the controller had ended before.",
    "service.started.gave_up": "The service started after a loss, and the policy gave the line up.",
    "service.stopped": "The service stopped: sockets are closed and the line rests.",
    "service.stopped.ended": "The service stopped; the controller had ended before.",
    # Replies.
    "reply.sending": "The reply is written through the live controller.",
    "reply.held": "The reply is held until it can be sent.",
    "reply.refused": "The reply was refused.",
    "reply.repeated": "The reply is known already, so it is not sent twice.",
    "reply.sent": "The server acknowledged the reply: it is sent.",
    "reply.resend": "The reply was provably not sent, and is held to be written again.",
    "reply.uncertain": "Nobody can say whether the reply was sent, so it is not written again.",
    "reply.rejected": "The reply was rejected, by the server or before it was written.",
    "reply.expired": "The deadline of the reply passed while it was held.",
    "reply.answered_late": "The answer came after the outcome of the reply: evidence only.",
    "reply.cancelled": "The reply was cancelled before it was sent.",
    "reply.cancel_ignored": "The reply could not be cancelled: it is finished or in flight.",
    "reply.resend_due": "The reply that was not sent is due to be written again.",
    # What is kept of the log.
    "subject_erased": "A person's values were erased from the vault; their tokens stay.",
    "archived": "Older records of the account were moved into a bundle; this one stands for them.",
}
"""A sentence for every rule of the table, and for the two that stand outside it."""

REASONS: dict[str, str] = {
    "no_identity": "no identity was ever proven on the controller that it was captured on",
    "identity_mismatch": "somebody else is logged in than on whom it was captured",
    "overloaded": "too many replies were held already",
    "banned": "its deadline was before the end of a ban",
    "outdated": "its deadline was before the end of the hold for an outdated client",
    "logged_out": "the account was logged out",
    "conflict": "somebody we don't know had taken the session",
    "closed": "the controller was closed",
}
"""Why a reply was refused, by the reason in its outcome."""

OUTCOMES: dict[str, str] = {
    "held": "It is held until a live controller of the same identity can send it.",
    "sending": "It is in flight: no answer has come yet.",
    "sent": "The server acknowledged it.",
    "uncertain": "It may or may not have been sent, and is not written again.",
    "refused": "It was not sent",
    "rejected": "It was rejected, by the server or before it was written.",
    "expired": "Its deadline passed before it could be sent.",
    "cancelled": "It was cancelled before it was sent.",
}
"""What an outcome of a reply says."""


def explain(rule: str) -> str:
    """The sentence for a rule; a rule of a newer version is named as it is."""
    return EXPLANATIONS.get(rule) or f"The rule {rule} is not known to this version."


def explain_reply(outcome: str, reason: str | None, rules: Collection[str]) -> str:
    """What became of a reply, with the reason of a refusal; `rules` are those of its records."""
    said = OUTCOMES.get(outcome, f"Its outcome is {outcome}.")
    if outcome == "expired" and "reply.expired" not in rules:
        return "Its text was in memory, and went with the process or the owner that held it."
    if outcome == "refused":
        return f"{said}: {REASONS.get(reason or '', reason or 'no reason was given')}."
    return said
