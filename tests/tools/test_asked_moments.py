"""Moments as they are asked for, the reading commands as of one, and what they refuse."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from linewarden.statemachine.errors import InputError
from linewarden.statemachine.policy import NS
from linewarden.tools.cli import main
from linewarden.tools.moments import instant, moment

NOON = int(datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC).timestamp()) * NS


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that the demo leaves."""
    path = tmp_path_factory.mktemp("log") / "demo.db"
    assert CliRunner().invoke(main, ["demo", "--json", "--file", str(path)]).exit_code == 0
    return path


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("03:00", "2026-11-21T03:00:00"),
        ("3:00", "2026-11-21T03:00:00"),
        ("03:00:30", "2026-11-21T03:00:30"),
        (" 00:00 ", "2026-11-21T00:00:00"),
        ("12:00:10", "2026-11-21T12:00:10"),
        ("12:00:11", "2026-11-20T12:00:11"),
        ("23:59:59", "2026-11-20T23:59:59"),
    ],
)
def test_a_time_without_a_day_is_the_last_one_that_was(said: str, meant: str) -> None:
    """Whoever says 3 a.m. means the last night, UTC, and never a time to come."""
    for later in (0, 1, NS - 1):
        assert instant(moment(said, NOON + later).at or 0) == meant + ".000000000Z"


@pytest.mark.parametrize(
    ("said", "ns"),
    [
        ("2026-11-21T12:00:10.000000001Z", 1),
        ("2026-11-21 12:00:10.578", 578_000_000),
        ("2026-11-21T12:00:10,5+00:00", 500_000_000),
        ("20261121T120010.0000019", 1_900),
    ],
)
def test_a_time_is_read_to_the_nanosecond(said: str, ns: int) -> None:
    """The time of a record, copied as it is printed, is that instant and none before it."""
    assert moment(said, 0).at == NOON + ns


@pytest.mark.parametrize("said", ["24:00", "12:60", "3:0", "03:00:60", "3 am", ":30", "-3:00"])
def test_what_is_no_time_of_the_clock_is_no_other(said: str) -> None:
    """A time that no clock shows is refused, with all that could be said."""
    with pytest.raises(InputError) as caught:
        moment(said, NOON)
    assert "03:00" in caught.value.hint and "15m" in caught.value.hint


@pytest.mark.parametrize(
    "words",
    [
        ["status", "--as-of", "03:00"],
        ["timeline", "--from", "03:00", "--to", "3:00:30"],
        ["gaps", "--as-of", "23:59"],
        ["replies", "--as-of", "00:00"],
        ["why", "--as-of", "03:00", "--account", "support"],
    ],
)
def test_every_command_takes_a_time_without_a_day(log: Path, words: list[str]) -> None:
    """The moments of all commands are written in one way."""
    result = CliRunner().invoke(main, [*words, "--file", str(log)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ["status", "gaps", "replies"])
def test_ages_are_those_of_the_moment_asked_for(log: Path, command: str) -> None:
    """As of a record of years ago nothing is years old, and no timer is years late."""
    result = CliRunner().invoke(main, [command, "--file", str(log), "--as-of", "10"])
    assert result.exit_code == 0
    assert " d " not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["timeline", "--limit", "-3"],
        ["timeline", "--limit", "0"],
        ["replies", "--limit", "-1"],
        ["replies", "--outcome", "bogus"],
        ["bench", "--row", "99"],
    ],
)
def test_an_option_that_means_nothing_is_refused(log: Path, words: list[str]) -> None:
    """Exit code 2 and a sentence, never a traceback or an empty answer."""
    given = words if words[0] == "bench" else [*words, "--file", str(log)]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 2
    assert result.output.strip()
