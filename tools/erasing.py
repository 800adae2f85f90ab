"""Erasing a person: which tokens are theirs, which accounts hold them, and whether any trace stays.

A person is a LID with every phone number that the log ever tied to it: LIDs are not recycled,
numbers are. A number means whoever the newest link gives it to.
"""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import suppress

import msgspec

from ..eventstore import Reader, VaultEntry, open_reader, open_store
from ..eventstore.errors import StoreLocked
from ..eventstore.links import links_of
from ..gateway.commands import Erasure
from ..statemachine.errors import InputError
from ..statemachine.identity import IdentityError, normalise
from .commanding import carry_out

_TOKEN = re.compile(rb'"((?:idn|chat)_[0-9a-f]+)"')
_CHUNK = 1 << 20
_SERVERS = {"pn": "s.whatsapp.net", "lid": "lid"}
_READ_AS = {"pn": "a number", "lid": "a LID", "chat": "a chat"}
_WRITTEN = re.compile(
    r"(tel:\s*|(?:https?://)?wa\.me/)?"
    r"(?:(?:\(?\+|00)[\s(.-]*)?"  # without one of these, no area code and no 0 may come first
    r"((?!.*\(\s*0)[1-9][0-9\s()./\u2010-\u2015-]*)"  # nor may a (0), which only some dial
    r"(?(1)(?:\?.*)?)"
)
_DIGITS_MAX = 15
_CHAT = re.compile(r"[^\s()/@]+@[a-z][a-z.-]*")

Key = tuple[str, str]
"""Whom or what a value names: `pn`, `lid` or `chat`, and the form by which values are compared."""


class Found(msgspec.Struct, frozen=True):
    """What a log holds of a person: tokens by account, and how many values of each kind there are.

    `kept` counts values that stay, because other accounts than the one that was named hold them.
    `values` are what must leave no trace; nothing prints them. `read_as` is what the subject was
    taken for.
    """

    read_as: str
    held: dict[str, list[str]]
    identities: int
    chats: int
    records: int
    kept: int
    values: frozenset[bytes]

    def __repr__(self) -> str:
        return f"Found({self.identities} identities, {self.chats} chats)"


def find(path: str, subject: str, account: str | None = None) -> Found:
    """Look for a person by any form of an identity, or for a chat; raises `InputError`."""
    kind, name = key = _key(subject)
    local = kind == "pn" and name.startswith("0") and "@" not in subject
    if local or (kind == "chat" and not _CHAT.fullmatch(name)):
        raise InputError(
            "The subject is no number of the world, no JID and no chat",
            hint="give +NUMBER with its country's code, DIGITS@lid, or a chat such as DIGITS@g.us",
        )
    wanted = frozenset({key})
    reader = open_reader(path)
    try:
        if account is not None and not reader.head(account).version:
            raise InputError(
                "The log has no account of this name", hint="`linewarden status` lists all"
            )
        entries = _entries(reader, wanted | _linked(reader, wanted))
        return _held(reader, entries, account, key)
    finally:
        reader.close()


def _key(value: str) -> Key:
    """What a value names: a number, however people write it, a LID, or a chat that is neither."""
    if not value.isascii():  # what is copied from elsewhere has marks that nobody sees
        value = "".join(one for one in value if unicodedata.category(one) != "Cf")
    user, at, server = value.strip().lower().partition("@")
    with suppress(IdentityError):
        forms = normalise({"pn": _number(user) + at + server})
        if forms:
            return forms.popitem()
    return "chat", user.partition(":")[0] + at + server


def _number(written: str) -> str:
    """The digits of a number that is written with its country's code; all else as it is."""
    found = _WRITTEN.fullmatch(written)
    digits = re.sub(r"\D", "", found[2]) if found else ""
    return digits if 0 < len(digits) <= _DIGITS_MAX else written


def _named(value: str) -> frozenset[Key]:
    """Whom a value of the vault names: an old group is called after the number of who made it."""
    key = kind, name = _key(value)
    founder, dash, rest = name.partition("-")
    if kind == "chat" and dash and rest.endswith("@g.us"):
        return frozenset({key, _key(founder)})
    return frozenset({key})


def _entries(reader: Reader, wanted: frozenset[Key]) -> dict[str, VaultEntry]:
    """The values of the vault that name one of them.

    All are read: a chat was written as the gateway had it, so its form can't be guessed.
    """
    return {
        entry.token: entry for entry in reader.vault() if not wanted.isdisjoint(_named(entry.value))
    }


