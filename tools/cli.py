"""`linewarden`: the command line. Every command has `--json`, examples and an exit code.

Exit codes: 0 all well; 1 something is not as it should be; 2 bad input, or a file that can't be
read. A bad input's message says what, where and what to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import orjson

from ..statemachine.errors import LinewardenError
from ..statemachine.version import VERSION

DEFAULT_FILE = "linewarden.db"


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join("  " + line for line in lines)


def _clear_errors(command: Callable[..., Any]) -> Callable[..., Any]:
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


def _print_json(data: Any) -> None:
    click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


file_option = click.option(
    "--file", "-f", "path", default=DEFAULT_FILE, show_default=True, help="The log to read."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Data instead of a table.")


@click.group(epilog=_examples("linewarden demo", "linewarden status", "linewarden why --reply r1"))
@click.version_option(VERSION, prog_name="linewarden")
def main() -> None:
    """Keep, read and explain the lifecycle of WhatsApp connections."""


@main.command(
    epilog=_examples(
        "linewarden scenario tests/scenarios/*.jsonl",
        "linewarden scenario --json tests/scenarios/oc-007-*.jsonl",
    )
)
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result of each file.")
@_clear_errors
def scenario(files: tuple[str, ...], as_json: bool) -> None:
    """Play scenario files and tell every difference from what they expect.

    Exit code 0 when there is none, 1 when there is one, 2 when a file is not a scenario.
    """
    from .scenario_file import read_scenario
    from .scenario_judge import judge

    scenarios = [read_scenario(path) for path in files]
    failed = 0
    for played in scenarios:
        seen, found = judge(played)
        failed += bool(found)
        if as_json:
            _print_json(seen)
        for text in found:
            click.echo(f"{played.header.scenario}: {text}", err=as_json)
    if not as_json:
        click.echo(f"{len(scenarios) - failed} of {len(scenarios)} scenarios hold")
    sys.exit(1 if failed else 0)


@main.command(epilog=_examples("linewarden demo", "linewarden demo --speed 0 --file /tmp/x.db"))
@click.option("--file", "path", default="demo/openclaw-85823.db", show_default=True)
@click.option("--speed", default=40.0, show_default=True, help="Times real time; 0: don't wait.")
@_clear_errors
def demo(path: str, speed: float) -> None:
    """Play the incident of OpenClaw #85823 and its twist, and show what the log knows of it."""
    from .demo import play

    sys.exit(play(path, speed, click.echo))


@main.command(epilog=_examples("linewarden verify", "linewarden verify --file demo/x.db --json"))
@file_option
@json_option
@_clear_errors
def verify(path: str, as_json: bool) -> None:
    """Walk the chains of a log: 0 intact, 1 tampered or corrupt, 2 unreadable."""
    from ..eventstore import open_reader
    from ..eventstore.verify import verify as walk

    reader = open_reader(path)
    try:
        report = walk(reader)
    finally:
        reader.close()
    if as_json:
        _print_json(report.as_data())
    else:
        click.echo(report.as_text())
    sys.exit(0 if report.ok else 1)


@main.command(epilog=_examples("linewarden chart", "linewarden chart --json"))
@json_option
def chart(as_json: bool) -> None:
    """Draw the states and what leads from one to the other, from the table itself (mermaid)."""
    from .chart import chart as draw

    drawn = draw()
    if as_json:
        _print_json({"mermaid": drawn})
    else:
        click.echo(drawn)
