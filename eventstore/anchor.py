"""An anchor: where every stream of a log ended, said at one moment."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from ..statemachine.errors import LinewardenError
from . import codec

Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
LogId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Signature = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{128}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class BadAnchor(LinewardenError):
    """An anchor is not as it was written, or not of this log."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(
            message, hint=hint or "keep the file as evidence; compare it with what its sink has"
        )


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in a stream: a version and the chain (hex) after it; version 0 is its genesis."""

    version: Count
    chain: Hash


class Anchor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All heads of a log at a position, `at` (UTC ns) a moment.

    `previous` is the hash of the line before, None in the first of a file. `key` is the public key
    of a signature, and `signature` (`signing`) is of all the rest.
    """

    anchor: Literal[1] = 1
    at: Count
    heads: dict[str, Point]
    log: LogId
    position: Count
    previous: Hash | None
    key: Hash | msgspec.UnsetType = msgspec.UNSET
    signature: Signature | msgspec.UnsetType = msgspec.UNSET


def as_anchor(content: dict[str, Any]) -> Anchor:
    """An anchor from its content; raises `BadAnchor`."""
    try:
        anchor = msgspec.convert(content, Anchor)
    except msgspec.ValidationError:
        raise BadAnchor("it is no anchor") from None
    check_position(anchor)
    return anchor


def check_position(anchor: Anchor) -> None:
    """Raise `BadAnchor` unless the heads count as many records as the position says."""
    if anchor.position != sum(head.version for head in anchor.heads.values()):
        raise BadAnchor("its position is not that of its heads")


def line_of(anchor: Anchor) -> bytes:
    """The line of an anchor, without its end."""
    return codec.encode(msgspec.to_builtins(anchor))
