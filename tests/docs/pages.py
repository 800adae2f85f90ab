"""The documents as the tests read them: their fenced blocks, their links and their words."""

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")],
    key=lambda path: path.name,
)

Command = Callable[[str], CompletedProcess[str]]
"""Runs a command line in the folder of the demo."""

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: the words after its fence, and what stands in it."""

    label: str
    text: str


class Line(NamedTuple):
    """A command as a document shows it, with its exit code and the output shown below it."""

    command: str
    code: int
    output: list[str]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """The fenced blocks of a document."""
    return [Block(*found) for found in _FENCE.findall(text_of(name))]


def block(name: str, label: str) -> str:
    """The one block of a document with this label."""
    [found] = [block.text for block in blocks(name) if block.label == label]
    return found


def without_blocks(text: str) -> str:
    return _FENCE.sub("", text)


def words(text: str) -> set[str]:
    """Everything that stands in backquotes."""
    return set(re.findall(r"`([^`\n]+)`", without_blocks(text)))


def console(name: str) -> list[Line]:
    """The command lines of the console blocks of a document."""
    lines: list[Line] = []
    for label, text in blocks(name):
        if label != "console":
            continue
        for row in text.splitlines():
            if row.startswith("$ "):
                command, _, remark = row[2:].partition("  # exit code ")
                lines.append(Line(command, int(remark or 0), []))
            else:
                lines[-1].output.append(row)
    return lines


def documented() -> list[Line]:
    """Every command line of linewarden that the README shows, wherever it stands."""
    shown = sorted(word for word in words(text_of("README.md")) if word.startswith("linewarden "))
    return [
        *console("README.md"),
        *(Line(word, 0, []) for word in shown if len(word.split()) > 2),
    ]
