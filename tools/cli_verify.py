"""The commands of an audit: verify a log or a bundle, and make a key that signs anchors."""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Iterator, Sequence

import click
import msgspec

from ..eventstore import Reader, open_reader
from ..eventstore.anchor import Anchor
from ..eventstore.anchors import anchors_path, read_anchors
from ..eventstore.bundle_format import FutureSchema
from ..eventstore.errors import Corrupt
from ..eventstore.kind import kind_of
from ..eventstore.report import Report
from ..statemachine.errors import InputError
from .cli_shape import DEFAULT_FILE, clear_errors, examples, json_option, print_json
from .moments import clock, plain

UNANCHORED = 3


class Verified(Report, frozen=True):
    """A report, with the accounts whose checkpoint is wrong, where that was asked for."""

    stale: list[str] | None = None


@click.command(
    epilog=examples(
        "linewarden verify",
        "linewarden verify --file demo/x.db --projections",
        "linewarden verify night.incident.jsonl.gz --anchors copy.anchors --require-anchor",
    )
)
@click.argument("source", required=False)
@click.option(
    *("--file", "-f", "log"),
    default=None,
    help=f"The log; else LINEWARDEN_LOG.  [default: {DEFAULT_FILE}]",
)
@click.option("--bundle", default=None, help="A bundle instead of a log.")
@click.option("--require-anchor", is_flag=True, help="Exit code 3 where no anchor vouches for it.")
@click.option("--anchors", multiple=True, help="Compare with this copy of anchors too.")
@click.option("--key", multiple=True, help="Only anchors signed by this public key count.")
@click.option("--projections", is_flag=True, help="Compare checkpoints with a rebuild too.")
@click.option("--archives", default=None, help="Prove archived records by the bundles in here.")
@json_option
@clear_errors
def verify(
    source: str | None,
    log: str | None,
    bundle: str | None,
    require_anchor: bool,
    anchors: tuple[str, ...],
    key: tuple[str, ...],
    projections: bool,
    archives: str | None,
    as_json: bool,
) -> None:
    """Audit a log or a bundle: chains, columns, the vault and the anchors.

    Exit code 0 intact, 1 tampered or corrupt, 2 unreadable, 3 intact but unanchored (with
    --require-anchor or --key).
    """
    path, is_bundle = _named(source, log, bundle)
    keys = _keys(key)
    if is_bundle:
        if projections or archives is not None:
            raise InputError(
                "A bundle has no projections and no archives",
                hint="leave out --projections and --archives",
            )
        try:
            found = _verify_bundle(path, anchors, keys)
        except FutureSchema as error:  # it can't be read; exit code 3 would say that it is intact
            raise InputError(error.message, hint=error.hint) from None
    else:
        found = _verify_log(path, anchors, keys, projections, archives)
    if as_json:
        print_json(plain(found))
    else:
        _tell(found, is_bundle, bool(require_anchor or anchors or keys))
    if not found.ok:
        sys.exit(1)
    sys.exit(UNANCHORED if (require_anchor or keys) and found.last_good_anchor is None else 0)


@click.command(epilog=examples("linewarden keygen anchors.key"))
@click.argument("file")
@json_option
@clear_errors
def keygen(file: str, as_json: bool) -> None:
    """Make a key that signs anchors: FILE is the private half, FILE.pub the public one."""
    from ..eventstore.signing import new_key

    public = new_key(file)
    if as_json:
        print_json({"private": file, "public": f"{file}.pub", "key": public})
    else:
        click.echo(f"wrote {file} (keep it with the service) and {file}.pub (keep it elsewhere)")
        click.echo(f"public key: {public}")


def _named(source: str | None, log: str | None, bundle: str | None) -> tuple[str, bool]:
    """What is to be audited, and whether it is a bundle."""
    named = [path for path in (source, log, bundle) if path is not None]
    if len(named) > 1:
        raise InputError("Verify takes one log or one bundle", hint="name one of them only")
    if source is not None:
        return source, kind_of(source) == "bundle"
    if bundle is not None:
        return bundle, True
    return log or os.environ.get("LINEWARDEN_LOG") or DEFAULT_FILE, False


