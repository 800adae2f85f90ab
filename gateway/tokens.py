"""Personal values in, tokens out: what stands in a record instead of a JID or a chat."""

from __future__ import annotations

from typing import Any

from ..eventstore import Reader, VaultEntry
from ..eventstore.chain import commitment
from ..statemachine.errors import InputError
from ..statemachine.identity import normalise
from ..statemachine.stimuli import (
    IdentityLinked,
    IdentityObserved,
    ReplySubmitted,
    Stimulus,
    SubjectErased,
)
from .dice import Dice

CACHE_MAX = 100_000
"""Tokens kept in memory; beyond that the oldest are looked up in the store again."""

CHAT_LENGTH_MAX = 200
"""Characters of a chat's JID; real ones have under 50."""

_SERVERS = {"pn": "s.whatsapp.net", "lid": "lid"}


class Tokens:
    """Swaps personal values for tokens of the vault, and back for the write."""

    def __init__(self, reader: Reader, dice: Dice) -> None:
        self._reader = reader
        self._dice = dice
        self._known: dict[tuple[str, str], str] = {}
        self._new: dict[str, VaultEntry] = {}
        self._erased: set[str] = set()

    @staticmethod
    def check(fields: dict[str, Any]) -> None:
        """Refuse personal values that are not understood; raises `InputError` and keeps nothing."""
        name = fields.get("stimulus")
        if name == "identity_observed":
            normalise(fields["forms"])
        elif name == "identity_linked":
            _linked_forms(fields)
        elif name == "reply_submitted":
            _plain_chat(fields["chat"])

    def swap(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The checked fields of a stimulus with tokens in place of identity forms and chats."""
        name = fields.get("stimulus")
        if name == "identity_observed":
            return {**fields, "forms": self._tokens(normalise(fields["forms"]))}
        if name == "identity_linked":
            return {**fields, **self._tokens(_linked_forms(fields))}
        if name == "reply_submitted":
            return {**fields, "chat": self._token("chat", _plain_chat(fields["chat"]))}
        return fields

    def _tokens(self, forms: dict[str, str]) -> dict[str, str]:
        return {
            kind: self._token("identity", f"{user}@{_SERVERS[kind]}")
            for kind, user in forms.items()
        }

    def reveal(self, token: str) -> str | None:
        """The value behind a token; None where it was erased."""
        entry = self._new.get(token)
        return entry.value if entry is not None else self._reader.reveal(token)

    def entries_of(self, stimulus: Stimulus) -> tuple[VaultEntry, ...]:
        """The vault rows that a record must bring along, because no commit has held them yet."""
        tokens: tuple[str, ...] = ()
        if isinstance(stimulus, IdentityObserved):
            tokens = tuple(stimulus.forms.values())
        elif isinstance(stimulus, IdentityLinked):
            tokens = (stimulus.pn, stimulus.lid)
        elif isinstance(stimulus, ReplySubmitted):
            tokens = (stimulus.chat,)
        return tuple(self._new[token] for token in tokens if token in self._new)

    def erased_by(self, stimulus: Stimulus) -> tuple[str, ...]:
        """The tokens whose values go with a record; from here on the values get new tokens."""
        if not isinstance(stimulus, SubjectErased):
            return ()
        gone = frozenset(stimulus.tokens)
        self._erased |= gone
        for key in [key for key, token in self._known.items() if token in gone]:
            del self._known[key]
        return tuple(stimulus.tokens)

    def stored(self, entries: tuple[VaultEntry, ...]) -> None:
        """These rows are committed: later records need not bring them again."""
        for entry in entries:
            self._new.pop(entry.token, None)

    def _token(self, kind: str, value: str) -> str:
        key = (kind, value)
        token = self._known.get(key)
        if token is None:
            token = self._reader.tokens([key]).get(key)
            if token is None or token in self._erased:
                token = self._dice.token("chat_" if kind == "chat" else "idn_")
                self._new[token] = VaultEntry(token, kind, value, self._dice.salt())
            while len(self._known) >= CACHE_MAX:
                del self._known[next(iter(self._known))]
            self._known[key] = token
        return token


def _linked_forms(fields: dict[str, Any]) -> dict[str, str]:
    forms = normalise({key: fields.get(key) for key in ("pn", "lid")})
    if set(forms) != {"pn", "lid"}:
        raise InputError(
            "identity_linked needs a phone number and a LID", hint="give both, as pn and lid"
        )
    return forms


def _plain_chat(chat: str) -> str:
    """A chat as it is told apart from others: a device part is not part of it."""
    if not 0 < len(chat.strip()) <= CHAT_LENGTH_MAX:
        raise InputError("chat is empty or too long", hint="give the chat's JID")
    user, at, server = chat.strip().partition("@")
    return user.partition(":")[0] + at + server.lower()


def commitments(entries: tuple[VaultEntry, ...]) -> dict[str, str]:
    """Salted commitments to the values behind tokens, so that a changed vault shows."""
    return {entry.token: commitment(entry.salt, entry.kind, entry.value).hex() for entry in entries}
