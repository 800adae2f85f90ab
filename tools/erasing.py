"""Erasing a person: which tokens are theirs, which accounts hold them, and whether any trace stays.

A person is a LID with every phone number that the log ever tied to it: LIDs are not recycled,
numbers are. A number means whoever the newest link gives it to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import msgspec

from ..eventstore import Reader, VaultEntry, decode, open_reader, open_store
from ..eventstore.errors import StoreLocked
from ..gateway.clock import SystemClock
from ..gateway.commands import erasure_of, hand_over_erasure
from ..gateway.dice import Dice
from ..gateway.receipt import Decided
from ..gateway.service import Service
from ..statemachine.errors import InputError, LinewardenError
from ..statemachine.identity import IdentityError, normalise

_TOKEN = re.compile(rb'"((?:idn|chat)_[0-9a-f]+)"')
_CHUNK = 1 << 20
_SERVERS = {"pn": "s.whatsapp.net", "lid": "lid"}


class Found(msgspec.Struct, frozen=True):
    """What a log holds of a person: tokens by account, and how many values of each kind there are.

    `kept` counts values that stay, because other accounts than the one that was named hold them;
    `archived` are accounts with records in archives, whose links are known by a snapshot only.
    `values` are what must leave no trace; nothing prints them.
    """

    held: dict[str, list[str]]
    identities: int
    chats: int
    records: int
    kept: int
    values: frozenset[bytes]
    archived: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Found({self.identities} identities, {self.chats} chats)"


def find(path: str, subject: str, account: str | None = None) -> Found:
    """Look for a person by any form of an identity, or for a chat; raises `InputError`."""
    if not subject.strip():
        raise InputError("the subject is empty", hint="give a JID, a LID, a number or a chat")
    wanted = _keys(subject)
    reader = open_reader(path)
    try:
        if account is not None and not reader.head(account).version:
            raise InputError(
                "The log has no account of this name", hint="`linewarden status` lists all"
            )
        entries = _entries(reader, wanted | _linked(reader, wanted))
        found = _held(reader, entries, account, _plain_forms(wanted))
        archived = tuple(name for name in reader.streams() if reader.archived(name) is not None)
        return msgspec.structs.replace(found, archived=archived)
    finally:
        reader.close()


def _keys(value: str) -> frozenset[tuple[str, str]]:
    """Whom a value names: a number, a LID, or a chat that is neither.

    An old group is called after the number of who made it.
    """
    try:
        return frozenset(normalise({"pn": value}).items())
    except IdentityError:
        user, _, server = value.strip().lower().partition("@")
        founder, dash, _ = user.partition("-")
        whole = ("chat", f"{user.partition(':')[0]}@{server}")
        if dash and server == "g.us" and founder.isascii() and founder.isdigit():
            return frozenset({whole, ("pn", founder)})
        return frozenset({whole})


def _entries(reader: Reader, wanted: frozenset[tuple[str, str]]) -> dict[str, VaultEntry]:
    """The values of the vault that name one of them.

    All are read: a chat was written as the gateway had it, so its form can't be guessed.
    """
    return {
        entry.token: entry for entry in reader.vault() if not wanted.isdisjoint(_keys(entry.value))
    }


def _linked(reader: Reader, wanted: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The other forms of the same person, by the links of the log."""
    own = {token for token, entry in _entries(reader, wanted).items() if entry.kind == "identity"}
    newest: dict[str, str] = {}
    numbers: dict[str, set[str]] = {}
    for pn, lid, stale in _links(reader):
        if not stale or pn not in newest:
            newest[pn] = lid
        numbers.setdefault(lid, set()).add(pn)
    lids = {newest.get(token, token) for token in own}
    tokens = lids | {pn for lid in lids for pn in numbers.get(lid, ())}
    return frozenset(
        key for entry in reader.vault_entries(tokens).values() for key in _keys(entry.value)
    )


def _links(reader: Reader) -> Iterator[tuple[str, str, bool]]:
    """Tokens of a number and a LID that belong together, by position.

    Those that an archived stretch left are `stale`: newer ones may stand before them.
    """
    for record in reader.read_all():
        if record.type == "identity_linked":
            linked = decode(record.body)["stimulus"]
            yield linked["pn"], linked["lid"], False
        elif record.type == "identity_observed":
            forms = decode(record.body)["stimulus"]["forms"]
            if {"pn", "lid"} <= set(forms):
                yield forms["pn"], forms["lid"], False
        elif record.type == "archived":
            yield from _archived_links(reader, decode(record.body).get("snapshot"))


