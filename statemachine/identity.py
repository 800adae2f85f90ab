"""Who an account is logged in as, and when two such identities are the same person.

The machine never sees a JID: the gateway normalises the forms it observes, swaps each for a token
of the vault, and equal forms have equal tokens. A LID decides where there is one, because numbers
are recycled and LIDs are not; its digits are never a phone number.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import InputError

_LID_SERVERS = frozenset({"lid", "hosted.lid"})
_PHONE_SERVERS = frozenset({"s.whatsapp.net", "c.us", "hosted"})
FORM_NAMES = ("pn", "lid", "e164")


class IdentityError(InputError):
    """An identity form is not understood."""


class Identity(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of a phone number and of a LID; either may be missing, both missing is nobody."""

    pn: str | None = None
    lid: str | None = None


NOBODY = Identity()


def normalise(forms: dict[str, Any]) -> dict[str, str]:
    """Observed forms as `{"pn": digits, "lid": user part}`; raises `IdentityError`.

    A form is read by its server wherever it stands: a LID in the place of a phone number is a LID.
    The values are personal data and stay in the vault, so no error names one.
    """
    found: dict[str, str] = {}
    for name in FORM_NAMES:
        value = forms.get(name)
        if value is None or value == "":
            continue
        kind, user = _read(name, value)
        found.setdefault(kind, user)
    if set(forms) - set(FORM_NAMES):
        raise IdentityError(
            "an identity form has an unknown name", hint="the forms are pn, lid and e164"
        )
    return found


def _read(name: str, value: Any) -> tuple[str, str]:
    if not isinstance(value, str) or len(value) > 100:
        raise IdentityError(
            f"identity form {name} is no text", hint="give a JID or an E.164 number"
        )
    user, _, server = value.strip().lower().partition("@")
    user = user.partition(":")[0].removeprefix("+")
    if not server:
        server = "lid" if name == "lid" else "s.whatsapp.net"
    if not user.isascii() or not user.isdigit():
        raise IdentityError(
            f"identity form {name} has no digits before its server",
            hint="a JID such as NUMBER@s.whatsapp.net, a LID such as DIGITS@lid, or +NUMBER",
        )
    if server in _LID_SERVERS:
        return "lid", user
    if server in _PHONE_SERVERS:
        return "pn", user
    raise IdentityError(
        f"identity form {name} is of a server that logs nobody in",
        hint="known are s.whatsapp.net, c.us, hosted, lid and hosted.lid",
    )


def completed(identity: Identity, links: dict[str, str] | None) -> Identity:
    """The identity with the form that the library's PN↔LID map adds, where one is missing."""
    if not links or (identity.pn and identity.lid):
        return identity
    if identity.lid is None and identity.pn is not None:
        return Identity(identity.pn, links.get(identity.pn))
    if identity.pn is None and identity.lid is not None:
        return Identity(links.get(identity.lid), identity.lid)
    return identity


def overlap(one: Identity | None, other: Identity | None, links: dict[str, str] | None) -> bool:
    """Whether both are the same person; two different LIDs never are, and nobody is no one."""
    if one is None or other is None:
        return False
    one, other = completed(one, links), completed(other, links)
    if one.lid is not None and other.lid is not None:
        return one.lid == other.lid
    return one.pn is not None and one.pn == other.pn
