"""Output that can't be written is never taken for a finding."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pytest

from .other_code import PACKAGE

RUN = "import sys; from linewarden.tools.cli import main; main(prog_name='linewarden')"
FULL = Path("/dev/full")
COMMANDS = [
    ["--help"],
    ["replay", "--help"],
    ["replay", "{night}"],
    ["replay", "{night}", "--json"],
    ["render", "{night}", "--as", "cloudevents"],
    ["chart"],
]
full = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is full")


def ended(
    asked: Sequence[str], night: str, out: int | IO[bytes], err: int | IO[bytes], buffered: str
) -> "subprocess.CompletedProcess[bytes]":
    """A command that has ended, with these outputs."""
    return subprocess.run(
        [sys.executable, "-c", RUN, *(word.format(night=night) for word in asked)],
        stdout=out,
        stderr=err,
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        cwd=PACKAGE,
        check=False,
    )


@full
@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("asked", COMMANDS, ids=" ".join)
def test_a_full_disk_is_exit_code_2(asked: list[str], buffered: str, night: str) -> None:
    """One line says what is wrong; 1 would say that something diverged."""
    with FULL.open("wb") as out:
        done = ended(asked, night, out, subprocess.PIPE, buffered)
    expected = b"linewarden: reading or writing failed: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, expected)


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("asked", [*COMMANDS, ["replay", "missing"]], ids=" ".join)
def test_a_pipe_that_nobody_reads_is_exit_code_2(
    asked: list[str], buffered: str, night: str
) -> None:
    """Whoever closed it knows: nothing is said, and no error is told as something that differs."""
    read, written = os.pipe()
    os.close(read)
    with open(written, "wb") as pipe:
        err = pipe if "missing" in asked else subprocess.PIPE
        done = ended(asked, night, pipe, err, buffered)
    assert (done.returncode, done.stderr or b"") == (2, b"")


@full
@pytest.mark.parametrize("asked", [["replay"], ["replay", "missing"]], ids=" ".join)
def test_an_error_that_cant_be_told_is_exit_code_2(asked: list[str], night: str) -> None:
    """An exit code stands where not even the error can be written."""
    with FULL.open("wb") as err:
        assert ended(asked, night, subprocess.PIPE, err, "").returncode == 2
