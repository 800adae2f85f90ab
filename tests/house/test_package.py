"""The wheel: built once from a copy of the tree, installed beside it, and used from there."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from linewarden.statemachine.version import VERSION

# The first setuptools that knows `license = "Apache-2.0"`, as [build-system] says.
SETUPTOOLS_MIN = 77


def run(*command: str, cwd: Path, **variables: str) -> str:
    """Runs a command that must succeed and gives what it printed."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def setuptools_is_new_enough() -> bool:
    try:
        version = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        return False
    return int(version.split(".")[0]) >= SETUPTOOLS_MIN


@pytest.fixture(scope="module")
def wheel(files: list[str], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the tree as it stands makes, with nothing of an earlier build in it."""
    copy = tmp_path_factory.mktemp("a tree of another name")
    for name in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, copy / name)
    made = tmp_path_factory.mktemp("wheel")
    isolation = ["--no-build-isolation"] if setuptools_is_new_enough() else []
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", *isolation]
    run(*command, "--wheel-dir", str(made), str(copy), cwd=made)
    [built] = made.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which nothing but the wheel is installed."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    run(*command, "--target", str(target), str(wheel), cwd=target)
    return target


def test_every_folder_of_sources_is_named(packages: set[str], root: Path) -> None:
    """pyproject.toml names every folder that is a package, because none is found by itself."""
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    expected = {f"linewarden.{name.replace('/', '.')}" for name in packages}
    assert set(settings["packages"]) == {"linewarden", *expected}


def test_the_wheel_holds_the_package_and_nothing_else(
    wheel: Path, files: list[str], packages: set[str]
) -> None:
    """The wheel has every source, SQL and data file, the mark py.typed, and no tests."""
    shipped = {
        f"linewarden/{name}"
        for name in files
        if name in {"__init__.py", "py.typed"}
        or (str(Path(name).parent) in packages and not name.endswith(".md"))
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == shipped


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """The metadata gives name, version, licence with its text, Python and the command."""
    about = f"linewarden-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = HeaderParser().parsestr(archive.read(f"{about}/METADATA").decode())
        commands = archive.read(f"{about}/entry_points.txt").decode()
        licence = archive.read(f"{about}/licenses/LICENSE").decode()
    assert metadata["Name"] == "linewarden"
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "linewarden = linewarden.tools.cli:main" in commands
    assert licence.split()[:4] == ["Apache", "License", "Version", "2.0,"]


def test_the_installed_wheel_imports(installed: Path, packages: set[str], tmp_path: Path) -> None:
    """What was installed imports from its own folder, every floor of it, and tells its version."""
    floors = sorted(f"linewarden.{name.replace('/', '.')}" for name in packages)
    script = (
        "import importlib, importlib.metadata, linewarden\n"
        f"modules = [linewarden, *map(importlib.import_module, {floors!r})]\n"
        "print(importlib.metadata.version('linewarden'))\n"
        "print(*[module.__file__ for module in modules], sep='\\n')\n"
    )
    printed = run(sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(installed))
    version, *places = printed.splitlines()
    assert version == VERSION
    assert len(places) == len(floors) + 1
    assert all(Path(place).is_relative_to(installed) for place in places)
