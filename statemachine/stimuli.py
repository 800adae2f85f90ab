"""Stimuli: what can be observed of a connection. Typed, frozen, complete, in the past tense.

`parse` is the one door for data from outside: it names the field that is wrong and says what would
be right. Decimals stand as text, because a record holds no floats.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from .errors import InputError

Seconds = int | str
"""A span in seconds; a decimal fraction is text ("0.5")."""

Code = int | str | None
TimerName = Literal[
    "retry", "hold", "connect_deadline", "pairing", "stability", "handover", "silence",
    "gap_notice", "send_deadline", "resend", "reply_deadline",
]  # fmt: skip

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PHONE = re.compile(r"\+?\d{7,15}")


class StimulusError(InputError):
    """The stimulus is not understood."""


class Stimulus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
    tag_field="stimulus",
):
    """What all stimuli carry. `at` is UTC in nanoseconds; `jitter` is in millionths of a delay."""

    at: int = 0
    controller: str | None = None
    socket: int | None = None
    source: str = "gateway"
    detail: str | None = None
    jitter: int = 0


class Claimed(Stimulus, tag="claimed"):
    """A runtime owner took the account: its epoch is the next."""

    holder: str
    reason: str = "start"
    policy: dict[str, Any] = {}


class SocketClosed(Stimulus, tag="socket_closed"):
    """A socket is confirmed closed."""


class LeaseLapsed(Stimulus, tag="lease_lapsed"):
    """The lease of a holder lapsed: it may be dead."""

    holder: str


class Opened(Stimulus, tag="opened"):
    """A socket is open and logged in."""


class Closed(Stimulus, tag="closed"):
    """A socket closed."""

    code: Code = None
    tag: str | None = None


class DialFailed(Stimulus, tag="dial_failed"):
    """A dial failed before it opened."""

    code: Code = None
    tag: str | None = None


class Replaced(Stimulus, tag="replaced"):
    """Another session took this one's place."""


class LoggedOut(Stimulus, tag="logged_out"):
    """The server said that the device is logged out."""

    reason: Code = None
    on_connect: bool = False


class Banned(Stimulus, tag="banned"):
    """A temporary ban."""

    code: Code = None
    expires_s: Seconds | None = None


class Outdated(Stimulus, tag="outdated"):
    """The client's version is too old."""


class StreamError(Stimulus, tag="stream_error"):
    """The stream ended with an error."""

    code: Code = None
    tag: str | None = None


class KeepaliveTimeout(Stimulus, tag="keepalive_timeout"):
    """A keepalive was not answered."""

    count: int = 1


class KeepaliveRestored(Stimulus, tag="keepalive_restored"):
    """Keepalives are answered again."""


class Activity(Stimulus, tag="activity"):
    """A sign of life."""

    evidence: Literal["frame", "inbound", "ack", "probe"] = "frame"


class Silence(Stimulus, tag="silence"):
    """Nothing was heard for so many seconds."""

    kind: Literal["transport", "app"]
    seconds: Seconds


class PairingStarted(Stimulus, tag="pairing_started"):
    """A code to pair with is shown."""


class Paired(Stimulus, tag="paired"):
    """The phone accepted the pairing."""


class PairingFailed(Stimulus, tag="pairing_failed"):
    """The pairing ended without success."""

    reason: str | None = None


class CredentialsSaved(Stimulus, tag="credentials_saved"):
    """The credentials of the pairing are on disk."""


class SessionPurged(Stimulus, tag="session_purged"):
    """The session was deleted."""


class WorkerDied(Stimulus, tag="worker_died"):
    """The process that held the sockets of a controller ended."""

    signal: int | None = None
    exit_code: int | None = None


class ServiceStarted(Stimulus, tag="service_started"):
    """The service of a holder started, after a stop or a crash."""

    holder: str
    policy: dict[str, Any] = {}


class ServiceStopped(Stimulus, tag="service_stopped"):
    """The service of a holder stops."""

    holder: str


class TimerFired(Stimulus, tag="timer_fired"):
    """A timer that an outcome set came due."""

    timer: TimerName
    reply: str | None = None


class RestartRequested(Stimulus, tag="restart_requested"):
    """Somebody wants the connection restarted."""

    by: Literal["monitor", "operator"]
    reason: str | None = None


class StopRequested(Stimulus, tag="stop_requested"):
    """Somebody wants the account stopped."""

    by: Literal["monitor", "operator"] = "operator"
    reason: str | None = None


class ReleaseRequested(Stimulus, tag="release_requested"):
    """Somebody wants a hold or a conflict lifted."""

    by: Literal["monitor", "operator"] = "operator"
    reason: str | None = None


class RelinkRequested(Stimulus, tag="relink_requested"):
    """Somebody wants to begin again after an end."""

    by: Literal["monitor", "operator"] = "operator"
    reason: str | None = None


class IdentityObserved(Stimulus, tag="identity_observed"):
    """The library said who is logged in; `forms` are tokens of the vault in a record."""

    forms: dict[str, str]


