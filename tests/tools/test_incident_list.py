"""`linewarden incident list` tells what went wrong, and what to type to carry it away."""

import contextlib
import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.statemachine.policy import NS
from linewarden.tools.cli import main
from linewarden.tools.cli_incident import incident
from linewarden.tools.moments import instant
from linewarden.tools.reading import IncidentRow, newest_stretch

from ..eventstore.archives import moved
from ..gateway.scripted import Bench
from .incidents import FOLDER, played


def run(*words: object) -> Result:
    return CliRunner().invoke(incident, [str(word) for word in words])


@pytest.fixture
def storm(tmp_path: Path) -> Path:
    """A log with a storm, and a gap that is still open."""
    return played(FOLDER / "tr-32-428-every-minute.jsonl", tmp_path / "log.db")


def test_list_tells_what_there_is_and_what_to_type(storm: Path, tmp_path: Path) -> None:
    """Each incident has its row; the last line cuts them out, with what was before them.

    The storm, a long gap in it and the gap in which it ends overlap: one bundle has them all.
    """
    result = run("list", "--file", storm)
    assert result.exit_code == 0, result.output
    head, _, *rows, empty, following = result.output.splitlines()
    assert head.split() == (
        "account kind from (UTC) until (UTC) length count cause positions".split()
    )
    assert [row.split("  ")[0] for row in rows] == ["main"] * 3
    assert "flap storm" in rows[0] and "21 min 49 s" in rows[0] and "14" in rows[0]
    assert "long gap" in rows[1] and "5 min 1 s" in rows[1] and "64 to 68" in rows[1]
    assert "going on" in rows[2] and "transient" in rows[2]
    assert empty == ""
    words = shlex.split(following)
    assert words[:4] == ["next:", "linewarden", "incident", "export"]
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(main, words[2:])
        assert done.exit_code == 0, done.output
        bundle = read_bundle(words[-1])
    told = json.loads(run("list", "--file", storm, "--json").output)
    first = min(row["first_version"] for row in told)
    assert words[-1] == "main-flap-storm-4.incident.jsonl.gz"
    assert bundle.header.first < first
    assert bundle.records[-1].position == max(row["last_position"] for row in told)
    margin = [record for record in bundle.records if record.version < first]
    assert all(instant(r.at + 60 * NS) >= told[0]["started_at"] for r in margin)


def stretch_of(*ranges: tuple[str, int, int]) -> tuple[str, int, int]:
    rows = [
        IncidentRow(
            account=account, kind="long_gap", cause="transient", started_at=first, ended_at=last,
            first_version=first, first_position=10 * first, last_version=last,
            last_position=10 * last, ongoing=False, seconds=0,
        )
        for account, first, last in ranges
    ]  # fmt: skip
    found = newest_stretch(rows)
    assert found.last_position == 10 * found.last_version
    return found.account, found.first_version, found.last_version


def test_what_overlaps_or_touches_the_newest_is_exported_with_it() -> None:
    """From the first of them to the end of the longest; not what is apart, nor other accounts."""
    assert stretch_of(("a", 4, 42), ("a", 18, 42)) == ("a", 4, 42)
    assert stretch_of(("a", 4, 42), ("a", 18, 30)) == ("a", 4, 42)
    assert stretch_of(("a", 1, 2), ("a", 4, 5), ("a", 6, 7), ("a", 7, 9)) == ("a", 4, 9)
    assert stretch_of(("a", 4, 5), ("a", 7, 9)) == ("a", 7, 9)
    assert stretch_of(("a", 4, 50), ("a", 6, 7), ("a", 40, 60), ("b", 3, 90)) == ("a", 4, 60)


def test_list_gives_data(storm: Path) -> None:
    """With --json an incident is told with its versions, positions and instants."""
    flaps, gap, open_gap = json.loads(run("list", "--file", storm, "-a", "main", "--json").output)
    assert (flaps["kind"], flaps["count"], flaps["ongoing"]) == ("flap_storm", 14, False)
    assert (flaps["first_position"], flaps["last_position"]) == (4, 69)
    assert (flaps["started_at"], flaps["cause"]) == ("2023-11-14T22:14:17.000000000Z", "transient")
    assert (gap["kind"], gap["seconds"], gap["account"]) == ("long_gap", 301.0, "main")
    assert (open_gap["ongoing"], open_gap["ended_at"]) == (True, None)


def test_list_as_of_a_moment(storm: Path) -> None:
    """Ages and what goes on are of that moment: the storm had begun, no gap was long yet."""
    for moment in ("29", "2023-11-14T22:20:00"):
        [flaps] = json.loads(run("list", "--file", storm, "--as-of", moment, "--json").output)
        assert (flaps["kind"], flaps["ongoing"]) == ("flap_storm", True)
        assert flaps["count"] < 14
    assert "going on" in run("list", "--file", storm, "--as-of", "29").output
    early = run("list", "--file", storm, "--as-of", "5")
    assert (early.exit_code, early.output) == (0, "There was no incident.\n")


def test_list_refuses_an_account_that_is_not_there(storm: Path) -> None:
    """Exit code 2 with a hint."""
    result = run("list", "--file", storm, "--account", "nobody")
    assert result.exit_code == 2
    assert "hint:" in result.stderr


@pytest.mark.parametrize(("upto", "moment"), [(3, "60"), (66, "2023-11-14T22:45")])
def test_list_after_an_archive(storm: Path, tmp_path: Path, upto: int, moment: str) -> None:
    """The incidents are told as before, and what is proposed still runs."""
    moments = ("--as-of", moment)
    before = json.loads(run("list", "--file", storm, *moments, "--json").output)
    assert moved(storm, upto, tmp_path / "archive")
    assert json.loads(run("list", "--file", storm, *moments, "--json").output) == before
    result = run("list", "--file", storm, *moments)
    words = shlex.split(result.output.splitlines()[-1])
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(main, words[2:])
        assert done.exit_code == 0, done.output
    assert ("archived in bundles" in done.output) == ("--from" not in words) == (upto == 66)


def test_list_names_the_bundle_of_what_is_archived_whole(tmp_path: Path) -> None:
    """An incident whose records are gone from the log is looked for in their bundle."""
    log = tmp_path / "log.db"
    with Bench(log) as bench:
        bench.claim()
        for _ in range(6):
            bench.up()
            bench.feed("closed", controller="A", code=408)
            bench.go(5)
        bench.up()
        bench.go(10_000)
        end = bench.store.last_position()
        bench.feed("activity", controller="A")
    [done] = moved(log, end + 1, tmp_path / "archive")
    result = run("list", "--file", log)
    assert "flap storm" in result.output
    assert done.bundle in result.output.splitlines()[-1]
