"""Which log a command means: that of `--file`, else of LINEWARDEN_LOG, else of the folder."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linewarden.tools.cli import main

from ..docs.test_commands import COMMANDS, options
from ..eventstore.archives import lived

APART = {"demo", "run"}
"""`demo` makes a log of its own; `run` takes its from the settings, which have tests."""

NEEDED = {
    "archive": ["--before", "1", "--to", "."],
    "erase": ["--subject", "+15550100001"],
    "incident export": ["--account", "main", "--to", "x.incident.jsonl.gz"],
}
WITH_FILE = sorted(
    name
    for name, command in COMMANDS.items()
    if name not in APART and any("--file" in option.opts for option in options(command))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of the default name."""
    folder = tmp_path_factory.mktemp("folder")
    lived(folder / "linewarden.db", 1)
    return folder


def run(name: str, *more: str) -> Result:
    account = [arg.name for arg in COMMANDS[name].params if arg.name == "account" and arg.required]
    words = [*name.split(), *("main" for _ in account), *NEEDED.get(name, []), *more]
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize("name", WITH_FILE)
def test_the_variable_names_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A log of the default name beside it is another one, and is not even looked at."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINEWARDEN_LOG", "other.db")
    assert "other.db" in run(name).output


@pytest.mark.parametrize("name", WITH_FILE)
def test_the_option_wins(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is said is meant, whatever the environment says."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINEWARDEN_LOG", "linewarden.db")
    assert "other.db" in run(name, "--file", "other.db").output


def test_a_source_wins_over_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` audits what is named, and only else what the environment names."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINEWARDEN_LOG", "other.db")
    assert run("verify", "linewarden.db").exit_code == 0
    assert run("verify", "--file", "linewarden.db").exit_code == 0
