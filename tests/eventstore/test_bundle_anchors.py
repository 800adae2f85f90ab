"""An anchor in a bundle is as it was written, and of these records, or the bundle is refused."""

from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import codec
from linewarden.eventstore.bundle_format import BadBundle
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.verify_bundle import verify_bundle

from .bundles import ACCOUNT, LOG, bundle, lines, write

HEAD = {"version": 3, "chain": bundle().trailer.head.chain}
ANCHOR = {
    "anchor": 1,
    "at": 1,
    "heads": {ACCOUNT: HEAD},
    "log": LOG.hex(),
    "position": 3,
    "previous": None,
}


def written(path: Path, **fields: Any) -> Path:
    """A bundle with these fields in its trailer."""
    *rows, trailer = lines(bundle())
    return write(path, [*rows, codec.encode(codec.decode(trailer) | fields)])


def test_a_good_anchor_vouches(tmp_path: Path) -> None:
    """The one that all others here are made of is taken."""
    path = written(tmp_path / "x.gz", anchor=ANCHOR)
    assert read_bundle(path).trailer.anchor is not None
    assert verify_bundle(path).last_good_anchor is not None


def test_leaves_without_an_anchor_are_read(tmp_path: Path) -> None:
    """The anchor that they lead to may lie elsewhere; by themselves they vouch for nothing."""
    path = written(tmp_path / "x.gz", onward=["0" * 64])
    assert read_bundle(path).trailer.onward == ["0" * 64]
    assert verify_bundle(path).last_good_anchor is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"anchor": {}}, "no trailer"),
        ({"anchor": {**ANCHOR, "hello": "world"}}, "no trailer"),
        ({"anchor": {**ANCHOR, "heads": 1}}, "no trailer"),
        ({"anchor": {**ANCHOR, "anchor": 2}}, "no trailer"),
        ({"anchor": {**ANCHOR, "position": 4}}, "not that of its heads"),
        ({"anchor": {**ANCHOR, "log": "0" * 32}}, "anchor is not of these records"),
        ({"anchor": {**ANCHOR, "heads": {"sales": HEAD}}}, "anchor is not of these records"),
        ({"anchor": ANCHOR, "onward": ["0" * 64]}, "anchor is not of these records"),
    ],
)
def test_a_bad_anchor_is_refused(tmp_path: Path, fields: dict[str, Any], why: str) -> None:
    """Reading and verifying refuse the same: a bundle is not intact around an anchor that isn't."""
    path = written(tmp_path / "x.gz", **fields)
    with pytest.raises(BadBundle, match=why):
        read_bundle(path)
    report = verify_bundle(path)
    assert not report.ok and report.reason is not None and str(path) in report.reason
