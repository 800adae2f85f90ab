"""`linewarden bench` measures and tells what it measured beside; nothing here looks at the time."""

import json
import sys

import pytest
from click.testing import CliRunner

from linewarden.tools import bench
from linewarden.tools.cli import main

PRINTED = set(range(1, 18)) - {15}  # PostgreSQL is not in this version
CHEAP = ("--row", "1", "--quick")


def test_every_row_is_measured_once() -> None:
    """Each row that the performance page promises belongs to one measurement of one module."""
    numbers = [
        number
        for name in bench.MODULES
        for numbers, _ in __import__(f"linewarden.tools.{name}", fromlist=["MEASURES"]).MEASURES
        for number in numbers
    ]
    assert sorted(numbers) == sorted(PRINTED)


def test_a_row_has_a_figure_and_what_it_is_held_against() -> None:
    """Rows come in order, only those asked for, and no text of them is empty."""
    found = bench.rows({5, 1}, quick=True)
    assert [row.number for row in found] == [1, 1, 5, 5]
    for row in found:
        assert row.what and row.measured and row.beside and row.must
        assert row.measured[0].isdigit() and row.must[0] in "≤≥"
        assert type(row.reached) is bool


def test_the_command_prints_a_table() -> None:
    """Each row is a line with its peer or its floor, what it must reach and whether it did."""
    printed = CliRunner().invoke(main, ["bench", *CHEAP])
    assert printed.exit_code == 0, printed.output
    head, _, *lines = printed.output.splitlines()
    assert head.split() == "# what measured beside must reach reached".split()
    assert len(lines) == 2
    assert "raw" in lines[0] and "peer" in lines[1]
    assert all(line.split()[-1] in {"yes", "NO"} for line in lines)


def test_the_command_prints_json() -> None:
    """With `--json` the rows are a list of objects with the fields of a row."""
    printed = CliRunner().invoke(main, ["bench", "--json", *CHEAP])
    assert printed.exit_code == 0, printed.output
    found = json.loads(printed.output)
    assert [set(row) for row in found] == [set(bench.Row.__struct_fields__)] * 2
    assert {row["number"] for row in found} == {1}


def test_a_peer_that_is_not_installed_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package of the peer its row says so and counts as not reached."""
    monkeypatch.setitem(sys.modules, "eventsourcing", None)
    raw, peer = bench.rows({1}, quick=True)
    assert raw.beside.startswith("raw ")
    assert peer.beside == bench.PEER_MISSING
    assert not peer.reached


def test_a_row_is_reached_from_its_factor_on() -> None:
    """A rate is compared with the other contestant's times the factor, and the factor is shown."""
    row = bench.against(1, "append", 1_500.0, "peer", 1_000.0, 1.5)
    assert (row.measured, row.beside, row.must) == (
        "1.5 k/s",
        "peer 1.0 k/s: 1.50 ×",
        "≥ 1.5 × peer",
    )
    assert row.reached
    assert not bench.against(1, "append", 1_499.0, "peer", 1_000.0, 1.5).reached
