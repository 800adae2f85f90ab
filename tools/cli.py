"""`linewarden`: the command line. Every command has examples and an exit code, most have `--json`.

Exit codes: 0 all well; 1 something is not as it should be; 2 bad input, a file that can't be read,
or output that can't be written; 130 Ctrl-C. A bad input's message says what, where and what to do.
A command's module is imported when it is asked for: reading a log must not wait for what runs a
gateway.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from ..statemachine.version import VERSION
from .cli_shape import clear_end, examples

HOMES = {
    "run": "cli_run",
    "doctor": "cli_doctor",
    "restart": "cli_commands",
    "stop": "cli_commands",
    "start": "cli_commands",
    "relink": "cli_commands",
    "release": "cli_commands",
    "status": "cli_reading",
    "timeline": "cli_reading",
    "why": "cli_reading",
    "gaps": "cli_reading",
    "replies": "cli_reading",
    "incident": "cli_incident",
    "replay": "replay.cli",
    "diff": "replay.cli",
    "replay-all": "replay.cli",
    "accept": "replay.cli",
    "mktest": "replay.cli",
    "step": "explore.cli",
    "what-if": "explore.cli",
    "minimise": "explore.cli",
    "render": "render.cli",
    "verify": "cli_verify",
    "keygen": "cli_verify",
    "erase": "cli_keeping",
    "archive": "cli_keeping",
    "scenario": "cli_trying",
    "demo": "cli_trying",
    "chart": "cli_trying",
    "bench": "cli_trying",
}
"""Every command, in the order of the help, and the module in which a function of its name is."""


class Commands(click.Group):
    """Finds its commands by `HOMES`."""

    def main(self, *given: Any, **named: Any) -> Any:
        """Run a command."""
        with clear_end():
            return super().main(*given, **named)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; Ctrl-C is no answer, so it has an exit code that is none either."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("linewarden: interrupted", err=True)
            sys.exit(130)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, as the help shows them."""
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        home = HOMES.get(cmd_name)
        if home is None:
            return None
        found = getattr(import_module(f".{home}", __package__), cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found


@click.group(
    cls=Commands,
    epilog=examples("linewarden demo", "linewarden run --account support", "linewarden status"),
)
@click.version_option(VERSION, prog_name="linewarden")
def main() -> None:
    """Keep, read and explain the lifecycle of WhatsApp connections."""
