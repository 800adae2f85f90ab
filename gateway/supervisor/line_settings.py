"""How one account is connected, and what is said of settings that are not understood.

Settings hold phone numbers and the credentials of proxies, so no repr and no error shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, Literal, get_args

import msgspec

from ...statemachine.errors import InputError, shown
from ...statemachine.identity import normalise
from ...statemachine.policy import policy_of
from ..redaction import redact
from .session import Session

Pairing = Literal["qr", "code"]

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_PROXY = re.compile(
    r"(?:https?|socks5)://"
    r"(?:(?:[A-Za-z0-9._:~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*@)?"
    r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?/?"
)


class SettingsError(InputError):
    """The settings are not understood."""


@contextmanager
def at(place: str) -> Iterator[None]:
    """Say of an error where it stands; a value is never repeated."""
    try:
        yield
    except InputError as error:
        raise SettingsError(f"{place}: {error.message}", hint=error.hint) from None
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{place}: {shown(str(error))}", hint="see docs/operating.md for what each key takes"
        ) from None


def check_keys(given: Iterable[str], known: Sequence[str], place: str, prefix: str = "") -> None:
    """Refuse a key that isn't known, and name one that is like it; all may have a prefix."""
    for key in given:
        if key not in known:
            near = get_close_matches(key, known, 1)
            names = ", ".join(prefix + name for name in known)
            raise SettingsError(
                f"{place}: unknown is {redact(prefix + key, 60)}",
                hint=f"did you mean {prefix}{near[0]}?" if near else f"known are {names}",
            )


def check_phone(number: str) -> None:
    """Refuse what is no E.164 number; the error doesn't repeat it."""
    if _PHONE.fullmatch(number) is None:
        raise SettingsError(
            "pair_phone is no international phone number",
            hint="+ and the country's code first, then digits only",
        )


def check_proxy(address: str) -> None:
    """Refuse what the library can't use as a proxy; the error doesn't repeat it."""
    found = _PROXY.fullmatch(address)
    if found is None or not 0 < int(found["port"] or 1) < 65_536:
        raise SettingsError(
            "proxy is no address of a proxy",
            hint="http, https or socks5, such as socks5://user:password@host:1080; "
            "other letters than A-Z a-z 0-9 in a password percent-encoded",
        )


class LineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one account is connected: checked wherever it is made, `InputError` names the field."""

    session: str
    pairing: Pairing = "qr"
    pair_phone: str | None = None
    proxy: str | None = None
    allow: tuple[str, ...] | None = None
    bot: str | None = None
    policy: dict[str, Any] = {}

    def __post_init__(self) -> None:
        with at("session"):
            Session(self.session)
        if self.pairing not in get_args(Pairing):
            raise SettingsError("pairing is neither qr nor code", hint='pairing = "qr"')
        if self.pair_phone is not None:
            check_phone(self.pair_phone)
        if self.proxy is not None:
            check_proxy(self.proxy)
        for number, form in enumerate(self.allow or (), 1):
            with at(f"allow, entry {number}"):
                if not normalise({"e164": form}):
                    raise InputError("an entry is empty", hint="leave it out")
        policy_of(self.policy)

    def __repr__(self) -> str:
        return f"LineSettings(pairing={self.pairing!r})"
