"""What all commands share: options, examples, JSON, and errors that are for people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import orjson

from ..statemachine.errors import LinewardenError

DEFAULT_FILE = "linewarden.db"


def examples(*lines: str) -> str:
    """What stands under a command's help."""
    return "\b\nExamples:\n" + "\n".join("  " + line for line in lines)


def clear_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Errors of linewarden are for people: one sentence and a hint, and exit code 2."""

    @wraps(command)
    def wrapper(*given: Any, **named: Any) -> Any:
        try:
            return command(*given, **named)
        except LinewardenError as error:
            click.echo(f"linewarden: {error.message}", err=True)
            if error.hint:
                click.echo(f"  hint: {error.hint}", err=True)
            sys.exit(2)

    return wrapper


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
