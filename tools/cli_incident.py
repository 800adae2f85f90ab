"""The commands of incidents: cut one out of a log, and look into one."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import msgspec

from ..eventstore.bundle import Bundle, read_bundle, write_bundle
from .cli_shape import clear_errors, examples, file_option, json_option, print_json
from .incident import cut_from
from .moments import clock, instant, span

PATH_MAX = 24
"""Changes of state that `inspect` shows; of more the first and the last ones."""


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What to open: a bundle, or a log with an account and a range (`incident.incident_of`).

    The command is called with `source`, `account`, `start` and `end`.
    """
    for option in (
        click.option("--to", "end", default=None, help="Of a log: up to this position or time."),
        click.option("--from", "start", default=None, help="Of a log: from this position or time."),
        click.option("--account", "-a", default=None, help="Of a log: this account."),
        click.argument("source"),
    ):
        command = option(command)
    return command


def schema_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """A bundle from the future is no bad input: exit code 3."""

    @wraps(command)
    def wrapper(*given: Any, **named: Any) -> Any:
        from ..eventstore.bundle import FutureSchema

        try:
            return command(*given, **named)
        except FutureSchema as error:
            click.echo(f"linewarden: {error.message}", err=True)
            click.echo(f"  hint: {error.hint}", err=True)
            sys.exit(3)

    return clear_errors(wrapper)


@click.group(
    epilog=examples(
        "linewarden incident export --account support --from 3h",
        "linewarden incident inspect support-1-131.incident.jsonl.gz",
    )
)
def incident() -> None:
    """Cut an incident out of a log, to carry it away and replay it."""


@incident.command(
    epilog=examples(
        "linewarden incident export --account support --from 3h",
        "linewarden incident export -a support --from 2026-11-21T02:50 --to 2026-11-21T03:20"
        " --out night.incident.jsonl.gz",
    )
)
@file_option
@click.option("--account", "-a", default=None, help="The account; the only one where left out.")
@click.option("--from", "start", default=None, help="From this position or time on.")
@click.option("--to", "end", default=None, help="Up to this position or time.")
@click.option(
    "--out", default=None, help="The new file; ACCOUNT-FROM-TO.incident.jsonl.gz where left out."
)
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@json_option
@clear_errors
def export(
    path: str,
    account: str | None,
    start: str | None,
    end: str | None,
    out: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a stretch of one account into a file, with all that a replay needs.

    The file holds tokens and no personal data: no JID, no number, no text of a message.
    """
    bundle = cut_from(path, account, start, end)
    header = bundle.header
    target = out or f"{header.account}-{header.first}-{header.last}.incident.jsonl.gz"
    write_bundle(target, header, bundle.records, bundle.trailer, replace=force)
    size = os.path.getsize(target)
    if as_json:
        print_json({"file": target, "bytes": size, **_summary(bundle)})
        return
    click.echo(f"wrote {target}: {_extent(bundle)}, {size:,} bytes")
    click.echo("tokens only: no JID, no number and no text of a message is in it")
    click.echo(f"next: linewarden replay {shlex.quote(target)}")


@incident.command(
    epilog=examples(
        "linewarden incident inspect night.incident.jsonl.gz",
        "linewarden incident inspect night.incident.jsonl.gz --json",
    )
)
@click.argument("bundle")
@json_option
@clear_errors
def inspect(bundle: str, as_json: bool) -> None:
    """Show what is in a bundle, and check every line of it: exit code 2 where it is not intact."""
    opened = read_bundle(bundle)
    summary = _summary(opened)
    if as_json:
        print_json({"file": bundle, "intact": True, **summary})
        return
    header, trailer = opened.header, opened.trailer
    first, last = opened.records[0], opened.records[-1]
    rows = [
        ("intact", f"{_extent(opened)}; every line fits the chain"),
        ("log", f"{header.log}, positions {first.position} to {last.position}"),
        ("code", f"{header.build}, schema {header.schema}, table {header.table[:12]}"),
        ("exported", clock(header.at) + " UTC"),
        ("time", f"{clock(first.at)} to {clock(last.at)} UTC ({span(last.at - first.at)})"),
        ("policy", _counts(header.policy) or "the default"),
        ("stimuli", _counts(summary["stimuli"])),
        ("states", " > ".join(summary["states"])),
        ("timers", _counts(summary["timers"]) or "none fired"),
        ("trailer", _trailer(opened)),
    ]
    if trailer.anchor is None:
        rows.append(("anchor", "none: only the log itself can say that it is this one's"))
    else:
        signed = "signed" if "signature" in trailer.anchor else "unsigned"
        rows.append(("anchor", f"{signed}, of {len(trailer.anchor['heads'])} accounts of the log"))
    for name, text in rows:
        click.echo(f"{name:<9} {text}")


def _summary(bundle: Bundle) -> dict[str, Any]:
    """What is in a bundle, as data; instants as text."""
    header, trailer, records = bundle.header, bundle.trailer, bundle.records
    shown = msgspec.to_builtins(header)
    return {
        "header": {**shown, "at": instant(header.at)},
        "records": len(records),
        "stimuli": dict(Counter(record.type for record in records).most_common()),
        "states": _states(bundle),
        "timers": dict(_timers(bundle).most_common()),
        "first": instant(records[0].at),
        "last": instant(records[-1].at),
        "trailer": msgspec.to_builtins(trailer),
    }


class _Timer(msgspec.Struct):
    timer: str = ""


class _Fired(msgspec.Struct):
    stimulus: _Timer


_fired = msgspec.json.Decoder(_Fired).decode


def _timers(bundle: Bundle) -> Counter[str]:
    """How often each timer fired."""
    fired = (_fired(record.body) for record in bundle.records if record.type == "timer_fired")
    return Counter(each.stimulus.timer for each in fired)


def _states(bundle: Bundle) -> list[str]:
    """The states that the account went through, from the one before the first record on."""
    before = bundle.before.state
    path = [before.printed if before is not None else "unclaimed"]
    for record in bundle.records:
        state = record.state.replace("_", "-") if record.state is not None else "unclaimed"
        if state != path[-1]:
            path.append(state)
    if len(path) > PATH_MAX:
        half = PATH_MAX // 2
        path[half:-half] = [f"({len(path) - PATH_MAX} more)"]
    return path


def _extent(bundle: Bundle) -> str:
    header, count = bundle.header, len(bundle.records)
    what = "1 record" if count == 1 else f"{count:,} records"
    return f"{what} of {header.account}, versions {header.first} to {header.last}"


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _trailer(bundle: Bundle) -> str:
    head, onward = bundle.trailer.head, len(bundle.trailer.onward)
    return f"version {head.version}, chain {head.chain[:12]}, {onward} leaves onward"
