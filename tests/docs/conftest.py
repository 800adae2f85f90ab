"""A folder in which the commands of the documents can be run, and what carries them out."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT, Command

RUN = "import sys; from linewarden.tools.cli import main; main(prog_name='linewarden')"


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command line of linewarden as a shell would, with globs, in a process of its own."""
    name, *given = shlex.split(command)
    assert name == "linewarden"
    expanded: list[str] = []
    for word in given:
        found = sorted(folder.glob(word)) if "*" in word else []
        expanded += [str(path.relative_to(folder)) for path in found] or [word]
    return subprocess.run(
        [sys.executable, "-c", RUN, *expanded],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder like a checkout after `make demo`, and what the demo has printed."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "tests").symlink_to(ROOT / "tests")
    done = run("linewarden demo --speed 0", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


@pytest.fixture
def command(demo: tuple[Path, str]) -> Command:
    return lambda line: run(line, demo[0])
