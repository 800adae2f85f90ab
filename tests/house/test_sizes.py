"""House rules: files, functions and lines can be taken in at one look, and names say something."""

import ast
import re
from pathlib import PurePosixPath

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
EMPTY_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

Modules = dict[str, ast.Module]


def test_files_are_short(texts: dict[str, str]) -> None:
    """A file of code has at most 300 lines."""
    lengths = {
        name: len(text.splitlines())
        for name, text in texts.items()
        if name.endswith((".py", ".sql"))
    }
    assert not {name: lines for name, lines in lengths.items() if lines > FILE_LINES_MAX}


def test_functions_are_short(parsed: Modules) -> None:
    """A function has at most 70 lines."""
    long = [
        f"{name}:{node.lineno} {node.name} has {lines} lines"
        for name, tree in parsed.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for lines in [(node.end_lineno or node.lineno) - node.lineno + 1]
        if lines > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_lines_are_short(texts: dict[str, str]) -> None:
    """A line of code has at most 100 columns."""
    wide = [
        f"{name}:{number} has {len(line)} columns"
        for name, text in texts.items()
        if name.endswith((".py", ".sql"))
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > COLUMNS_MAX
    ]
    assert not wide, "\n".join(wide)


def test_names_say_what_is_in_a_file(files: list[str]) -> None:
    """No file and no folder is named by a word that fits anything."""
    empty = [
        name
        for name in files
        for part in PurePosixPath(name).parts
        if EMPTY_NAMES & set(re.split(r"[_.\-]", part.lower()))
    ]
    assert not empty, "\n".join(empty)


def test_the_root_holds_one_python_file(files: list[str]) -> None:
    """The face is the only Python file at the root, because any other would be shipped."""
    assert [name for name in files if "/" not in name and name.endswith(".py")] == ["__init__.py"]
