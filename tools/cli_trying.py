"""The commands that try linewarden out: scenarios, the demo, the chart, benchmarks."""

from __future__ import annotations

import sys

import click
import msgspec

from ..statemachine.errors import InputError
from .cli_shape import clear_errors, examples, json_option, print_json


@click.command(
    epilog=examples(
        "linewarden scenario tests/scenarios/*.jsonl",
        "linewarden scenario --json tests/scenarios/oc-007-*.jsonl",
    )
)
@click.argument("files", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the whole result of each file.")
@clear_errors
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
            print_json(seen)
        for text in found:
            click.echo(f"{played.header.scenario}: {text}", err=as_json)
    if not as_json:
        click.echo(f"{len(scenarios) - failed} of {len(scenarios)} scenarios hold")
    sys.exit(1 if failed else 0)


@click.command(epilog=examples("linewarden demo", "linewarden demo --speed 0 --file /tmp/x.db"))
@click.option(
    "--file",
    "path",
    default="demo/openclaw-85823.db",
    show_default=True,
    help="The new file that the demo leaves.",
)
@click.option("--speed", default=40.0, show_default=True, help="Times real time; 0: don't wait.")
@json_option
@clear_errors
def demo(path: str, speed: float, as_json: bool) -> None:
    """Play the incident of OpenClaw #85823 and its twist, and show what the log knows of it."""
    from .demo import play

    if as_json:
        seen, wrong = play(path, 0, lambda _: None)
        print_json({"file": path, **seen})
    else:
        _, wrong = play(path, speed, click.echo)
    sys.exit(1 if wrong else 0)


@click.command(epilog=examples("linewarden chart", "linewarden chart --json"))
@json_option
def chart(as_json: bool) -> None:
    """Draw the states and what leads from one to the other, from the table itself (mermaid)."""
    from .chart import chart as draw

    drawn = draw()
    if as_json:
        print_json({"mermaid": drawn})
    else:
        click.echo(drawn)


@click.command(epilog=examples("linewarden bench", "linewarden bench --row 5 --row 11 --quick"))
@click.option("--row", "only", multiple=True, type=int, help="Measure this row only.")
@click.option("--quick", is_flag=True, help="Small amounts: a look, not a measurement.")
@json_option
@clear_errors
def bench(only: tuple[int, ...], quick: bool, as_json: bool) -> None:
    """Measure the rows of docs/performance.md, each with its peer or limit beside it."""
    from tabulate import tabulate

    from .bench import rows

    found = rows(only, quick)
    if not found:
        raise InputError("there is no such row", hint="the rows stand in docs/performance.md")
    if as_json:
        print_json([msgspec.to_builtins(row) for row in found])
        return
    table = [
        (row.number, row.what, row.measured, row.beside, row.must, "yes" if row.reached else "NO")
        for row in found
    ]
    click.echo(tabulate(table, ("#", "what", "measured", "beside", "must reach", "reached")))
