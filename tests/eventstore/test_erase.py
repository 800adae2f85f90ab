"""Erasing with a record: the values go in its transaction, and no byte of them stays."""

import random
import re
import sqlite3
from pathlib import Path

import pytest

from linewarden.eventstore import VaultEntry
from linewarden.eventstore.errors import WrongExpectedVersion
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify

from .material import Make, erase, erasing

VALUE = re.compile(rb"1555010\d{4}-\d{6}@s\.whatsapp\.net")


def entry(number: int) -> VaultEntry:
    """A value that no other entry has."""
    value = f"1555010{number % 10_000:04d}-{number:06d}@s.whatsapp.net"
    return VaultEntry(f"idn_{number:x}", "identity", value, bytes(16))


def left(path: Path) -> set[str]:
    """The values that stand anywhere in the files of a store."""
    read = b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))
    return {found.decode() for found in VALUE.findall(read)}


def test_values_go_with_the_record(store: SQLiteStore, path: Path, make: Make) -> None:
    """A record that erases is stored, and what it erases is in no file when it is acknowledged."""
    store.append("a", [make()], vault=[entry(1), entry(2)])
    request = erasing(make, "idn_1", "idn_99")
    store.enqueue(request)
    store.flush()
    assert request.result is not None
    assert store.reveal("idn_1") is None
    assert left(path) == {entry(2).value}
    assert list(store.vault()) == [entry(2)]
    assert verify(store, columns=False).ok


def test_a_refused_record_erases_nothing(store: SQLiteStore, make: Make) -> None:
    """Where the record of an erasure is refused, the values stay."""
    store.append("a", [make()], vault=[entry(1)])
    refused = erasing(make, "idn_1", version=9)
    store.enqueue(refused)
    store.flush()
    assert isinstance(refused.error, WrongExpectedVersion)
    assert store.reveal("idn_1") == entry(1).value


def test_nothing_stays_where_rows_have_moved(store: SQLiteStore, path: Path, make: Make) -> None:
    """Free pages, and the room between rows that SQLite moved, hold no copy of what was erased."""
    dice = random.Random(4)
    values = [entry(number) for number in range(3_000)]
    dice.shuffle(values)
    pending, stay = list(values), {value.value for value in values}
    while pending:
        some = [pending.pop() for _ in range(min(dice.randrange(1, 7), len(pending)))]
        body = {"filler": "x" * dice.randrange(3_000)}
        store.append("a", [make(**body)], vault=some)
    for number in range(200):
        gone = dice.sample(values, 5)
        store.enqueue(erasing(make, *(value.token for value in gone)))
        stay -= {value.value for value in gone}
        if number % 20 == 19:
            store.flush()
            assert not left(path) - stay
    assert left(path) == stay
    assert {value.value for value in store.vault()} == stay


def test_the_vault_is_found_as_before(store: SQLiteStore, path: Path, make: Make) -> None:
    """An erasure leaves other values, the order of doubled ones, and the schema as they are."""
    doubled = VaultEntry("idn_b", "identity", entry(7).value, bytes(16))
    store.append("a", [make()], vault=[entry(7), doubled, entry(8)])
    schema = store.database.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    erase(store, make, "idn_8")
    assert store.tokens([("identity", entry(7).value)]) == {("identity", entry(7).value): "idn_7"}
    assert store.reveal("idn_8") is None
    erase(store, make, "idn_8")
    assert (
        schema == store.database.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    )


def test_a_reader_only_delays_it(path: Path, make: Make) -> None:
    """While a reader is in the middle, a copy may stay in the journal; a later commit ends it."""
    with SQLiteStore.open(path) as store:
        store.append("a", [make()], vault=[entry(1)])
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM vault").fetchone()
        store.enqueue(erasing(make, "idn_1"))
        store.flush()
        assert store.reveal("idn_1") is None
        assert left(path) == {entry(1).value}
        reader.close()
        store.append("a", [make()])
        assert not left(path)


@pytest.mark.parametrize("tokens", [[], ["idn_5"]])
def test_erasing_nothing_changes_nothing(store: SQLiteStore, make: Make, tokens: list[str]) -> None:
    """Tokens that the vault lacks are no error."""
    store.append("a", [make()], vault=[entry(1)])
    erase(store, make, *tokens)
    assert list(store.vault()) == [entry(1)]
