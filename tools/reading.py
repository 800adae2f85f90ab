"""What an operator asks of a log, as data: every command's answer before it becomes a table.

Instants are UTC ns, identities and chats are tokens of the vault. `moments.plain` turns an answer
into what JSON can hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from ..eventstore import Reader
from ..projections.archived import check_start
from ..projections.gaps import Gap
from ..projections.incidents import Incident
from ..projections.projections import Projections
from ..projections.replies import ReplyView
from ..projections.timeline import Entry
from ..projections.timeline import timeline as entries_of
from ..projections.view import AccountView
from ..projections.why import Answer, NothingKnown
from ..projections.why import why as answer_of
from ..statemachine.errors import InputError
from ..statemachine.policy import NS
from . import wording
from .moments import Moment


class Standing(msgspec.Struct, frozen=True):
    """How an account stands. `due` is when `timer` will move the connection next.

    `proof` is the kind of the newest proof that the open connection lives, seen at `proven_at`.
    `held` and `sending` count replies, `gap_since` is the beginning of the open gap.
    """

    account: str
    state: str
    phase: str | None
    live: bool
    degraded: bool
    since: int
    controller: str | None
    epoch: int
    holder: str | None
    attempt: int
    cause: str | None
    reason: str | None
    timer: str | None
    due: int | None
    hold_until: int | None
    proof: str | None
    proven_at: int | None
    identity: list[str]
    held: int
    sending: int
    gap_since: int | None
    version: int
    at: int


class GapRow(Gap, kw_only=True, omit_defaults=False):
    """A gap and whose it is; `seconds` of an open one (`ended_at` null) count up to now."""

    account: str
    seconds: float


class IncidentRow(Incident, kw_only=True, omit_defaults=False):
    """An incident and whose it is; `seconds` of an open gap (`ended_at` null) count up to now."""

    account: str
    ongoing: bool
    seconds: float


class ReplyRow(ReplyView, kw_only=True, omit_defaults=False):
    """A reply, its id, and whose it is."""

    account: str
    reply: str


def status(
    reader: Reader, account: str | None = None, moment: Moment | None = None
) -> list[Standing]:
    """How one account stands, or all of them, now or as of a moment."""
    return [_standing(view) for view in _views(reader, account, moment)]


def timeline(
    reader: Reader,
    account: str | None = None,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """The records of one account, or of all, between two moments; of more than `limit` the last.

    Raises `BeforeTheArchive` where it would begin before what the log has of one of them.
    """
    if account is not None:
        _known(reader, account)
    start, end = start or Moment(), end or Moment()
    for name in reader.streams() if account is None else [account]:
        check_start(reader, name, position=start.position, at=start.at)
    found = entries_of(
        reader,
        account,
        after_position=(start.position or 1) - 1,
        upto_position=end.position,
        from_at=start.at,
        upto_at=end.at,
    )
    return list(deque(found, maxlen=limit))


def why(
    reader: Reader,
    account: str | None = None,
    *,
    reply: str | None = None,
    controller: str | None = None,
    moment: Moment | None = None,
) -> Answer:
    """Why an account is in its state, or what became of a reply or a controller.

    The account need not be named where the reply, the controller or the log tells it.
    """
    moment = moment or Moment()
    name = account or _only(reader, reply, controller)
    return answer_of(
        reader, name, reply=reply, controller=controller, position=moment.position, at=moment.at
    )


def gaps(
    reader: Reader, now: int, account: str | None = None, moment: Moment | None = None
) -> list[GapRow]:
    """The gaps of one account or of all, in order; `now` is UTC ns."""
    return [
        GapRow(account=view.account, seconds=gap.length(now) / NS, **msgspec.structs.asdict(gap))
        for view in _views(reader, account, moment)
        for gap in view.gaps.all()
    ]


def incidents(
    reader: Reader, now: int, account: str | None = None, moment: Moment | None = None
) -> list[IncidentRow]:
    """The incidents of one account or of all, in order; `now` is UTC ns."""
    return [
        IncidentRow(
            account=view.account,
            ongoing=incident.goes_on(now),
            seconds=incident.length(now) / NS,
            **msgspec.structs.asdict(incident),
        )
        for view in _views(reader, account, moment)
        for incident in view.incidents.all(view.gaps.open, now, view.version, view.position)
    ]


def newest_stretch(rows: Sequence[IncidentRow]) -> IncidentRow:
    """The newest incident with all of its account that overlap or touch it, as one, of `incidents`.

    It has the kind and the beginning of the first of them: a storm and the gap in which it ended
    are one night.
    """
    newest = max(rows, key=lambda row: row.started_at)
    mine = [row for row in rows if row.account == newest.account]
    stretch = mine[0]
    for row in mine[1:]:
        if row.first_version <= stretch.last_version + 1:
            last = max(stretch, row, key=lambda row: row.last_version)
            stretch = msgspec.structs.replace(
                stretch, last_version=last.last_version, last_position=last.last_position
            )
        elif newest.first_version > stretch.last_version:
            stretch = row
    return stretch


def replies(
    reader: Reader,
    account: str | None = None,
    *,
    outcome: str | None = None,
    moment: Moment | None = None,
    limit: int | None = None,
) -> list[ReplyRow]:
    """The latest replies of one account or of all, by submission; of more than `limit` the last."""
    rows = [
        ReplyRow(account=view.account, reply=name, **msgspec.structs.asdict(reply))
        for view in _views(reader, account, moment)
        for name, reply in {**view.replies.finished, **view.replies.pending}.items()
        if outcome in (None, reply.outcome)
    ]
    rows.sort(key=lambda row: row.submitted_at)
    return rows if limit is None else rows[-limit:]


def seen_from(reader: Reader, moment: Moment | None, now: int) -> int:
    """The now (UTC ns) of an answer: that of the moment asked for, so that ages are of then."""
    if moment is None:
        return now
    if moment.at is not None:
        return moment.at
    position = moment.position or 0
    record = next(iter(reader.read_all(max(0, position - 1), position)), None)
    return record.at if record is not None else now


def _standing(view: AccountView) -> Standing:
    machine, connection = view.machine, view.connection
    proving = view.evidence.proving(machine)
    outcomes = [reply.outcome for reply in view.replies.pending.values()]
    identity = machine.identity
    return Standing(
        account=view.account,
        state=wording.state(machine.state),
        phase=machine.phase.value if machine.phase is not None else None,
        live=machine.live,
        degraded=machine.degraded,
        since=machine.since,
        controller=machine.controller,
        epoch=machine.epoch,
        holder=machine.holder,
        attempt=machine.attempt,
        cause=machine.cause,
        reason=machine.reason,
        timer=connection.next_timer[0] if connection and connection.next_timer else None,
        due=connection.next_timer[1] if connection and connection.next_timer else None,
        hold_until=connection.hold_until if connection is not None else None,
        proof=proving[0] if proving is not None else None,
        proven_at=proving[1].at if proving is not None else None,
        identity=[form for form in (identity.pn, identity.lid) if form] if identity else [],
        held=outcomes.count("held"),
        sending=outcomes.count("sending"),
        gap_since=view.gaps.open.started_at if view.gaps.open is not None else None,
        version=view.version,
        at=view.at,
    )


def _views(reader: Reader, account: str | None, moment: Moment | None) -> Iterator[AccountView]:
    """The views of one account or of all that had a record, by name."""
    projections = Projections(reader)
    if account is not None:
        _known(reader, account)
    for name in sorted(projections.accounts()) if account is None else [account]:
        if moment is None:
            view = projections.account(name)
        else:
            view = projections.as_of(name, position=moment.position, at=moment.at)
        if view is not None and view.version:
            yield view


def _known(reader: Reader, account: str) -> None:
    if not reader.head(account).version:
        raise NothingKnown(
            "The log has no account of this name", hint="`linewarden status` lists all accounts"
        )


def _only(reader: Reader, reply: str | None, controller: str | None) -> str:
    """The one account that a question without an account can mean."""
    accounts = reader.streams()
    if reply is not None:
        found = [name for name in accounts if reader.of_reply(name, reply)]
    elif controller is not None:
        views = Projections(reader)
        found = [
            name
            for name in accounts
            for view in [views.account(name)]
            if view is not None and controller in view.controllers
        ]
    else:
        found = accounts
    if len(found) == 1:
        return found[0]
    if not found:
        raise NothingKnown(
            "The log knows nothing of it", hint="`linewarden status` lists all accounts"
        )
    raise InputError(
        f"{len(found)} accounts could be meant", hint="name one of them with --account"
    )
