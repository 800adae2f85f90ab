"""The record that is appended, the record that comes back, and the request that carries them."""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .errors import InvalidRecord, InvalidStreamName

# Limits on everything: a request that passes one of them is a mistake, not a load.
RECORDS_PER_APPEND_MAX = 10_000
BODY_BYTES_MAX = 4 * 1024 * 1024

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1
_STREAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PHONE_NUMBER = re.compile(r"[0-9]{7,15}", re.ASCII)


class NewRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as the writer gives it.

    `id` is a UUIDv7 in 16 bytes, `at` UTC in nanoseconds, `type` the name of the stimulus, `state`
    the state of the account's newest controller afterwards, `reply` the reply it belongs to, and
    `body` the canonical JSON that is hashed and stored as it stands (`codec.encode`).
    """

    id: bytes
    at: int
    type: str
    state: str | None
    reply: str | None
    body: bytes


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as the log holds it.

    `position` counts the whole log from 1, `version` its stream from 1. `leaf` is the hash of
    `body`, `chain` links it to the record before it in the stream (`chain.link`).
    """

    position: int
    stream: str
    version: int
    id: bytes
    at: int
    type: str
    state: str | None
    reply: str | None
    body: bytes
    leaf: bytes
    chain: bytes


# As much of a record as its chain needs: position, the store's number of the stream, version, body,
# leaf and chain. A bare tuple, as the database gives it: an audit reads them by the million.
Link = tuple[int, int, int, bytes, bytes, bytes]


class Head(NamedTuple):
    """The end of a stream: version 0 and the genesis of its chain while it has no record."""

    version: int
    chain: bytes


class VaultEntry(msgspec.Struct, frozen=True):
    """A personal value that the log knows by its token only; `kind` is `identity` or `chat`."""

    token: str
    kind: str
    value: str
    salt: bytes


class Append(msgspec.Struct, eq=False):
    """A request to append records to one stream, all or none.

    `vault` are values that it brings along, `erased` the tokens whose values go with it.
    `follows` is the queued request that this one was decided upon: where that fails, this one fails
    too, although its expected version may fit again by chance.

    Once committed, `result` holds the stored records; else `error` says why it was not. `done` is
    called after that in the order of the log; it must not wait and must not append (it may
    enqueue).
    """

    stream: str
    records: tuple[NewRecord, ...]
    expected_version: int | None = None
    vault: tuple[VaultEntry, ...] = ()
    follows: "Append | None" = None
    result: list[Record] | None = None
    error: Exception | None = None
    erased: tuple[str, ...] = ()
    done: Callable[["Append"], None] | None = None


def check_stream(name: str) -> None:
    """Refuse a stream name that files, logs and addresses can't carry, or that is personal.

    The message never repeats the name: it may be a phone number or a JID.
    """
    if type(name) is not str or _STREAM_NAME.fullmatch(name) is None:
        raise InvalidStreamName(
            "The name of an account has characters that are not allowed, or is too long",
            hint="1 to 64 of A-Z a-z 0-9 . _ - and a letter or digit first",
        )
    if _PHONE_NUMBER.fullmatch(name) is not None:
        raise InvalidStreamName(
            "The name of an account looks like a phone number",
            hint="account names stand in logs and records: name the line, such as `support-1`",
        )


def check_append(append: Append) -> None:
    """Refuse a request whose fields the log can't store: one of them would fail its whole group."""
    records, expected = append.records, append.expected_version
    if not 0 < len(records) <= RECORDS_PER_APPEND_MAX:
        raise InvalidRecord(
            f"An append carries 1 to {RECORDS_PER_APPEND_MAX} records, not {len(records)}"
        )
    if expected is not None and (type(expected) is not int or expected < 0):
        raise InvalidRecord("The expected version is a whole number from 0, or None for any")
    for record in records:
        body, reply, state = record.body, record.reply, record.state
        if type(record.id) is not bytes or len(record.id) != 16:
            raise InvalidRecord("The id of a record is a UUIDv7 in 16 bytes")
        if type(record.at) is not int or not _INTEGER_MIN <= record.at <= _INTEGER_MAX:
            raise InvalidRecord("The time of a record is whole nanoseconds UTC in 64 bits")
        if type(body) is not bytes or body[:1] != b"{" or body[-1:] != b"}":
            raise InvalidRecord(
                "The body of a record is one JSON object in bytes", hint="use codec.encode"
            )
        if len(body) > BODY_BYTES_MAX:
            raise InvalidRecord(f"The body of a record has at most {BODY_BYTES_MAX} bytes")
        if not body.isascii():
            try:
                body.decode()
            except UnicodeDecodeError:
                raise InvalidRecord("The body of a record is UTF-8") from None
        if not _is_text(record.type):
            raise InvalidRecord("The type of a record is a text of at least one character")
        if state is not None and not _is_text(state):
            raise InvalidRecord("The state of a record is a text, or None")
        if reply is not None and not _is_text(reply):
            raise InvalidRecord("The reply of a record is a text, or None")
    for entry in append.vault:
        if not (_is_text(entry.token) and _is_text(entry.kind) and _is_text(entry.value)):
            raise InvalidRecord("Token, kind and value of a vault entry are texts")
        if type(entry.salt) is not bytes:
            raise InvalidRecord("The salt of a vault entry is bytes")


def _is_text(value: object) -> bool:
    """Say whether a value is a text that the log can store: not empty, and no half a character."""
    if type(value) is not str or not value:
        return False
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    return True
