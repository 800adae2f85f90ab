"""The command line explains itself: every command and option is documented, with examples."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from linewarden.tools.cli import main

from .pages import PAGES

EVERYWHERE = {"--help", "--version"}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yields every command with its full name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        here = (*path, name)
        if isinstance(found, click.Group):
            yield from commands(found, here)
        else:
            yield " ".join(here), found


COMMANDS = dict(commands(main))
each_command = pytest.mark.parametrize("name", sorted(COMMANDS))


def options(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def examples(command: click.Command) -> list[str]:
    found = re.findall(r"^  (linewarden .*)$", command.epilog or "", re.MULTILINE)
    return [str(line) for line in found]


@each_command
def test_a_command_says_what_it_does(name: str) -> None:
    """Every command has a sentence of help, and every option of it has one too."""
    command = COMMANDS[name]
    assert (command.help or "").strip()
    silent = [option.opts[0] for option in options(command) if not option.help]
    assert not silent, silent


@each_command
def test_a_command_has_examples(name: str) -> None:
    """`--help` of a command ends with examples, and they are understood by that command."""
    command = COMMANDS[name]
    assert "Examples:" in (command.epilog or "")
    assert examples(command)
    for line in examples(command):
        words = shlex.split(line)[1:]
        assert words[: len(name.split())] == name.split(), line
        given = words[len(name.split()) :]
        # Parsed and not run: a wrong option or a missing argument raises.
        with command.make_context(name, given):
            pass


@each_command
def test_a_command_is_named_in_the_documents(name: str) -> None:
    """Every command stands in the README or in another page."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    pattern = re.compile(rf"linewarden {re.escape(name)}\b|make {re.escape(name)}\b|`{name}`")
    assert any(pattern.search(text) for text in texts)


@each_command
def test_options_are_in_the_table(name: str) -> None:
    """Every option of a command stands in the README's table of commands, and none that is not."""
    readme = next(page for page in PAGES if page.name == "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{re.escape(name)}` \|(.*)$", readme, re.MULTILINE)
    assert row is not None
    told = set(re.findall(r"--[a-z-]+", row[1]))
    known = {word for option in options(COMMANDS[name]) for word in option.opts if "--" in word}
    assert told == known - EVERYWHERE


def test_the_group_has_examples() -> None:
    """`linewarden --help` ends with examples of commands that exist."""
    found = examples(main)
    assert found
    assert {line.split()[1] for line in found} <= {name.split()[0] for name in COMMANDS}
