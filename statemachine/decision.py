"""`decide(account, stimulus) -> outcome`: the one door into the machine.

Pure: no clock, no randomness, no I/O. The stimulus brings the time and the dice it needs, the state
brings the policy, and the same two always give the same outcome.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import clockwork, closing, connection, hosting, ownership, replies, requests
from . import stimuli as st
from .account import Account
from .draft import Draft
from .lifecycle import UNCLAIMED
from .machine import Lookup, step
from .outcome import Outcome, Settled

Handler = Callable[[Draft, Any], None]


def _claimed(d: Draft, stimulus: st.Claimed) -> None:
    elsewhere = d.a.holder is not None and d.a.holder != stimulus.holder
    ownership.decide_claimed(d, stimulus)
    if d.a.epoch != d.before.epoch:
        replies.interrupt(d)
        if elsewhere:
            replies.expire_held(d)


def _acked(d: Draft, stimulus: st.SendAcked) -> None:
    replies.decide_acked(d, stimulus)
    connection.note_ack(d, stimulus)


def _lease_lapsed(d: Draft, stimulus: st.LeaseLapsed) -> None:
    d.move("lease_lapsed")


def _keeping(d: Draft, stimulus: st.SubjectErased | st.Archived) -> None:
    """What is kept of the log concerns no connection."""
    d.move(st.name_of(stimulus))


def _plain(decide: Callable[[Draft], None]) -> Handler:
    return lambda d, _stimulus: decide(d)


HANDLERS: dict[type[st.Stimulus], Handler] = {
    st.Claimed: _claimed,
    st.SocketClosed: _plain(connection.decide_socket_closed),
    st.LeaseLapsed: _lease_lapsed,
    st.Opened: _plain(connection.decide_opened),
    **{kind: _plain(closing.decide_close) for kind in st.CLOSES},
    st.KeepaliveTimeout: lambda d, _: connection.decide_keepalive(d, restored=False),
    st.KeepaliveRestored: lambda d, _: connection.decide_keepalive(d, restored=True),
    st.Activity: connection.decide_activity,
    st.Silence: connection.decide_silence,
    st.PairingStarted: _plain(connection.decide_pairing_started),
    st.Paired: _plain(connection.decide_paired),
    st.PairingFailed: _plain(connection.decide_pairing_failed),
    st.CredentialsSaved: _plain(connection.decide_credentials_saved),
    st.SessionPurged: _plain(connection.decide_session_purged),
    st.ServiceStarted: hosting.decide_started,
    st.ServiceStopped: hosting.decide_stopped,
    st.TimerFired: clockwork.decide_timer,
    st.RestartRequested: requests.decide_restart,
    st.StopRequested: requests.decide_stop,
    st.ReleaseRequested: requests.decide_release,
    st.RelinkRequested: requests.decide_relink,
    st.IdentityObserved: connection.decide_identity,
    st.IdentityLinked: connection.decide_linked,
    st.ReplySubmitted: replies.decide_submitted,
    st.SendAcked: _acked,
    st.SendFailed: replies.decide_failed,
    st.ReplyCancelled: replies.decide_cancelled,
    st.SubjectErased: _keeping,
    st.Archived: _keeping,
}
"""What decides on each stimulus."""


def decide(account: Account, stimulus: st.Stimulus, step: Lookup = step) -> tuple[Outcome, Account]:
    """The outcome of a stimulus, and the state after it: that which `evolve` makes of the outcome.

    `step` reads the table: by the machine of `transitions`, or compiled for a fast replay.
    """
    draft = Draft(account, stimulus, step)
    if account.state is None and not isinstance(stimulus, st.Claimed):
        _decide_unclaimed(draft)
    else:
        HANDLERS[type(stimulus)](draft, stimulus)
        replies.settle(draft)
    return draft.finish()


def _decide_unclaimed(d: Draft) -> None:
    """Nobody has claimed the account: nothing is known of it, and no reply can be routed."""
    d.rule = UNCLAIMED
    if isinstance(d.stimulus, st.IdentityLinked):
        connection.remember_link(d, d.stimulus)
    if isinstance(d.stimulus, st.ReplySubmitted) and d.stimulus.earlier is None:
        d.settled[d.stimulus.reply] = Settled("refused", "no_identity")