class IdentityLinked(Stimulus, tag="identity_linked"):
    """The library's map says which LID belongs to which phone number."""

    pn: str
    lid: str


class ReplySubmitted(Stimulus, tag="reply_submitted"):
    """The gateway wants a message sent. `earlier` is the version of a first submission, if any."""

    reply: str
    chat: str
    captured_on: str | None = None
    deadline_s: Seconds | None = None
    held_elsewhere: int = 0
    earlier: int | None = None


class SendAcked(Stimulus, tag="send_acked"):
    """The server acknowledged a send."""

    reply: str
    message_id: str | None = None


class SendFailed(Stimulus, tag="send_failed"):
    """A send failed: provably not sent, of unknown result, or rejected by the server."""

    reply: str
    kind: Literal["not_sent", "unknown", "rejected"]


class ReplyCancelled(Stimulus, tag="reply_cancelled"):
    """The gateway no longer wants a reply sent."""

    reply: str


KINDS: dict[str, type[Stimulus]] = {
    str(kind.__struct_config__.tag): kind for kind in Stimulus.__subclasses__()
}
"""Every stimulus by its name."""

CLOSES = (Closed, DialFailed, StreamError, WorkerDied, Replaced, LoggedOut, Banned, Outdated)
"""The stimuli by which a connection closes on the wire."""

_NEEDS_NO_CONTROLLER = (
    ServiceStarted, ServiceStopped, RestartRequested, StopRequested, ReleaseRequested,
    RelinkRequested, IdentityLinked, ReplySubmitted, SendAcked, SendFailed, ReplyCancelled,
    LeaseLapsed,
)  # fmt: skip
_NUMERIC_TEXT = ("seconds", "expires_s", "deadline_s")


def parse(fields: dict[str, Any]) -> Stimulus:
    """A stimulus from plain data; raises `StimulusError` naming the field and what to write."""
    name = fields.get("stimulus")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        near = ", ".join(sorted(KINDS))
        raise StimulusError(f"stimulus {_shown(name)} is unknown", hint=f"known are {near}")
    plain = {key: _plain(key, value) for key, value in fields.items()}
    try:
        stimulus = msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        known = ", ".join(field for field in kind.__struct_fields__ if field != "policy")
        raise StimulusError(f"{name}: {error}", hint=f"its fields are {known}") from None
    check(stimulus)
    return stimulus


def name_of(stimulus: Stimulus) -> str:
    """The stimulus's name as it stands in a record."""
    return str(stimulus.__struct_config__.tag)


def check(stimulus: Stimulus) -> None:
    """Refuse names that can't stand in a log, and numbers that mean nothing."""
    if stimulus.controller is None and not isinstance(stimulus, _NEEDS_NO_CONTROLLER):
        raise StimulusError(
            f"{name_of(stimulus)} names no controller",
            hint="say which controller it was observed on",
        )
    for field in ("controller", "holder", "reply", "captured_on", "message_id"):
        value = getattr(stimulus, field, None)
        if value is not None:
            check_name(field, value)
    if not _SOURCE.fullmatch(stimulus.source):
        raise StimulusError(
            "source has characters that are not allowed",
            hint="a lower-case word such as whatsmeow or baileys",
        )
    for field in ("socket", "count", "earlier"):
        value = getattr(stimulus, field, None)
        if value is not None and value < 1:
            raise StimulusError(f"{field} must be at least 1", hint="sockets count from 1")
    if getattr(stimulus, "held_elsewhere", 0) < 0:
        raise StimulusError("held_elsewhere must not be negative", hint="leave it out for none")


def check_name(field: str, value: str) -> None:
    """Refuse a name that is no plain word or looks like a phone number: names stand in the log."""
    if not NAME.fullmatch(value):
        raise StimulusError(
            f"{field} has characters that are not allowed or is too long",
            hint="letters, digits and . _ : - after a letter or digit, at most 128",
        )
    if _PHONE.fullmatch(value):
        raise StimulusError(
            f"{field} looks like a phone number",
            hint="names stand in logs: choose one that identifies nobody",
        )


def _plain(field: str, value: Any) -> Any:
    if field == "code" and isinstance(value, str):
        bare = value.strip()
        return int(bare) if bare.isascii() and bare.isdigit() and len(bare) <= 9 else value[:64]
    if field == "code" and value is not None and type(value) is not int:
        raise StimulusError(
            "code is neither a number nor text", hint='write 440, "440" or a name such as ENOTFOUND'
        )
    if field in _NUMERIC_TEXT and value is not None:
        return _seconds(field, value)
    return value


def _seconds(field: str, value: Any) -> Seconds:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = -1.0
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < 1e10:
        raise StimulusError(f"{field} is no number of seconds", hint="a number from 0 up")
    return int(number) if number == int(number) else str(value)


def _shown(value: Any) -> str:
    """A wrong name as it may be shown: short, and nothing that could be personal."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]{1,40}", value)
    return repr(value) if plain else "(not a plain name)"