def _archived_links(reader: Reader, snapshot: object) -> Iterator[tuple[str, str, bool]]:
    pending = [snapshot]
    for value in pending:
        if not isinstance(value, dict):
            continue
        pending += value.values()
        pn, lid = value.get("pn"), value.get("lid")
        if isinstance(pn, str) and isinstance(lid, str):
            yield pn, lid, True
        links = value.get("links")
        if isinstance(links, dict):
            known = reader.vault_entries(links)  # the map leads both ways: only values tell which
            for one, other in links.items():
                if one in known and not known[one].value.endswith("@lid"):
                    yield one, other, True


def _held(
    reader: Reader, entries: dict[str, VaultEntry], account: str | None, forms: frozenset[bytes]
) -> Found:
    """Which accounts hold the tokens, and in how many records."""
    holders, records = _holders(reader, entries, account)
    own = {name: tokens for name, tokens in holders.items() if account in (None, name)}
    others = {token for name, tokens in holders.items() if name not in own for token in tokens}
    held = {
        name: [token for token in tokens if token not in others] for name, tokens in own.items()
    }
    erased = {token for tokens in held.values() for token in tokens}
    kinds = [entries[token].kind for token in erased]
    kept = len({token for tokens in own.values() for token in tokens} & others)
    return Found(
        held={name: tokens for name, tokens in held.items() if tokens},
        identities=kinds.count("identity"),
        chats=kinds.count("chat"),
        records=records,
        kept=kept,
        values=frozenset(entries[token].value.encode() for token in erased)
        | (forms if not entries.keys() - erased else frozenset()),
    )


def _holders(
    reader: Reader, entries: dict[str, VaultEntry], account: str | None
) -> tuple[dict[str, dict[str, None]], int]:
    """The tokens that each account holds, and how many records of the account hold any.

    What no record holds any more stood in an archive: it counts for each account that has one.
    """
    holders: dict[str, dict[str, None]] = {}
    archived: dict[str, None] = {}
    records = 0
    for record in reader.read_all() if entries else ():
        if record.type == "archived":
            archived[record.stream] = None
        named = [token.decode() for token in _TOKEN.findall(record.body)]
        found = [token for token in named if token in entries]
        if found:
            records += account in (None, record.stream)
            holders.setdefault(record.stream, {}).update(dict.fromkeys(found))
    everywhere = {token for tokens in holders.values() for token in tokens}
    lost = dict.fromkeys(token for token in entries if token not in everywhere)
    for name in (archived or reader.streams()[:1]) if lost else ():
        holders.setdefault(name, {}).update(lost)
    return holders, records


def _plain_forms(wanted: frozenset[tuple[str, str]]) -> frozenset[bytes]:
    return frozenset(
        f"{name}@{_SERVERS[kind]}".encode() if kind in _SERVERS else name.encode()
        for kind, name in wanted
    )


def erase(path: str, found: Found) -> bool:
    """Record an erasure with every account that holds some of it, and let the values go with it.

    Whoever holds the log is asked to; where nobody does, it is done here. Gives whether somebody
    did. Raises `LinewardenError`.
    """
    if not found.held:
        return False
    if hand_over_erasure(path, found.held) is not None:
        return True
    try:
        store = open_store(path, name="linewarden erase")
    except StoreLocked as error:
        raise LinewardenError(
            f"{error.message}, which takes no commands",
            hint="stop it first, or open it with commands=True, as `linewarden run` does",
        ) from None
    try:
        service = Service(store, holder=None, clock=SystemClock(), dice=Dice())
        answers: list[Decided | Exception] = []
        for account, tokens in found.held.items():
            fields = {"at": service.now(), "stimulus": "subject_erased", **erasure_of(tokens)}
            service.observe(account, service.admit(service.check(account, fields)), answers.append)
        service.flush()
    finally:
        store.close()
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return False


def traces(path: str, values: frozenset[bytes]) -> list[str]:
    """The files of a log, by name, in which one of the values still stands."""
    if not values:
        return []
    pattern = re.compile(b"|".join(map(re.escape, sorted(values))))
    overlap = max(map(len, values)) - 1
    place = os.path.realpath(path)
    folder, name = os.path.split(place)
    found = []
    for file in [name + suffix for suffix in ("", "-wal", "-shm", "-journal", ".anchors")]:
        beside = os.path.join(folder, file)
        if not os.path.isfile(beside):
            continue
        if _stands_in(beside, pattern.search, overlap):
            found.append(file)
    return found


def _stands_in(path: str, search: Callable[[bytes], object], overlap: int) -> bool:
    rest = b""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            if search(rest + chunk):
                return True
            rest = (rest + chunk)[-overlap:] if overlap else b""
    return False
