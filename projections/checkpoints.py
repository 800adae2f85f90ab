"""Checkpoints: a view as bytes, so that opening an account reads only what came after.

A checkpoint is a convenience and never truth. It names the code and the form that wrote it, and the
link of the chain that it stands on; one that does not fit is ignored, and the view is rebuilt.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256

import msgspec

from ..statemachine.version import VERSION
from .view import AccountView

PROJECTION = "account"
"""The name under which the store keeps these checkpoints."""


class _Envelope(msgspec.Struct):
    form: str
    view: msgspec.Raw


@cache
def form() -> str:
    """The version of the code and a digest of every field that a checkpoint can have."""
    schema = msgspec.json.schema(AccountView)
    return f"{VERSION}/{sha256(msgspec.json.encode(schema, order='sorted')).hexdigest()[:16]}"


def write(view: AccountView) -> bytes:
    """The checkpoint of a view."""
    return msgspec.json.encode(_Envelope(form(), msgspec.Raw(msgspec.json.encode(view))))


def read(body: bytes, account: str, version: int) -> AccountView | None:
    """The view that a checkpoint holds; None where it is not of this code or is damaged."""
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        if envelope.form != form():
            return None
        view = msgspec.json.decode(envelope.view, type=AccountView)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return view if (view.account, view.version) == (account, version) else None
