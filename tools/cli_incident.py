"""The commands of incidents: cut one out of a log, and look into one."""

from __future__ import annotations

import os
import shlex
import time
from collections import Counter
from contextlib import closing
from typing import Any

import click
import msgspec

from ..eventstore import Reader, open_reader
from ..eventstore.anchor import Anchor
from ..eventstore.anchors import anchors_path
from ..eventstore.bundle_format import Bundle
from ..eventstore.bundle_reading import read_bundle
from ..eventstore.bundle_writing import write_bundle
from ..projections.archived import beginning, bundle_of
from ..statemachine.policy import NS
from . import reading, tables, wording
from .cli_shape import DEFAULT_FILE, clear_errors, examples, file_option, json_option, print_json
from .incident import cut_from
from .moments import clock, instant, moment, plain, span

MARGIN_NS, MARGIN_MAX = 60 * NS, 100
"""What `list` proposes to export with an incident: what was before it for so long (a connection
that lasted it was stable, design §3.3), at least one record and at most so many."""

PATH_MAX = 24
"""Changes of state that `inspect` shows; of more the first and the last ones."""


@click.group(
    epilog=examples(
        "linewarden incident list",
        "linewarden incident export --account support --from 3h",
        "linewarden incident inspect support-1-131.incident.jsonl.gz",
    )
)
def incident() -> None:
    """Find an incident, cut it out of a log, to carry it away and replay it."""


@incident.command(
    "list",
    epilog=examples(
        "linewarden incident list",
        "linewarden incident list --account support --as-of 2026-11-21T06:00 --json",
    ),
)
@file_option
@click.option("--account", "-a", default=None, help="Only this account.")
@click.option("--as-of", default=None, help="A position, a UTC time or 03:00, or 15m (ago).")
@json_option
@clear_errors
def list_(path: str, account: str | None, as_of: str | None, as_json: bool) -> None:
    """Conflict loops, flap storms, long gaps, refused replies and restart fights, to export."""
    now = time.time_ns()
    asked = moment(as_of, now) if as_of is not None else None
    with closing(open_reader(path)) as reader:
        rows = reading.incidents(reader, reading.seen_from(reader, asked, now), account, asked)
        if as_json:
            print_json(plain(rows))
            return
        click.echo(tables.incidents(rows))
        if rows:
            click.echo("\n" + _to_export(reader, path, reading.newest_stretch(rows)))


@incident.command(
    epilog=examples(
        "linewarden incident export --account support --from 3h",
        "linewarden incident export -a support --from 2026-11-21T02:50 --to 2026-11-21T03:20"
        " --out night.incident.jsonl.gz",
    )
)
@file_option
@click.option("--account", "-a", default=None, help="The account; the only one where left out.")
@click.option("--from", "start", default=None, help="From this position, time or 03:00 on.")
@click.option("--to", "end", default=None, help="Up to this position or time.")
@click.option(
    "--out", default=None, help="The new file; ACCOUNT-FROM-TO.incident.jsonl.gz where left out."
)
@click.option("--force", is_flag=True, help="Replace a bundle; nothing else.")
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
    if start is None and header.before.version:
        click.echo(f"begins with version {header.first}: what was before it is archived in bundles")
    click.echo("tokens only: no JID, no number and no text of a message is in it")
    anchor = bundle.trailer.anchor
    if anchor is not None and len(anchor.heads) > 1:
        click.echo(f"its anchor names all {len(anchor.heads)} accounts of the log")
    if anchor is None and os.path.exists(anchors_path(path)):
        click.echo("no anchor is in it: none is of its end yet, or it names too many accounts")
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
    header = opened.header
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
        ("anchor", _anchor(opened.trailer.anchor)),
    ]
    for name, text in rows:
        click.echo(f"{name:<9} {text}")


def _summary(bundle: Bundle) -> dict[str, Any]:
    """What is in a bundle, as data; instants as text."""
    header, trailer, records = bundle.header, bundle.trailer, bundle.records
    return {
        "header": plain(header),
        "records": len(records),
        "stimuli": dict(Counter(record.type for record in records).most_common()),
        "states": _states(bundle),
        "timers": dict(_timers(bundle).most_common()),
        "first": instant(records[0].at),
        "last": instant(records[-1].at),
        "trailer": plain(trailer),
    }


def _to_export(reader: Reader, path: str, row: reading.IncidentRow) -> str:
    """What to type next: the command that cuts a stretch out, with a margin before it."""
    gone = beginning(reader, row.account)
    if row.last_position <= gone.position:
        return f"next: look in the bundle {bundle_of(reader, row.account)}, or one before it"
    words = ["linewarden", "incident", "export", "--account", row.account]
    if path != DEFAULT_FILE:
        words[3:3] = ["--file", path]
    if row.first_position > gone.position:
        after = max(gone.version, row.first_version - 1 - MARGIN_MAX)
        first = row.first_position
        for record in reader.read_stream(row.account, after, row.first_version - 1):
            if record.version == row.first_version - 1 or record.at >= row.started_at - MARGIN_NS:
                first = record.position
                break
        words += ["--from", str(first)]
    name = f"{row.account}-{row.kind.replace('_', '-')}-{row.first_position}"
    words += ["--to", str(row.last_position), "--out", name + ".incident.jsonl.gz"]
    return "next: " + shlex.join(words)


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
    path = [wording.state(before)]
    for record in bundle.records:
        state = wording.state(record.state)
        if state != path[-1]:
            path.append(state)
    if len(path) > PATH_MAX:
        half = PATH_MAX // 2
        path[half:-half] = [f"({len(path) - PATH_MAX} more)"]
    return path


def _extent(bundle: Bundle) -> str:
    header, what = bundle.header, wording.count(len(bundle.records), "record")
    return f"{what} of {header.account}, versions {header.first} to {header.last}"


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _anchor(anchor: Anchor | None) -> str:
    if anchor is None:
        return "none: only the log, or its anchors file, can say that it is this one's"
    by = "unsigned" if anchor.key is msgspec.UNSET else f"signed by {anchor.key[:12]}"
    accounts = f"{len(anchor.heads)} accounts of the log"
    return f"position {anchor.position}, {clock(anchor.at)} UTC, {by}, of {accounts}"


def _trailer(bundle: Bundle) -> str:
    head, onward = bundle.trailer.head, len(bundle.trailer.onward)
    return f"version {head.version}, chain {head.chain[:12]}, {onward} leaves onward"
