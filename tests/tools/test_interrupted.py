"""What nobody answered, or somebody broke off, ends with no exit code that is an answer."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from linewarden.statemachine.errors import InputError
from linewarden.tools import cli, cli_shape

MAIN = "from linewarden.tools.cli import main; main()"


def test_ctrl_c_is_exit_code_130(tmp_path: Path) -> None:
    """Exit code 1 would say that a log was changed, or that a replay diverged."""
    given = ["demo", "--file", str(tmp_path / "demo.db"), "--speed", "1"]  # it takes a minute
    command = [sys.executable, "-u", "-c", MAIN, *given]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        told = process.communicate()[1]
    assert (process.returncode, told) == (130, b"linewarden: interrupted\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_so_is_what_comes_before_a_command_begins(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Its module is imported first, which takes a moment."""

    def interrupted(*_: str) -> None:
        raise error

    monkeypatch.setattr(cli, "import_module", interrupted)
    assert CliRunner().invoke(cli.main, ["verify"]).exit_code == 130


@pytest.mark.parametrize("given", [io.StringIO(), io.StringIO(" \n"), None])
def test_where_nobody_can_be_asked_an_option_is_named(
    monkeypatch: pytest.MonkeyPatch, given: io.StringIO | None
) -> None:
    """As where `cron` runs it: bad input, for nothing was looked for."""
    monkeypatch.setattr(sys, "stdin", given)
    with pytest.raises(InputError, match="no terminal to ask on") as refused:
        cli_shape.ask("Subject", "--subject")
    assert refused.value.hint == "give --subject"


def test_a_pipe_answers_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as from a keeper of secrets: it stands in no list of processes."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("somebody\nelse\n"))
    assert cli_shape.ask("Subject", "--subject") == "somebody"
