"""What the house rules look at: every file of the tree, and the Python among them parsed once."""

import ast
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE_BY_TOOLS = {"__pycache__", "build", "demo", "dist"}


def listed_by_git() -> list[str]:
    """Names the files that are tracked or could be; none where this is no checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]


def listed_by_walking() -> list[str]:
    """Names the files of an unpacked archive, without what tools left there."""
    names: list[str] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in MADE_BY_TOOLS
            and not name.endswith(("egg-info", "_cache"))
            and name not in {".git", ".venv", ".hypothesis"}
        ]
        names += [(Path(folder) / name).relative_to(ROOT).as_posix() for name in files]
    return names


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[str]:
    """Every file of the tree, tracked or not yet, relative to its root."""
    names = listed_by_git() or listed_by_walking()
    return sorted({name for name in names if (ROOT / name).is_file()})


@pytest.fixture(scope="session")
def texts(files: list[str]) -> dict[str, str]:
    """What stands in every file that is text."""
    contents = {name: (ROOT / name).read_bytes() for name in files}
    return {
        name: content.decode("utf-8", "replace")
        for name, content in contents.items()
        if b"\0" not in content
    }


@pytest.fixture(scope="session")
def packages(files: list[str]) -> set[str]:
    """The folders that are packages: the floors."""
    inits = {name.removesuffix("/__init__.py") for name in files if name.endswith("/__init__.py")}
    return {name for name in inits if not name.startswith(("tests", "docs"))}


@pytest.fixture(scope="session")
def parsed(texts: dict[str, str]) -> dict[str, ast.Module]:
    """Every Python file of the tree, sources and tests, as its syntax tree."""
    return {
        name: ast.parse(text, filename=name) for name, text in texts.items() if name.endswith(".py")
    }


@pytest.fixture(scope="session")
def sources(parsed: dict[str, ast.Module]) -> dict[str, ast.Module]:
    """The Python files that are shipped."""
    return {name: tree for name, tree in parsed.items() if not name.startswith(("tests/", "docs/"))}


@pytest.fixture(scope="session")
def test_modules(parsed: dict[str, ast.Module]) -> dict[str, ast.Module]:
    """The Python files that prove the others."""
    return {name: tree for name, tree in parsed.items() if name.startswith("tests/")}
