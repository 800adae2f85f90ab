"""The commands that keep a log: a person is erased, and old stretches are moved into bundles."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from .cli_shape import ask, clear_errors, examples, file_option, json_option, print_json

if TYPE_CHECKING:
    from .archiving import Moved
    from .erasing import Found


@click.command(
    epilog=examples(
        "linewarden erase --subject +15550100001 --dry-run",
        "linewarden erase --subject 100000000000001@lid --account support",
    )
)
@click.option(
    "--subject",
    default=None,
    help="Any form of an identity, or a chat; without it, it is asked for.",
)
@click.option(
    "--account", "-a", default=None, help="Only values that no other account holds as well."
)
@click.option("--dry-run", is_flag=True, help="Only say how much there is.")
@file_option
@json_option
@clear_errors
def erase(
    subject: str | None, account: str | None, dry_run: bool, path: str, as_json: bool
) -> None:
    """Erase a person: every form and chat of theirs leaves the vault and the files.

    Records keep their tokens, which lead to nobody any more, so every chain stays valid. Exit code
    0 where nothing is left, 1 where a trace remains for now, the person was seen again meanwhile,
    or another account holds values too.
    """
    from . import erasing

    # Asked for, it stands neither in `ps` nor in the history of the shell.
    asked = subject if subject is not None else ask("Subject", "--subject")
    found = erasing.find(path, asked, account)
    running = False if dry_run else erasing.erase(path, found)
    left, again = ([], False) if dry_run else erasing.traces(path, found.values)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "read_as": found.read_as,
                "accounts": {name: len(tokens) for name, tokens in found.held.items()},
                "identities": found.identities,
                "chats": found.chats,
                "records": found.records,
                "kept": found.kept,
                "running": running,
                "traces": left,
                "seen_again": again,
            }
        )
    else:
        _show_erased(found, dry_run, left, again)
    sys.exit(1 if left or again or (found.kept and not dry_run) else 0)


def _show_erased(found: Found, dry_run: bool, left: list[str], again: bool) -> None:
    count = f"{found.identities} forms of an identity and {found.chats} chats"
    names = ", ".join(sorted(found.held))
    click.echo(f"The subject was read as {found.read_as}.")
    if not found.held:
        click.echo("The vault holds nothing of this subject.")
    elif dry_run:
        where = f"{found.records} records of {names}" if found.records else "no record that is left"
        click.echo(f"There are {count}, named in {where}.")
    else:
        click.echo(f"Erased {count}; recorded with {names}. The records keep their tokens.")
    if found.kept:
        click.echo(f"{found.kept} values stay: other accounts hold them too (leave out --account).")
    if again:
        click.echo("The person was seen again since, under new tokens, as a stranger is.")
        click.echo("  hint: run the command again once the gateway does not see them any more")
    if left:
        click.echo(f"A trace still stands in {', '.join(left)}: somebody is reading the log.")
        click.echo("  hint: it goes with the next commits, or when the command is run again")


@click.command(
    epilog=examples(
        "linewarden archive --before 90d --to /srv/archive",
        "linewarden archive --before 2026-01-01 --account support --to /srv/archive --json",
    )
)
@click.option(
    "--before",
    required=True,
    help="A UTC time or 03:00, 90d for 90 days ago, or a position of the log.",
)
@click.option("--to", "folder", required=True, help="The folder for the bundles.")
@click.option("--account", "-a", default=None, help="Only this account.")
@file_option
@json_option
@clear_errors
def archive(before: str, folder: str, account: str | None, path: str, as_json: bool) -> None:
    """Move old records into verified bundles, so that the log stays small.

    No gateway may run on the log. Broken off, run it again with the same folder: it goes on. Keep
    the bundles: of what they hold the log only has a snapshot.
    """
    from ..gateway.clock import SystemClock
    from .archiving import BrokenOff
    from .archiving import archive as move
    from .moments import moment

    try:
        moved, was, now = move(path, moment(before, SystemClock().now()), folder, account)
    except BrokenOff as error:
        _show_moved(error.moved, err=as_json)
        raise
    if as_json:
        print_json({"moved": [msgspec.to_builtins(one) for one in moved], "was": was, "now": now})
        return
    _show_moved(moved)
    if moved:
        click.echo(f"The log had {was / 1e6:.1f} MB and has {now / 1e6:.1f} MB.")
    else:
        click.echo("There is nothing settled before that.")


def _show_moved(moved: list[Moved], *, err: bool = False) -> None:
    for one in moved:
        text = f"{one.account}: versions {one.first} to {one.last} are in {one.bundle}"
        click.echo(text, err=err)
