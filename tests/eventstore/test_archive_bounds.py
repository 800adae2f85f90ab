"""How archiving cuts a long line into stretches: each fits a bundle, and none costs another."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import Record, bundle_reading
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.projections.view import AccountView
from linewarden.tools import archiving, incident

from ..gateway.scripted import Bench
from .archives import audited, lived, moved

LAST = 100_000
INFLATED, RECORDS = 60_000, 20


def bound(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    """Bundles have another bound, for whoever reads, cuts or plans one."""
    for module in (bundle_reading, incident, archiving):
        monkeypatch.setattr(module, name, value, raising=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    bound(monkeypatch, "LINE_BYTES_MAX", 10_000)
    bound(monkeypatch, "INFLATED_BYTES_MAX", INFLATED)
    bound(monkeypatch, "RECORDS_MAX", RECORDS)


@pytest.mark.parametrize("stretch", [3, RECORDS, LAST])
def test_a_stretch_always_fits_a_bundle(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None, stretch: int
) -> None:
    """Whatever the bounds of a bundle are, every stretch is within them, and all of it is moved."""
    monkeypatch.setattr(archiving, "STRETCH_RECORDS", stretch)
    last = lived(path)[-1]
    stretches = moved(path, last + 1, tmp_path / "archive")
    assert len(stretches) > 4
    for one in stretches:
        file = tmp_path / "archive" / one.bundle
        assert len(read_bundle(file).records) <= RECORDS
        assert len(gzip.decompress(file.read_bytes())) <= INFLATED
    assert audited(path, tmp_path / "archive")[2:] == (last, last)


def test_a_stretch_is_as_long_as_a_bundle_can_be(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    """By bytes alone a bundle is filled: what it might hold besides is the header and trailer."""
    bound(monkeypatch, "RECORDS_MAX", 10_000)
    moved(path, lived(path)[-1] + 1, tmp_path / "archive", "main")
    first = min((tmp_path / "archive").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert INFLATED - 30_000 < len(gzip.decompress(first.read_bytes())) <= INFLATED


def test_a_line_that_is_never_settled_is_left(path: Path, tmp_path: Path, small: None) -> None:
    """A reply that is pending for longer than a bundle can hold keeps its line, and no other."""
    with Bench(path) as bench:
        for account in ("main", "second"):
            bench.claim(f"{account}-1", account)
        bench.submit("waiting", deadline_s=100_000)
        for _ in range(RECORDS):
            for account in ("main", "second"):
                bench.feed("activity", account, controller=f"{account}-1")
    stretches = moved(path, LAST, tmp_path / "archive")
    assert [one.last for one in stretches if one.account == "main"] == [1]
    assert sum(one.last - one.first + 1 for one in stretches if one.account == "second") > RECORDS


def test_what_no_line_of_a_bundle_can_hold_is_left(path: Path, tmp_path: Path, small: None) -> None:
    """A record that is too long for a bundle ends a stretch; what was before it goes."""
    with Bench(path) as bench:
        bench.claim("main-1")
        bench.feed("subject_erased", tokens=[f"idn_{number:032x}" for number in range(300)])
        bench.feed("activity", controller="main-1")
    with SQLiteStore.open(path) as store:
        sizes = [len(record.body) for record in store.read_all()]
    assert max(sizes) == sizes[1] > 10_000
    assert [one.last for one in moved(path, LAST, tmp_path / "archive")] == [1]


def test_a_line_is_folded_as_often_in_many_stretches(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not moved yet is folded once, and not anew for every stretch before it."""
    monkeypatch.setattr(archiving, "STRETCH_RECORDS", 5)
    last, folded, fold_into = lived(path)[-1], 0, AccountView.fold_into

    def counted(view: AccountView, fields: dict[str, Any], records: Iterable[Record]) -> None:
        nonlocal folded
        known = list(records)
        folded += len(known)
        fold_into(view, fields, known)

    monkeypatch.setattr(AccountView, "fold_into", counted)
    assert len(moved(path, last + 1, tmp_path / "archive")) > 10
    assert folded < 4 * last
