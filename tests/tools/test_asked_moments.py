"""The reading commands as of a moment, and what they refuse."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from linewarden.tools.cli import main


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that the demo leaves."""
    path = tmp_path_factory.mktemp("log") / "demo.db"
    assert CliRunner().invoke(main, ["demo", "--json", "--file", str(path)]).exit_code == 0
    return path


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
