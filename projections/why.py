"""Why: which record, which rule and which evidence led to what is so.

It answers three questions: why is the account in its state, what became of this reply, and what
became of this controller. Every answer names the records it rests on, so it can be checked.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..eventstore import Reader, Record
from ..statemachine.account import Account
from ..statemachine.errors import InputError
from .archived import beginning, bundle_of
from .connections import Connection, Controller
from .evidence import Proof
from .explanations import explain_reply
from .projections import Projections
from .replies import ReplyView
from .timeline import Entry, entry
from .view import AccountView

ENTRIES_MAX = 200
"""Records that an answer shows; the newest ones, where there are more."""


class NothingKnown(InputError):
    """The log knows nothing of what was asked for."""


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something is so, as of record `version` of the account; instants are UTC ns.

    `entries` are the records that it rests on, in order. `proving` is the kind of the newest proof
    that the connection lives, with that proof. `asked` is the id of the reply or controller that
    was asked for. `left_off` counts entries that are not shown.
    """

    account: str
    version: int
    position: int
    at: int
    sentence: str
    entries: list[Entry]
    connection: Connection | None = None
    proving: tuple[str, Proof] | None = None
    reply: ReplyView | None = None
    controller: Controller | None = None
    asked: str | None = None
    left_off: int = 0


def why(
    reader: Reader,
    account: str,
    *,
    reply: str | None = None,
    controller: str | None = None,
    position: int | None = None,
    at: int | None = None,
) -> Answer:
    """Say why an account is in its state, or what became of a reply or of a controller.

    Answers as of a position or a time (UTC ns), else as of now. Raises `NothingKnown`.
    """
    if position is None and at is None:
        view = Projections(reader).account(account)
    else:
        view = Projections(reader).as_of(account, position=position, at=at)
    if view is None or not view.version:
        raise NothingKnown(
            f"Account {account} has no record", hint="`linewarden status` lists all accounts"
        )
    if reply is not None:
        return _why_reply(reader, view, reply)
    if controller is not None:
        return _why_controller(reader, view, controller)
    return _why_state(reader, view)


def _why_state(reader: Reader, view: AccountView) -> Answer:
    """The record by which the newest controller entered its state, and what changed it since."""
    connection = view.connection
    if connection is None:
        return _answer(view, [], "Nobody has claimed the account.")
    entries: list[Entry] = []
    entered = False
    begun = beginning(reader, view.account).machine
    before = _word(begun)
    for record in reader.read_stream(view.account, 0, view.version):
        said = entry(record, before)
        claimed = said.rule.startswith("claim.") and said.rule != "claim.reused"
        if said.moved or claimed:
            entries, entered = [said], True
        elif (entries or begun.state is not None) and _matters(said):
            entries.append(said)
        before = record.state
    first = entries[0].sentence if entered else _elsewhere(reader, view.account)
    sentence = f"{connection.controller} is {connection.state.printed}. {first}"
    if entries and entries[-1].rule == "service.stopped":
        sentence += " The service has stopped since, and dials when it starts."
    return _answer(view, entries, sentence, proving=view.evidence.proving(view.machine))


def _matters(said: Entry) -> bool:
    """Whether a record within a state says something about that state."""
    plain = (
        *("activity.", "late", "timer.stale", "reply.", "identity.linked", "opened.again"),
        *("archived", "subject_erased"),
    )
    return not said.rule.startswith(plain)


def _why_reply(reader: Reader, view: AccountView, name: str) -> Answer:
    """Every record that touched a reply; of an old one those that name it."""
    reply = view.replies.get(name)
    named = [
        record for record in reader.of_reply(view.account, name) if record.version <= view.version
    ]
    if reply is None and not named:
        raise NothingKnown(
            f"Account {view.account} has no reply of this id",
            hint="`linewarden replies` lists the latest",
        )
    if reply is None:
        reply = _replayed(reader, view, name)
    if reply is None:
        raise NothingKnown(f"What became of the reply: {_elsewhere(reader, view.account)}")
    entries = _entries(reader, view.account, reply.versions, named)
    rules = {entry.rule for entry in entries}
    if len(entries) < len(reply.versions):  # the rule that settled it may be archived
        rules.add(f"reply.{reply.outcome}")
    sentence = f"The reply is {reply.outcome}. {explain_reply(reply.outcome, reply.reason, rules)}"
    if not entries:
        sentence += f" {_elsewhere(reader, view.account)}"
    if reply.late_ack is not None:
        sentence += " An acknowledgement came after its outcome: it was delivered after all."
    return _answer(view, entries, sentence, reply=reply, asked=name)


def _replayed(reader: Reader, view: AccountView, name: str) -> ReplyView | None:
    """A reply that the view let go of, folded again up to where it was finished.

    None where only a late word of it is in the log, and the rest was archived.
    """
    old = beginning(reader, view.account)
    found: ReplyView | None = None
    for record in reader.read_stream(view.account, old.version, view.version):
        old.apply(record)
        kept = old.replies.get(name)
        if kept is None and found is not None:
            break
        found = kept
    return found


def _elsewhere(reader: Reader, account: str) -> str:
    """Where the records of an answer are, if they are not in the log."""
    bundle = bundle_of(reader, account)
    return f"Its older records are archived, the newest of them in {bundle}." if bundle else ""


def _entries(
    reader: Reader, account: str, versions: tuple[int, ...], named: list[Record]
) -> list[Entry]:
    wanted = dict.fromkeys(versions) | {record.version: record for record in named}
    first = _word(beginning(reader, account).machine)
    entries: list[Entry] = []
    for version in sorted(wanted):
        pair = list(reader.read_stream(account, max(0, version - 2), version))
        if not pair:
            continue  # archived
        entries.append(entry(pair[-1], pair[-2].state if len(pair) > 1 else first))
    return entries


def _word(machine: Account) -> str | None:
    """The state as a record has it."""
    return machine.state.value if machine.state is not None else None


def _why_controller(reader: Reader, view: AccountView, name: str) -> Answer:
    """What moved a controller from its claim to its end."""
    controller = view.controllers.get(name)
    if controller is None:
        raise NothingKnown(
            f"Account {view.account} has no controller of this name",
            hint="`linewarden timeline` names the controllers",
        )
    entries: list[Entry] = []
    begun = beginning(reader, view.account).machine
    before = _word(begun)
    current = begun.controller == name
    for record in reader.read_stream(view.account, 0, view.version):
        said = entry(record, before)
        if said.rule.startswith("claim.") and said.rule != "claim.reused":
            if current:
                entries.append(said)
            current = said.controller == name
        if (current and (said.moved or said.rule.startswith("claim."))) or (
            said.controller == name and said.rule.startswith(("late", "restart.", "opened.new"))
        ):
            entries.append(said)
        before = record.state
    sentence = f"{name} is {controller.state.printed}."
    because = controller.reason or controller.cause
    if because:
        sentence = f"{name} is {controller.state.printed}; the last cause was {because}."
    if not entries:
        sentence += f" {_elsewhere(reader, view.account)}"
    return _answer(view, entries, sentence, controller=controller, asked=name)


def _answer(view: AccountView, entries: list[Entry], sentence: str, **more: Any) -> Answer:
    return Answer(
        account=view.account,
        version=view.version,
        position=view.position,
        at=view.at,
        sentence=sentence,
        entries=entries[-ENTRIES_MAX:],
        connection=view.connection,
        left_off=max(0, len(entries) - ENTRIES_MAX),
        **more,
    )
