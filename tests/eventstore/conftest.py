"""Stores on real files, processes beside them, and a user without rights."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linewarden.eventstore.sqlite import SQLiteStore

from .material import Make

NOBODY = 65534


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with SQLiteStore.open(path, name="test") as opened:
        yield opened


@pytest.fixture
def script() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts Python processes with a text to run; none outlives its test."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", text, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """Makes a folder of a user whose rights count, which those of root don't."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        was = os.geteuid()
        if was == 0:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            folder.chmod(0o700)
            if was == 0:
                os.seteuid(0)
