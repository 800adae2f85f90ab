"""Stimuli: what can be observed of a connection. Typed, frozen, complete, in the past tense.

Decimals stand as text, because a record holds no floats. `parsing` reads them from plain data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Seconds = int | str
"""A span in seconds; a decimal fraction is text ("0.5")."""

Code = int | str | None

Token = Annotated[str, msgspec.Meta(pattern=r"\A(idn|chat)_[0-9a-f]{1,64}\Z")]
"""What stands in a record for a personal value of the vault."""

Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Ordinal = Annotated[int, msgspec.Meta(ge=1, le=2**62)]
TimerName = Literal[
    "retry", "hold", "connect_deadline", "pairing", "stability", "handover", "silence",
    "gap_notice", "send_deadline", "resend", "reply_deadline",
]  # fmt: skip


class Stimulus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    tag_field="stimulus",
):
    """What all stimuli carry. `at` is UTC in nanoseconds; `jitter` is in millionths of a delay.

    One that was seen again and again and changed nothing stands once: seen `times` times from `at`
    to `last_at`. No decision looks at these two.
    """

    at: int = 0
    controller: str | None = None
    socket: int | None = None
    source: str = "gateway"
    detail: str | None = None
    jitter: int = 0
    times: int = 1
    last_at: int | None = None


class Claimed(Stimulus, frozen=True, kw_only=True, tag="claimed"):
    """A runtime owner took the account: its epoch is the next."""

    holder: str
    reason: str = "start"
    policy: dict[str, Any] = {}


class SocketClosed(Stimulus, frozen=True, kw_only=True, tag="socket_closed"):
    """A socket is confirmed closed."""


class LeaseLapsed(Stimulus, frozen=True, kw_only=True, tag="lease_lapsed"):
    """The lease of a holder lapsed: it may be dead."""

    holder: str


class Opened(Stimulus, frozen=True, kw_only=True, tag="opened"):
    """A socket is open and logged in."""


class Closed(Stimulus, frozen=True, kw_only=True, tag="closed"):
    """A socket closed."""

    code: Code = None
    tag: str | None = None


class DialFailed(Stimulus, frozen=True, kw_only=True, tag="dial_failed"):
    """A dial failed before it opened."""

    code: Code = None
    tag: str | None = None


class Replaced(Stimulus, frozen=True, kw_only=True, tag="replaced"):
    """Another session took this one's place."""


class LoggedOut(Stimulus, frozen=True, kw_only=True, tag="logged_out"):
    """The server said that the device is logged out."""

    reason: Code = None
    on_connect: bool = False


class Banned(Stimulus, frozen=True, kw_only=True, tag="banned"):
    """A temporary ban."""

    code: Code = None
    expires_s: Seconds | None = None


class Outdated(Stimulus, frozen=True, kw_only=True, tag="outdated"):
    """The client's version is too old."""


class StreamError(Stimulus, frozen=True, kw_only=True, tag="stream_error"):
    """The stream ended with an error."""

    code: Code = None
    tag: str | None = None


class KeepaliveTimeout(Stimulus, frozen=True, kw_only=True, tag="keepalive_timeout"):
    """A keepalive was not answered."""

    count: int = 1


class KeepaliveRestored(Stimulus, frozen=True, kw_only=True, tag="keepalive_restored"):
    """Keepalives are answered again."""


class Activity(Stimulus, frozen=True, kw_only=True, tag="activity"):
    """A sign of life."""

    evidence: Literal["frame", "inbound", "ack", "probe"] = "frame"


class Silence(Stimulus, frozen=True, kw_only=True, tag="silence"):
    """Nothing was heard for so many seconds."""

    kind: Literal["transport", "app"]
    seconds: Seconds


class PairingStarted(Stimulus, frozen=True, kw_only=True, tag="pairing_started"):
    """A code to pair with is shown."""


class Paired(Stimulus, frozen=True, kw_only=True, tag="paired"):
    """The phone accepted the pairing."""


class PairingFailed(Stimulus, frozen=True, kw_only=True, tag="pairing_failed"):
    """The pairing ended without success."""

    reason: str | None = None


class CredentialsSaved(Stimulus, frozen=True, kw_only=True, tag="credentials_saved"):
    """The credentials of the pairing are on disk."""


