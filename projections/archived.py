"""Projections across an archive: a view begins with what the `archived` record carries of it."""

from __future__ import annotations

from itertools import islice
from typing import Any, TypeVar

import msgspec

from ..eventstore import Reader, codec, decode
from ..eventstore.archived import archive_of, bundle_name
from ..eventstore.errors import Corrupt, InvalidContent
from ..statemachine.errors import InputError
from .view import AccountView

KEPT_MAX = 100
"""Of gaps, finished replies and older controllers so many, the newest, are carried across."""

_Kept = TypeVar("_Kept")


class BeforeTheArchive(InputError):
    """What is asked for was before the records that the log still has."""


def beginning(reader: Reader, account: str) -> AccountView:
    """The view that the log's first record of an account is folded into: mostly an empty one."""
    record = reader.archived(account)
    if record is None:
        return AccountView(account)
    archive = archive_of(record)
    try:
        view = msgspec.convert(codec.from_order(decode(record.body)["snapshot"]), AccountView)
    except (msgspec.MsgspecError, InvalidContent, KeyError):
        view = AccountView("")
    said = (view.account, view.version, view.position, view.chain)
    if said != (account, archive.last, archive.position, archive.chain):
        raise Corrupt(
            f"Record {record.position} carries no snapshot that this version can read",
            hint="a newer linewarden may have written it; else run `linewarden verify`",
            position=record.position,
        )
    return view


def bundle_of(reader: Reader, account: str) -> str | None:
    """The name of the newest bundle that an account's older records were moved into."""
    record = reader.archived(account)
    if record is None:
        return None
    archive = archive_of(record)
    return bundle_name(reader.log_id, account, archive.first, archive.last)


def check_start(
    reader: Reader, account: str, *, position: int | None = None, at: int | None = None
) -> None:
    """Raise `BeforeTheArchive` where a range would begin before what the log has of an account."""
    gone = beginning(reader, account)
    early = (position is not None and position <= gone.position) or (
        at is not None and at <= gone.at
    )
    if gone.version and early:
        raise BeforeTheArchive(
            f"The records of {account} up to position {gone.position} are archived",
            hint=f"look in the bundle {bundle_of(reader, account)}, or one before it; without "
            "--from a range begins with the first record that is left",
        )


def snapshot_of(view: AccountView) -> dict[str, Any]:
    """A view as an `archived` record carries it, bounded: plain data without floats."""
    small = msgspec.structs.replace(
        view,
        retired=_newest(view.retired),
        gaps=msgspec.structs.replace(view.gaps, ended=view.gaps.ended[-KEPT_MAX:]),
        replies=msgspec.structs.replace(view.replies, finished=_newest(view.replies.finished)),
    )
    plain: dict[str, Any] = codec.in_order(small)
    return plain


def _newest(entries: dict[str, _Kept]) -> dict[str, _Kept]:
    return dict(islice(entries.items(), max(0, len(entries) - KEPT_MAX), None))
