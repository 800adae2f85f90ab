"""Classes of closing: the same number can mean different things in different libraries.

The two columns are the design's, §3.2. `whatsmeow` has its own; every other source speaks as
Baileys does. A tag says more than a code: `replaced` and `device_removed` mean the same everywhere.
"""

from __future__ import annotations

import enum

from .stimuli import (
    Banned,
    Closed,
    DialFailed,
    LoggedOut,
    Outdated,
    Replaced,
    Stimulus,
    StreamError,
    WorkerDied,
)


class CloseClass(enum.Enum):
    """The classes of closing, in rising severity."""

    TRANSIENT = "transient"
    RESTART = "restart"
    UNKNOWN = "unknown"
    BANNED = "banned"
    OUTDATED = "outdated"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"
    REPLACED = "replaced"
    LOGGED_OUT = "logged_out"

    __hash__ = object.__hash__  # as for `State`: an enum hashes its name in Python code

    @property
    def severity(self) -> int:
        """Its place in the order of severity, from 0."""
        return _SEVERITY[self]


_SEVERITY = {kind: place for place, kind in enumerate(CloseClass)}

ENDING = frozenset(
    {CloseClass.REJECTED, CloseClass.FORBIDDEN, CloseClass.REPLACED, CloseClass.LOGGED_OUT}
)
"""The classes that end a controller whatever the policy."""

_T, _R = CloseClass.TRANSIENT, CloseClass.RESTART
_EVERYWHERE = {408: _T, 428: _T, 499: _T, 503: _T, 440: CloseClass.REPLACED}
_WHATSMEOW = _EVERYWHERE | {
    500: _T,
    515: _R,
    402: CloseClass.BANNED,
    405: CloseClass.OUTDATED,
    400: CloseClass.REJECTED,
    409: CloseClass.REJECTED,
    415: CloseClass.REJECTED,
    418: CloseClass.REJECTED,
    501: CloseClass.REJECTED,
    401: CloseClass.LOGGED_OUT,
    403: CloseClass.LOGGED_OUT,
    406: CloseClass.LOGGED_OUT,
}
_BAILEYS = _EVERYWHERE | {
    429: _T,
    500: _T,
    502: _T,
    504: _T,
    515: _R,
    410: _R,
    402: CloseClass.BANNED,
    405: CloseClass.OUTDATED,
    411: CloseClass.REJECTED,
    403: CloseClass.FORBIDDEN,
    401: CloseClass.LOGGED_OUT,
}
_TAGS = {"replaced": CloseClass.REPLACED, "device_removed": CloseClass.LOGGED_OUT}
_NAMED: dict[type[Stimulus], CloseClass] = {
    Replaced: CloseClass.REPLACED,
    LoggedOut: CloseClass.LOGGED_OUT,
    Banned: CloseClass.BANNED,
    Outdated: CloseClass.OUTDATED,
    WorkerDied: CloseClass.TRANSIENT,
}
_NOT_401 = ("403", "406", "main_device_gone", "unknown_logout", "device_removed")
"""Reasons of a logout on connect that are not a 401: whatsmeow's own names and codes."""


def classify(stimulus: Stimulus) -> CloseClass:
    """The class of a close by its source, code and tag."""
    named = _NAMED.get(type(stimulus))
    if named is not None:
        return named
    assert isinstance(stimulus, Closed | DialFailed | StreamError)
    tagged = _TAGS.get(stimulus.tag) if stimulus.tag else None
    if tagged is not None:
        return tagged
    code, whatsmeow = stimulus.code, stimulus.source == "whatsmeow"
    if code is None:
        unknown = whatsmeow and isinstance(stimulus, StreamError)
        return CloseClass.UNKNOWN if unknown else CloseClass.TRANSIENT
    if isinstance(code, str):
        # ENOTFOUND, a TLS alert, a time-out: a dial that failed below WhatsApp.
        return _T if isinstance(stimulus, DialFailed) else CloseClass.UNKNOWN
    if whatsmeow and code == 401 and isinstance(stimulus, StreamError):
        return CloseClass.UNKNOWN
    return (_WHATSMEOW if whatsmeow else _BAILEYS).get(code, CloseClass.UNKNOWN)


def is_pairing_401(stimulus: Stimulus) -> bool:
    """Whether the close is a 401 of the kind that the pairing window forgives."""
    if isinstance(stimulus, LoggedOut):
        reason = str(stimulus.reason or "").lower()
        return stimulus.on_connect and not any(word in reason for word in _NOT_401)
    if isinstance(stimulus, Closed | DialFailed | StreamError):
        return stimulus.code == 401 and stimulus.tag not in _TAGS
    return False
