"""What all commands share: options, examples, JSON, and errors that are for people."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, TextIO

import click
import orjson

from ..eventstore.bundle_format import FutureSchema
from ..statemachine.errors import InputError, LinewardenError

DEFAULT_FILE = "linewarden.db"


def examples(*lines: str) -> str:
    """What stands under a command's help."""
    return "\b\nExamples:\n" + "\n".join("  " + line for line in lines)


def clear_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Errors of linewarden are for people, and exit code 2; 3 for a bundle from the future."""

    @wraps(command)
    def wrapper(*given: Any, **named: Any) -> Any:
        try:
            return command(*given, **named)
        except LinewardenError as error:
            complain(error)
            sys.exit(3 if isinstance(error, FutureSchema) else 2)

    return wrapper


def ask(what: str, option: str) -> str:
    """Ask for what must not stand in the list of processes: at a terminal, or a line of a pipe."""
    if sys.stdin is not None and sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    answer = sys.stdin.readline().strip() if sys.stdin is not None else ""
    if not answer:
        raise InputError(f"There is no terminal to ask on: {what}", hint=f"give {option}")
    return answer


def complain(error: LinewardenError, where: str = "linewarden: ") -> None:
    """Tell an error: a sentence, and what to do."""
    click.echo(f"{where}{error.message}", err=True)
    if error.hint:
        click.echo(f"  hint: {error.hint}", err=True)


@contextmanager
def clear_end() -> Iterator[None]:
    """What the world refuses, such as output on a full disk, ends a command with exit code 2.

    Not with 1, which would say that a replay diverged. A closed pipe is no news to whoever closed
    it; all else is told in a line.
    """
    output = sys.stdout
    try:
        try:
            yield
        except SystemExit:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            if sys.stdout is not output:  # click met a closed pipe, and has wrapped what it closes
                raise BrokenPipeError(errno.EPIPE, "") from None
            raise
    except OSError as error:
        _let_go(sys.__stdout__)
        if error.errno != errno.EPIPE:
            where = error.filename if error.filename is not None else "reading or writing failed"
            with suppress(OSError):
                click.echo(f"linewarden: {where}: {error.strerror or error}", err=True)
        _let_go(sys.__stderr__)
        sys.exit(2)


def _let_go(stream: TextIO | None) -> None:
    """Forget what can't be written, so that it does not fail again at the end of the process."""
    if stream is not None:
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_json(data: Any) -> None:
    """Data for programs."""
    click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


file_option = click.option(
    *("--file", "-f", "path"),
    default=DEFAULT_FILE,
    show_default=True,
    envvar="LINEWARDEN_LOG",
    help="The log; LINEWARDEN_LOG where the option is left out.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Data instead of a table.")


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What to open: a bundle, or a log with an account and a range (`incident.incident_of`).

    The command is called with `source`, `account`, `start` and `end`.
    """
    for option in (
        click.option("--to", "end", default=None, help="Of a log: up to this position or time."),
        click.option(
            "--from", "start", default=None, help="Of a log: from this position, time or 03:00 on."
        ),
        click.option("--account", "-a", default=None, help="Of a log: this account."),
        click.argument("source"),
    ):
        command = option(command)
    return command