def _linked(reader: Reader, wanted: frozenset[Key]) -> frozenset[Key]:
    """The other forms of the same person, by the links of the log."""
    own = {token for token, entry in _entries(reader, wanted).items() if entry.kind == "identity"}
    newest: dict[str, str] = {}
    numbers: dict[str, set[str]] = {}
    for pn, lid in _by_age(reader):
        newest[pn] = lid
        numbers.setdefault(lid, set()).add(pn)
    lids = {newest.get(token, token) for token in own}
    tokens = lids | {pn for lid in lids for pn in numbers.get(lid, ())}
    return frozenset(_key(entry.value) for entry in reader.vault_entries(tokens).values())


def _by_age(reader: Reader) -> list[tuple[str, str]]:
    """Tokens of a number and a LID that records tied together, the newest last."""
    links = links_of(reader.read_all())
    # Read after the log: what an archive takes out of it meanwhile is there by then.
    for link, position in reader.archived_links().items():
        links[link] = max(position, links.get(link, 0))
    return sorted(links, key=links.__getitem__)


def _held(
    reader: Reader, entries: dict[str, VaultEntry], account: str | None, subject: Key
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
    kind, name = subject
    plain = f"{name}@{_SERVERS[kind]}" if kind in _SERVERS else name
    return Found(
        read_as=_READ_AS[kind],
        held={name: tokens for name, tokens in held.items() if tokens},
        identities=kinds.count("identity"),
        chats=kinds.count("chat"),
        records=records,
        kept=kept,
        values=frozenset(entries[token].value.encode() for token in erased)
        | (frozenset({plain.encode()}) if not entries.keys() - erased else frozenset()),
    )


def _holders(
    reader: Reader, entries: dict[str, VaultEntry], account: str | None
) -> tuple[dict[str, dict[str, None]], int]:
    """The tokens that each account holds, and how many records of the account hold any.

    What no record holds any more stood in an archive. Nothing says of which account: it goes with
    the one that is asked for, or with the first that has an archive.
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
    able = list(archived or reader.streams()) if lost else []
    for name in [one for one in able if one == account] or able[:1]:
        holders.setdefault(name, {}).update(lost)
    return holders, records


def erase(path: str, found: Found) -> bool:
    """Record an erasure with every account that holds some of it, and let the values go with it.

    Whoever holds the log is asked to; where nobody does, it is done here. Gives whether somebody
    did. Where nothing is held, a copy that an earlier erasure had to leave goes. Raises
    `LinewardenError`.
    """
    if not found.held:
        if traces(path, found.values)[0]:
            with suppress(StoreLocked):
                # To close it moves the write-ahead log, where the copy is, into the file.
                open_store(path, name="linewarden erase").close()
        return False
    running: bool = carry_out(path, Erasure(found.held), "erase")["running"]
    return running


def traces(path: str, values: frozenset[bytes]) -> tuple[list[str], bool]:
    """The files of a log, by name, in which an erased value still stands, and whether one is back.

    A value is back where it was seen again since: the vault has it anew, under another token, and
    so do the files.
    """
    place = os.path.realpath(path)
    folder, name = os.path.split(place)
    left = {}
    for file in [name + suffix for suffix in ("", "-wal", "-shm", "-journal", ".anchors")]:
        beside = os.path.join(folder, file)
        if os.path.isfile(beside):
            left[file] = _standing(beside, values)
    found = frozenset[bytes]().union(*left.values())
    held = _in_vault(path) if found else found
    # A chat that was written without a server may be the beginning of another's.
    begun = {one for one in found if b"@" not in one and any(it.startswith(one) for it in held)}
    stays = (found & held) | begun
    return [file for file, some in left.items() if some - stays], bool(found & held)


def _in_vault(path: str) -> frozenset[bytes]:
    reader = open_reader(path)
    try:
        return frozenset(entry.value.encode() for entry in reader.vault())
    finally:
        reader.close()


def _standing(path: str, values: frozenset[bytes]) -> set[bytes]:
    """Which of the values a file holds; one that is only the end of a longer number is not it.

    There may be thousands, so what is looked for is their few different ends, such as `@lid`.
    """
    lengths: dict[bytes, set[int]] = {}
    for value in values:
        lengths.setdefault(_end(value), set()).add(len(value))
    pattern = re.compile(b"|".join(map(re.escape, sorted(lengths, key=len, reverse=True))))
    longest = max(map(len, values), default=0)
    found: set[bytes] = set()
    with open(path, "rb") as file:
        read = b"\0"
        while values and (chunk := file.read(_CHUNK)):
            read += chunk
            for match in pattern.finditer(read):
                for length in lengths[match.group()]:
                    start = match.end() - length
                    value = read[max(start, 0) : match.end()]
                    if value in values and start > 0 and not read[start - 1 : start].isdigit():
                        found.add(value)
            read = read[-longest:]
    return found


def _end(value: bytes) -> bytes:
    _, at, server = value.rpartition(b"@")
    return at + server
