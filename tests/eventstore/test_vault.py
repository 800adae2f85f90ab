"""The vault: personal values outside the log, promised by it, and erased for good."""

from pathlib import Path

import pytest

from linewarden.eventstore import Append, VaultEntry, chain
from linewarden.eventstore.errors import InvalidRecord, WrongExpectedVersion
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify

from .material import Make, erase

VALUE = "15550100001@s.whatsapp.net"
SALT = b"s" * 16


def entry(token: str = "idn_1", value: str = VALUE) -> VaultEntry:
    return VaultEntry(token, "identity", value, SALT)


def promise(*entries: VaultEntry) -> dict[str, str]:
    return {e.token: chain.commitment(e.salt, e.kind, e.value).hex() for e in entries}


def test_a_value_is_found_by_its_token_and_back(store: SQLiteStore, make: Make) -> None:
    """What an append put into the vault is revealed by its token and found by its value."""
    store.append("a", [make()], vault=[entry(), entry("chat_1", "15550100002@c.us")])
    assert store.reveal("idn_1") == VALUE
    assert store.reveal("idn_2") is None
    assert store.tokens([("identity", VALUE), ("chat", VALUE), ("identity", "x")]) == {
        ("identity", VALUE): "idn_1"
    }
    assert store.vault_entries(["idn_1", "idn_9"]) == {"idn_1": entry()}


def test_a_token_keeps_its_first_value(store: SQLiteStore, make: Make) -> None:
    """A token that is given again keeps what it stands for."""
    store.append("a", [make()], vault=[entry()])
    store.append("a", [make()], vault=[entry(value="15550100003@c.us")])
    assert store.reveal("idn_1") == VALUE


def test_a_refused_append_leaves_nothing_in_the_vault(store: SQLiteStore, make: Make) -> None:
    """Values belong to their append: where it is refused, they are not stored."""
    store.enqueue(Append("a", (make(),)))
    refused = Append("a", (make(),), 7, (entry(),))
    store.enqueue(refused)
    store.flush()
    assert isinstance(refused.error, WrongExpectedVersion)
    assert store.reveal("idn_1") is None
    with pytest.raises(InvalidRecord):
        store.append("a", [make()], vault=[VaultEntry("t", "identity", "\ud800", SALT)])


def test_erasing_leaves_no_byte_and_no_broken_chain(path: Path, make: Make) -> None:
    """An erased value is in none of the files, and the log still verifies and counts it."""
    with SQLiteStore.open(path) as store:
        other = entry("idn_2", "15550100004@c.us")
        content = {"commitments": promise(entry(), other)}
        store.append("a", [make(**content)], vault=[entry(), other])
        needle = VALUE.encode()
        files = list(path.parent.glob("log.db*"))
        assert any(needle in file.read_bytes() for file in files)
        erase(store, make, "idn_1", "idn_unknown")
        assert not any(needle in file.read_bytes() for file in path.parent.glob("log.db*"))
        assert store.reveal("idn_1") is None
        assert store.tokens([("identity", VALUE)]) == {}
        report = verify(store)
        assert (report.ok, report.commitments, report.erased) == (True, 2, 1)
    assert not any(needle in file.read_bytes() for file in path.parent.glob("log.db*"))
