"""What neonize says, as stimuli: its events, how a dial of it failed, and what became of a send.

Everything here is a plain function of what the library gave, measured of neonize 0.5.2, and knows
neither a client nor the library: an event is read by the name of its protobuf class.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...statemachine.errors import LinewardenError
from ...statemachine.identity import Identity, IdentityError, normalise, overlap
from ..driver import NotSent, SendRejected
from ..redaction import redact

Told = tuple[str, dict[str, Any]]
"""A stimulus by its name, and its fields."""

_FAILURES = {1: 400, 2: 401, 3: 402, 4: 403, 5: 406, 6: 405, 7: 409, 8: 500, 9: 501, 10: 503}
"""neonize's numbering of failures, and the codes of the wire that it stands for."""
_BANS = {1: 101, 2: 102, 3: 103, 4: 104, 5: 106}
_PAIRED = 2
_EXPIRES_MAX_S = 10**9
_COUNT_MAX = 10**6


def _logged_out(event: Any) -> list[Told]:
    reason = _FAILURES.get(event.Reason)
    return [("logged_out", {"reason": reason, "on_connect": bool(event.OnConnect)})]


def _banned(event: Any) -> list[Told]:
    # Nothing, and nothing sensible, means that the end of the ban is not known.
    lasts = event.Expire if 0 < event.Expire <= _EXPIRES_MAX_S else None
    return [("banned", {"code": _BANS.get(event.Code), "expires_s": lasts})]


def _connect_failure(event: Any) -> list[Told]:
    """A close, and no failed dial: a 515 reconnects without a word, so we may be connected."""
    fields = {"code": _FAILURES.get(event.Reason), "detail": redact(event.Message) or None}
    return [("closed", fields)]


def _pair_status(event: Any) -> list[Told]:
    """The credentials are saved before the library tells, and a 401 deletes them: no window.

    The pairing window forgives a 401 until the credentials are on disk. whatsmeow writes them
    before this event and deletes them with any 401, after which there is nothing to retry with.
    """
    if event.Status == _PAIRED:
        return [("paired", {}), ("credentials_saved", {})]
    return [("pairing_failed", {"reason": "error", "detail": redact(event.Error) or None})]


def _missed(event: Any) -> list[Told]:
    return [("keepalive_timeout", {"count": min(max(1, event.ErrorCount), _COUNT_MAX)})]


def _stream_error(event: Any) -> list[Told]:
    return [("stream_error", {"code": event.Code.strip() or None})]


LIFECYCLE: dict[str, Callable[[Any], list[Told]]] = {
    "QR": lambda _: [("pairing_started", {})],
    "PairStatus": _pair_status,
    "Connected": lambda _: [("opened", {})],
    "KeepAliveTimeout": _missed,
    "KeepAliveRestored": lambda _: [("keepalive_restored", {})],
    "LoggedOut": _logged_out,
    "StreamReplaced": lambda _: [("replaced", {})],
    "TemporaryBan": _banned,
    "ConnectFailure": _connect_failure,
    "ClientOutdated": lambda _: [("outdated", {})],
    "StreamError": _stream_error,
    "Disconnected": lambda _: [("closed", {})],
}
"""The events of a connection's life; the payload of a QR event is not even looked at."""

EVIDENCE = {
    "Message": "inbound",
    "UndecryptableMessage": "inbound",
    "Receipt": "ack",
    "OfflineSyncPreview": "frame",
    "OfflineSyncCompleted": "frame",
}
"""Events that prove the connection alive, and what kind of proof they are."""

CLOSING = frozenset({
    "Disconnected", "StreamError", "StreamReplaced", "LoggedOut", "TemporaryBan", "ConnectFailure",
    "ClientOutdated",
})  # fmt: skip
"""Events after which no socket is logged in."""

UNRETRIED = CLOSING - {"Disconnected"}
"""… and those of them after which the library doesn't redial by itself."""


def login_status(text: str) -> Told | None:
    """What the library's private login callback says; failures of pairing are told nowhere else."""
    if text == "err-client-outdated":
        return "outdated", {}
    if text in {"timeout", "error"}:
        return "pairing_failed", {"reason": text}
    return None