class SessionPurged(Stimulus, frozen=True, kw_only=True, tag="session_purged"):
    """The session was deleted."""


class WorkerDied(Stimulus, frozen=True, kw_only=True, tag="worker_died"):
    """The process that held the sockets of a controller ended."""

    signal: int | None = None
    exit_code: int | None = None


class ServiceStarted(Stimulus, frozen=True, kw_only=True, tag="service_started"):
    """The service of a holder started, after a stop or a crash."""

    holder: str
    policy: dict[str, Any] = {}


class ServiceStopped(Stimulus, frozen=True, kw_only=True, tag="service_stopped"):
    """The service of a holder stops."""

    holder: str


class TimerFired(Stimulus, frozen=True, kw_only=True, tag="timer_fired"):
    """A timer that an outcome set came due."""

    timer: TimerName
    reply: str | None = None


class RestartRequested(Stimulus, frozen=True, kw_only=True, tag="restart_requested"):
    """Somebody wants the connection restarted."""

    by: Literal["monitor", "operator"]
    reason: str | None = None


class StopRequested(Stimulus, frozen=True, kw_only=True, tag="stop_requested"):
    """Somebody wants the account stopped."""

    by: Literal["monitor", "operator"] = "operator"
    reason: str | None = None


class ReleaseRequested(Stimulus, frozen=True, kw_only=True, tag="release_requested"):
    """Somebody wants a hold or a conflict lifted."""

    by: Literal["monitor", "operator"] = "operator"
    reason: str | None = None


class RelinkRequested(Stimulus, frozen=True, kw_only=True, tag="relink_requested"):
    """Somebody wants to begin again after an end."""

    by: Literal["monitor", "operator"] = "operator"
    reason: str | None = None


class IdentityObserved(Stimulus, frozen=True, kw_only=True, tag="identity_observed"):
    """The library said who is logged in; `forms` are tokens of the vault in a record."""

    forms: dict[str, str]


class IdentityLinked(Stimulus, frozen=True, kw_only=True, tag="identity_linked"):
    """The library's map says which LID belongs to which phone number."""

    pn: str
    lid: str


class ReplySubmitted(Stimulus, frozen=True, kw_only=True, tag="reply_submitted"):
    """The gateway wants a message sent. `earlier` is the version of a first submission, if any."""

    reply: str
    chat: str
    captured_on: str | None = None
    deadline_s: Seconds | None = None
    held_elsewhere: int = 0
    earlier: int | None = None


class SendAcked(Stimulus, frozen=True, kw_only=True, tag="send_acked"):
    """The server acknowledged a send."""

    reply: str
    message_id: str | None = None


class SendFailed(Stimulus, frozen=True, kw_only=True, tag="send_failed"):
    """A send failed: provably not sent, of unknown result, or rejected by the server."""

    reply: str
    kind: Literal["not_sent", "unknown", "rejected"]


class ReplyCancelled(Stimulus, frozen=True, kw_only=True, tag="reply_cancelled"):
    """The gateway no longer wants a reply sent."""

    reply: str


class SubjectErased(Stimulus, frozen=True, kw_only=True, tag="subject_erased"):
    """The values behind these tokens were erased from the vault, with this very record."""

    tokens: Annotated[list[Token], msgspec.Meta(min_length=1, max_length=1_000)]


class Archived(Stimulus, frozen=True, kw_only=True, tag="archived"):
    """The account's versions `first` to `last` were moved into a bundle.

    `bundle` is the hash of its file, `chain` the link after `last`, `position` that of `last`.
    """

    first: Ordinal
    last: Ordinal
    position: Ordinal
    chain: Sha256
    bundle: Sha256


KINDS: dict[str, type[Stimulus]] = {
    str(kind.__struct_config__.tag): kind for kind in Stimulus.__subclasses__()
}
"""Every stimulus by its name."""

CLOSES = (Closed, DialFailed, StreamError, WorkerDied, Replaced, LoggedOut, Banned, Outdated)
"""The stimuli by which a connection closes on the wire."""


def name_of(stimulus: Stimulus) -> str:
    """The stimulus's name as it stands in a record."""
    return str(stimulus.__struct_config__.tag)
