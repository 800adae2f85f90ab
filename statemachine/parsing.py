"""Stimuli from plain data: the one door for what comes from outside.

An error names the field that is wrong and says what would be right, and shows no value that could
be personal.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .errors import InputError, shown
from .policy import SPAN_S_MAX, overrides_of, policy_of
from .stimuli import (
    KINDS,
    Archived,
    IdentityLinked,
    LeaseLapsed,
    ReleaseRequested,
    RelinkRequested,
    ReplyCancelled,
    ReplySubmitted,
    RestartRequested,
    Seconds,
    SendAcked,
    SendFailed,
    ServiceStarted,
    ServiceStopped,
    Stimulus,
    StopRequested,
    SubjectErased,
    name_of,
)  # fmt: skip

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SOURCE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_PHONE = re.compile(r"\+?\d{7,15}")


class StimulusError(InputError):
    """The stimulus is not understood."""


_COUNT_MAX = 2**31 - 1
_BOUNDS = {
    "at": (0, 2**62),
    "last_at": (0, 2**62),
    "times": (1, _COUNT_MAX),
    "socket": (1, _COUNT_MAX),
    "count": (1, _COUNT_MAX),
    "earlier": (1, 2**62),
    "held_elsewhere": (0, _COUNT_MAX),
    "jitter": (0, 1_000_000),
    "code": (-99_999, 999_999),
    "reason": (-99_999, 999_999),
    "signal": (-_COUNT_MAX, _COUNT_MAX),
    "exit_code": (-_COUNT_MAX, _COUNT_MAX),
}
"""What whole numbers may be: a longer code would be no code but, perhaps, a phone number."""

_NEEDS_NO_CONTROLLER = (
    ServiceStarted, ServiceStopped, RestartRequested, StopRequested, ReleaseRequested,
    RelinkRequested, IdentityLinked, ReplySubmitted, SendAcked, SendFailed, ReplyCancelled,
    LeaseLapsed, SubjectErased, Archived,
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
        raise StimulusError(
            f"{name}: {shown(str(error))}", hint=f"its fields are {known}"
        ) from None
    check(stimulus)
    return stimulus


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
    for field, (least, most) in _BOUNDS.items():
        value = getattr(stimulus, field, None)
        if isinstance(value, int) and not least <= value <= most:
            raise StimulusError(
                f"{field} must be from {least} to {most}", hint="leave it out where it is not known"
            )


def check_name(field: str, value: str) -> None:
    """Refuse a name that is no plain word or looks like a phone number: names stand in the log."""
    plain: object = value
    if not isinstance(plain, str) or not NAME.fullmatch(plain):
        raise StimulusError(
            f"{field} has characters that are not allowed or is too long",
            hint="letters, digits and . _ : - after a letter or digit, at most 128",
        )
    if _PHONE.fullmatch(value):
        raise StimulusError(
            f"{field} looks like a phone number",
            hint="names stand in logs: choose one that identifies nobody",
        )


def is_name(value: Any) -> bool:
    """Whether a value may stand in the log as a name."""
    return isinstance(value, str) and bool(NAME.fullmatch(value)) and not _PHONE.fullmatch(value)


def _plain(field: str, value: Any) -> Any:
    if isinstance(value, str) and not _is_whole(value):
        raise StimulusError(f"{field} holds half a character", hint="give text that is Unicode")
    if field == "policy" and isinstance(value, dict):
        return overrides_of(policy_of(value))
    if field == "code" and isinstance(value, str):
        bare = value.strip()
        return int(bare) if bare.isascii() and bare.isdigit() and len(bare) <= 6 else value[:64]
    if field == "code" and value is not None and type(value) is not int:
        raise StimulusError(
            "code is neither a number nor text", hint='write 440, "440" or a name such as ENOTFOUND'
        )
    if field in _NUMERIC_TEXT and value is not None:
        return _seconds(field, value)
    return value


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _seconds(field: str, value: Any) -> Seconds:
    number = value
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = -1.0
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or not 0 <= number <= SPAN_S_MAX
    ):
        raise StimulusError(
            f"{field} is no number of seconds", hint=f"a number from 0 to {SPAN_S_MAX} (ten years)"
        )
    return int(number) if number == int(number) else str(value)


def _shown(value: Any) -> str:
    """A wrong name as it may be shown: short, and nothing that could be personal."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]{1,40}", value)
    return repr(value) if plain else "(not a plain name)"
