"""Who is who, after the records that said so are archived: by tokens, and as exact as before."""

import sqlite3
from pathlib import Path

import pytest

from linewarden.eventstore import open_reader
from linewarden.eventstore.errors import Corrupt
from linewarden.eventstore.links import link_of, links_of
from linewarden.eventstore.verify_archive import audit_archives

from ..gateway.scripted import ANNA, BERT, Bench, content
from .archives import again, audited, lived, moved, said

CARL = {"pn": "15550100003@s.whatsapp.net", "lid": "100000000000003@lid"}


def test_a_record_names_a_link_whatever_was_decided(path: Path) -> None:
    """Linked, and observed with both forms, accepted or not; a single form and others name none."""
    with Bench(path) as bench:
        bench.claim()
        bench.up(forms={"pn": ANNA["pn"]})
        bench.feed("identity_linked", **CARL)
        bench.claim("B")
        late = bench.feed("identity_observed", controller="A", socket=1, forms=BERT)
        assert "late" in late.outcome.rule
        linked, observed = [link for one in bench.records() if (link := link_of(one)) is not None]
        tokens = content(late.record)["stimulus"]["forms"]
        assert observed == (tokens["pn"], tokens["lid"])
        assert [bench.store.reveal(token) for token in linked] == list(CARL.values())


def test_links_are_the_same_across_archives(path: Path, tmp_path: Path) -> None:
    """Archived one account after the other, and again, each pair keeps its newest position."""
    ends = lived(path, 4)
    before, none = said(path)
    assert none == {}
    for position, account in ((ends[2], "second"), (ends[1], "main"), (ends[3], "second")):
        moved(path, position + 1, tmp_path / "archive", account)
        assert said(path)[0] == before
    with Bench(path, seed=2) as bench:
        bench.feed("identity_linked", "second", **ANNA)
        again(bench, 100)
    before = said(path)[0]
    moved(path, 10_000, tmp_path / "archive")
    assert said(path) == (before, before)
    assert audited(path, tmp_path / "archive")[0]


def test_a_link_goes_with_its_number(path: Path, tmp_path: Path) -> None:
    """Erased, a number has no link any more, nor gets one; without its LID it is still not free."""
    with Bench(path) as bench:
        for forms in (ANNA, BERT, CARL):
            bench.feed("identity_linked", **forms)
        tokens = list(links_of(bench.store.read_all()))
        bench.feed("subject_erased", tokens=[tokens[0][0]])
    moved(path, 10_000, tmp_path / "archive")
    assert set(said(path)[1]) == {tokens[1], tokens[2]}
    with Bench(path, seed=2) as bench:
        bench.feed("subject_erased", tokens=[tokens[1][0], tokens[2][1]])
    assert set(said(path)[1]) == {tokens[2]}
    assert audited(path, tmp_path / "archive")[0]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM links",
        "INSERT INTO links SELECT pn, pn, 1 FROM links",
        "INSERT OR REPLACE INTO links SELECT pn, lid, position - 1 FROM links",
    ],
)
def test_changed_links_show_beside_the_bundles(path: Path, tmp_path: Path, statement: str) -> None:
    """A row that was added, taken away or moved is not what the archived records say."""
    lived(path, 2)
    moved(path, 10_000, tmp_path / "archive")
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    reader = open_reader(path)
    try:
        with pytest.raises(Corrupt, match="links of archived records"):
            audit_archives(reader, tmp_path / "archive", {})
    finally:
        reader.close()
