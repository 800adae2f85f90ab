"""The commands that ask something of an account: they go through the log, as all that happens.

Whoever holds the log is handed the command and acts on it. Where nobody does, it is recorded here
and nothing more: the next run takes up what the log asks for.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from ..eventstore import open_reader
from ..gateway.commands import command_of
from . import reading, wording
from .cli_shape import clear_errors, examples, file_option, json_option, print_json
from .commanding import carry_out


def request(path: str, account: str, stimulus: str, reason: str | None) -> dict[str, Any]:
    """What became of a command; `running` says whether somebody holds the log and acts on it.

    Raises `LinewardenError` where there is no such log or account, or nobody who takes commands.
    """
    command = command_of(account, stimulus, reason)
    reader = open_reader(path)
    try:
        reading.status(reader, account)
    finally:
        reader.close()
    return carry_out(path, command, stimulus.removesuffix("_requested"))


def _show(answer: dict[str, Any]) -> None:
    click.echo(answer["explanation"])
    state = wording.state(answer["state"])
    click.echo(f"{answer['account']}: {state} (position {answer['position']})")
    if answer["granted"] and not answer["running"]:
        click.echo("Nobody runs on this log now: it is recorded, and the next run takes it up.")


def _command(name: str, stimulus: str, text: str, reason: str) -> click.Command:
    """A command of the command line; `reason` is the one of its example."""

    @click.argument("account")
    @file_option
    @click.option("--reason", default=None, help="Why, for the log; it may name nobody.")
    @json_option
    @clear_errors
    def run(account: str, path: str, reason: str | None, as_json: bool) -> None:
        answer = request(path, account, stimulus, reason)
        if as_json:
            print_json(answer)
        else:
            _show(answer)
        sys.exit(0 if answer["granted"] else 1)

    shown = examples(
        f"linewarden {name} support",
        f'linewarden {name} support --reason "{reason}" --file linewarden.db',
    )
    ending = "\n\nExit code 0 where it is granted, 1 where it is refused, 2 on bad input."
    return click.command(name, help=text + ending, epilog=shown)(run)


restart = _command(
    "restart",
    "restart_requested",
    "Restart a connection: its socket closes, and a successor is started.",
    "no messages since noon",
)
stop = _command(
    "stop",
    "stop_requested",
    "Stop an account on purpose; `linewarden start` begins again.",
    "the phone is being changed",
)
release = _command(
    "release",
    "release_requested",
    "Lift a hold and dial at once, or take the session back in a conflict.",
    "the other gateway is off",
)
relink = _command(
    "relink",
    "relink_requested",
    "Begin again after an end; after a logout the device is linked anew.",
    "the phone is at hand",
)
start = _command(
    "start",
    "relink_requested",
    "Begin again after an end, as `linewarden relink` does: after a stop, for instance.",
    "the phone is back",
)