def _keys(words: Sequence[str]) -> list[str]:
    if not words:
        return []
    from ..eventstore.signing import public_key

    return [public_key(word) for word in words]


def _verify_log(
    path: str,
    copies: Sequence[str],
    keys: Sequence[str],
    projections: bool,
    archives: str | None,
) -> Verified:
    from ..eventstore.verify import verify as walk

    if archives is not None and not os.path.isdir(archives):
        raise InputError(
            f"There is no folder at {archives!r}", hint="look at --archives; is it mounted?"
        )
    try:
        reader = open_reader(path)
    except Corrupt as error:
        return Verified(False, 0, 0, 0, reason=error.message)
    try:
        own = anchors_path(path)
        files = [read_anchors(copy, reader.log_id.hex(), keys=keys) for copy in copies]
        if os.path.exists(own):
            files.append(read_anchors(own, reader.log_id.hex(), keys=keys, copy=False))
        found = _verified(walk(reader, anchors=_merged(files), archives=archives))
        if found.ok and projections:
            stale = list(_stale(reader))
            reason = "the checkpoint of an account is not what its records make" if stale else None
            found = msgspec.structs.replace(found, ok=not stale, reason=reason, stale=stale)
        return found
    finally:
        reader.close()


def _verify_bundle(path: str, copies: Sequence[str], keys: Sequence[str]) -> Verified:
    from ..eventstore.bundle_format import BadBundle
    from ..eventstore.bundle_reading import Reading
    from ..eventstore.verify_bundle import verify_bundle

    try:
        log = Reading(path).header.log if copies else None
    except BadBundle:
        log = None  # it is no bundle, or its header was changed: no anchor is needed to tell
    if log is None:
        return _verified(verify_bundle(path, keys=keys))
    files = [read_anchors(copy, log, keys=keys) for copy in copies]
    return _verified(verify_bundle(path, anchors=_merged(files), keys=keys))


def _verified(report: Report) -> Verified:
    return Verified(**msgspec.structs.asdict(report))


def _merged(files: list[Iterator[Anchor]]) -> Iterator[Anchor]:
    return heapq.merge(*files, key=lambda anchor: anchor.position)


def _stale(reader: Reader) -> Iterator[str]:
    """The accounts whose view, as a start would load it, is not what all their records make."""
    from ..eventstore.codec import same
    from ..projections.projections import Projections

    for name in reader.streams():
        views = Projections(reader)
        loaded = views.account(name)
        if loaded is not None and not same(views.rebuild(name, loaded.version), loaded):
            yield name


def _tell(found: Verified, is_bundle: bool, asked: bool) -> None:
    anchor = found.last_good_anchor
    if not found.ok:
        where = "" if found.first_bad_position is None else f"position {found.first_bad_position}"
        if where and found.stream is not None:
            where += f" ({found.stream})"
        click.echo(
            f"not intact: {where}{': ' if where else ''}{found.reason}; "
            f"good up to position {found.last_good_position}"
        )
        for name in found.stale or ():
            click.echo(f"stale: {name}")
        if found.stale:
            click.echo("stop the gateway and empty the table `checkpoints`: it is rebuilt")
    elif is_bundle:
        click.echo(f"intact: {found.records} records of {found.stream}")
    else:
        click.echo(f"intact: {found.records} records in {found.streams} streams")
        if found.stale is not None:
            click.echo("projections: every checkpoint is what a rebuild makes")
        if found.proven:
            click.echo(f"archived: {found.proven} records, proven by their bundles")
        elif found.archived:
            click.echo(
                f"archived: {found.archived} records; it stands on the records that stand for them "
                "(--archives FOLDER proves those by their bundles)"
            )
    if anchor is not None:
        click.echo(f"last good anchor: position {anchor.position}, {clock(anchor.at)} UTC")
    elif asked:
        click.echo("unanchored: records cut off its end, or chains computed anew, would not show")
