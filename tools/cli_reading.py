"""The commands that read a log: what is, what was, and why. None of them writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..eventstore import Reader, open_reader
from ..eventstore.sqlite_owner import is_owned
from ..gateway.clock import SystemClock
from ..projections.explanations import OUTCOMES
from . import reading, tables
from .cli_shape import clear_errors, examples, file_option, json_option, print_json
from .moments import Moment, moment, plain

account_option = click.option("--account", "-a", default=None, help="Only this account.")
as_of_option = click.option(
    "--as-of", default=None, help="A position, a UTC time or 03:00, or 15m for 15 minutes ago."
)


@contextmanager
def _open(path: str) -> Iterator[Reader]:
    reader = open_reader(path)
    try:
        yield reader
    finally:
        reader.close()


def _now() -> int:
    return SystemClock().now()


def _moment(text: str | None) -> Moment | None:
    return moment(text, _now()) if text is not None else None


def _show(answer: Any, as_json: bool, render: Callable[[Any], str]) -> None:
    if as_json:
        print_json(plain(answer))
    else:
        click.echo(render(answer))


@click.command(
    epilog=examples(
        "linewarden status",
        "linewarden status --account support --json",
        "linewarden status --as-of 2026-11-21T03:00",
    )
)
@file_option
@account_option
@as_of_option
@json_option
@clear_errors
def status(path: str, account: str | None, as_of: str | None, as_json: bool) -> None:
    """How every account stands: state, since when, proof of life, next timer, replies."""
    asked = _moment(as_of)
    with _open(path) as reader:
        found = reading.status(reader, account, asked)
        now = reading.seen_from(reader, asked, _now())
    _show(found, as_json, lambda rows: tables.status(rows, now))
    if found and asked is None and not is_owned(path):
        click.echo("No service runs on this log: this is what was known last.", err=as_json)


@click.command(
    epilog=examples(
        "linewarden timeline --account support",
        "linewarden timeline --account support --from 15m --limit 20",
        "linewarden timeline --from 2026-11-21T03:00 --to 2026-11-21T03:10 --json",
    )
)
@file_option
@account_option
@click.option("--from", "start", default=None, help="From this position, time or 15m ago on.")
@click.option("--to", "end", default=None, help="Up to this position or time.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Of more records the last ones.",
)
@json_option
@clear_errors
def timeline(
    path: str,
    account: str | None,
    start: str | None,
    end: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """What was observed and decided, record by record."""
    with _open(path) as reader:
        found = reading.timeline(
            reader, account, start=_moment(start), end=_moment(end), limit=limit
        )
    _show(found, as_json, tables.timeline)


@click.command(
    epilog=examples(
        "linewarden why --account support",
        "linewarden why --reply r1",
        "linewarden why --account support --controller support-1 --as-of 120",
    )
)
@file_option
@account_option
@click.option("--reply", default=None, help="Why this reply became what it is.")
@click.option("--controller", default=None, help="Why this controller ended as it did.")
@as_of_option
@json_option
@clear_errors
def why(
    path: str,
    account: str | None,
    reply: str | None,
    controller: str | None,
    as_of: str | None,
    as_json: bool,
) -> None:
    """Which record, which rule and which evidence led to what is so."""
    with _open(path) as reader:
        found = reading.why(
            reader, account, reply=reply, controller=controller, moment=_moment(as_of)
        )
    _show(found, as_json, tables.why)


@click.command(epilog=examples("linewarden gaps", "linewarden gaps --account support --json"))
@file_option
@account_option
@as_of_option
@json_option
@clear_errors
def gaps(path: str, account: str | None, as_of: str | None, as_json: bool) -> None:
    """The intervals without a live controller, and what may have been missed in them."""
    asked = _moment(as_of)
    with _open(path) as reader:
        now = reading.seen_from(reader, asked, _now())
        found = reading.gaps(reader, now, account, asked)
    _show(found, as_json, lambda rows: tables.gaps(rows, now))


@click.command(
    epilog=examples(
        "linewarden replies",
        "linewarden replies --account support --outcome refused --limit 20",
    )
)
@file_option
@account_option
@click.option(
    "--outcome",
    type=click.Choice(sorted(OUTCOMES)),
    default=None,
    help="Only with this outcome.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Of more replies the last ones.",
)
@as_of_option
@json_option
@clear_errors
def replies(
    path: str,
    account: str | None,
    outcome: str | None,
    limit: int,
    as_of: str | None,
    as_json: bool,
) -> None:
    """Every reply that is remembered, with its outcome and through whom it left."""
    asked = _moment(as_of)
    with _open(path) as reader:
        found = reading.replies(reader, account, outcome=outcome, moment=asked, limit=limit)
        now = reading.seen_from(reader, asked, _now())
    _show(found, as_json, lambda rows: tables.replies(rows, now))