# Dials

_UNMAPPED = re.compile(r"proto: required field \S+ not set")
_WRAPPING = re.compile(r"\A(?:failed to [^:\n]+: )+(?:Get \"[^\"]*\": )?")
_HANDSHAKE = re.compile(r"expected handshake response status code \d+ but got (\d{3})\b")
_DIALS = (
    ("ENOTFOUND", r"no such host|name or service not known|server misbehaving|name resolution"),
    ("ECONNREFUSED", r"connection refused"),
    ("ECONNRESET", r"connection reset|broken pipe"),
    (
        "ENETUNREACH",
        r"network is (?:unreachable|down)|no route to host|host is (?:unreachable|down)",
    ),
    ("ETIMEDOUT", r"deadline exceeded|timed out|timeout"),
    ("TLS", r"\btls: |x509: |certificate"),
    ("PROXY", r"prox(?:y|ies)|socks"),
    ("EOF", r"\bEOF\b"),
)


def dial_failure(error: BaseException, *, opened: bool) -> Told:
    """Why `connect()` raised; `opened` says that it did so after it had been connected.

    An HTTP status that answers the websocket's dial comes from whoever answers on the way: it is
    no code of WhatsApp, whose 401 or 403 would end the session, so it is spelt `HTTP_403`.
    """
    text = str(error)
    # Go puts the outermost words first, and the cause last.
    detail = redact(_WRAPPING.sub("", text)) or None
    if is_unmapped(error):
        # The server sent a failure that the library can't express; its event pump is dead.
        return "closed", {"code": "UNMAPPED", "detail": detail}
    if opened:
        return "closed", {"detail": detail}
    return "dial_failed", {"code": _dial_code(text), "detail": detail}


def is_unmapped(error: BaseException) -> bool:
    """Whether the library failed to express a failure: its event pump is dead for good."""
    return _UNMAPPED.search(str(error)) is not None


def _dial_code(text: str) -> str:
    answered = _HANDSHAKE.search(text)
    if answered is not None:
        return f"HTTP_{answered[1]}"
    for code, pattern in _DIALS:
        if re.search(pattern, text, re.IGNORECASE):
            return code
    return "UNKNOWN"


# Sends

_NOT_SENT = re.compile(
    r"client is nil"
    r"|the store doesn't contain a device JID"
    r"|message recipient must be a user JID with no device part"
    # The library asks who the recipient's devices are before it writes anything.
    r"|failed to get (?:user info|device list|group members)\b.*"
    r"|no LID found for .* from server",
    re.DOTALL,
)
_REJECTED = re.compile(r"server returned error\b")


class SendUncertain(LinewardenError):
    """It is not known whether the message left."""


def send_failure(error: Exception) -> Exception:
    """What an exception of `send_message` proves: `NotSent`, `SendRejected` or `SendUncertain`.

    Only texts that were measured, or whose place in the library is before the first byte, prove
    that nothing left; whatever else it is, the server may have the message.
    """
    if isinstance(error, NotSent | SendRejected | SendUncertain):
        return error
    text = str(error)
    if _NOT_SENT.match(text):
        return NotSent(redact(text))
    if _REJECTED.match(text):
        return SendRejected(redact(text))
    return SendUncertain(redact(text))


# Identity


def forms_of(device: Any) -> dict[str, str]:
    """The forms of a neonize `Device`, empty where it doesn't know who it is."""
    forms = {}
    for name, jid in (("pn", device.JID), ("lid", device.LID)):
        if jid.User:
            forms[name] = f"{jid.User}@{jid.Server}"
    try:
        return forms if normalise(forms) else {}
    except IdentityError:
        return {}


def is_same(own: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether a client that is `own` may write what must leave as `wanted`."""
    mine, theirs = normalise(own), normalise(wanted)
    return overlap(
        Identity(mine.get("pn"), mine.get("lid")),
        Identity(theirs.get("pn"), theirs.get("lid")),
        None,
    )
