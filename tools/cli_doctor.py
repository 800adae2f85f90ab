"""`linewarden doctor`: whether this machine, the log and the sessions are as they should be."""

from __future__ import annotations

import os
import sys
from glob import escape, glob

import click
import msgspec

from .cli_shape import clear_errors, examples, json_option, print_json


@click.command(epilog=examples("linewarden doctor", "linewarden doctor --config gateway.toml"))
@click.option("--file", "-f", "path", help="The log; without it, the one that the settings name.")
@click.option("--config", help="The settings of `linewarden run`, as a TOML file.")
@click.option("--account", "accounts", multiple=True, help="An account, as for `linewarden run`.")
@json_option
@clear_errors
def doctor(path: str | None, config: str | None, accounts: tuple[str, ...], as_json: bool) -> None:
    """Look whether `linewarden run` can work here, and say what to do where it can't.

    Exit code 0 where nothing is bad, 1 where something is, 2 on bad input.
    """
    from ..gateway.clock import SystemClock
    from ..gateway.supervisor.settings import read_settings
    from .doctor import examine

    given = {**os.environ, "LINEWARDEN_LOG": path} if path else os.environ
    # Where nothing names an account, one of any name tells where sessions lie.
    settings = read_settings(config, given, accounts or ([] if config else ["any"]))
    sessions = [line.session for line in settings.accounts.values()]
    if not (config or accounts):
        sessions += glob(escape(os.path.dirname(sessions[0])) + "/*.db")
    findings = examine(settings.log, sessions, SystemClock().now(), os.environ)
    bad = any(finding.level == "bad" for finding in findings)
    if as_json:
        print_json({"ok": not bad, "findings": msgspec.to_builtins(findings)})
    else:
        for finding in findings:
            click.echo(f"{finding.level:<6}{finding.name:<18}{finding.found}")
            if finding.advice:
                click.echo(f"{'':<24}→ {finding.advice}")
    sys.exit(1 if bad else 0)
