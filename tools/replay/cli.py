"""The commands of the replay: what today's code makes of an incident, and incidents as tests.

Exit codes: 0 the same; 1 something was decided otherwise; 2 bad input or no bundle; 3 the bundle
was written in a schema that this version doesn't understand.
"""

from __future__ import annotations

import getpass
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ...statemachine.errors import InputError
from ..cli_shape import clear_errors, examples, json_option, print_json, source_options
from . import sealed

if TYPE_CHECKING:
    from .trace import Code

closed_option = click.option(
    "--closed", is_flag=True, help="Let a virtual clock fire the timers, not the record."
)
by_option = click.option(
    "--by", default=None, help="Who says so; the name of your login where left out."
)


@click.command(
    epilog=examples(
        "linewarden replay night.incident.jsonl.gz",
        "linewarden replay night.incident.jsonl.gz --closed --json",
        "linewarden replay linewarden.db --account support --from 3h",
    )
)
@source_options
@closed_option
@json_option
@clear_errors
def replay(
    source: str,
    account: str | None,
    start: str | None,
    end: str | None,
    closed: bool,
    as_json: bool,
) -> None:
    """Decide an incident again with this code and compare with what was decided then.

    SOURCE is a bundle or a log. Exit code 0 the same, 1 diverged, 2 no bundle, 3 a schema that is
    not understood.
    """
    sealed.seal()
    from ..incident import incident_of
    from .replay import replay as again
    from .telling import tell

    replayed = again(incident_of(source, account, start, end), closed)
    if as_json:
        print_json(msgspec.to_builtins(replayed))
    else:
        click.echo(tell(replayed, os.path.basename(source)))
    sys.exit(replayed.verdict)


@click.command(
    epilog=examples(
        "linewarden diff night.incident.jsonl.gz --against ../linewarden-fixed",
        "linewarden diff night.incident.jsonl.gz --against v0.1.0 --closed",
    )
)
@source_options
@click.option("--against", required=True, help="A folder with linewarden in it, or a git ref.")
@closed_option
@json_option
@clear_errors
def diff(
    source: str,
    account: str | None,
    start: str | None,
    end: str | None,
    against: str,
    closed: bool,
    as_json: bool,
) -> None:
    """Compare this code with another version of it on the same incident.

    Each decides in a process of its own. Exit code 0 the same, 1 they differ.
    """
    from ..incident import incident_of
    from .diff import diff as between
    from .telling import harmless, tell

    found = between(incident_of(source, account, start, end), against, closed)
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        click.echo(harmless(f"here   {found.here}: {_code(found.code)}"))
        click.echo(harmless(f"there  {found.there}: {_code(found.against)}"))
        click.echo(tell(found.replayed, os.path.basename(source), "there", "here"))
        if found.hint:
            click.echo(harmless(f"hint: {found.hint}"))
    sys.exit(found.replayed.verdict)


def _code(code: Code) -> str:
    return f"{code.build}, table {code.table[:12]}"


@click.command(
    "replay-all",
    epilog=examples(
        "linewarden replay-all tests/incidents",
        "linewarden replay-all tests/incidents --junit replay.xml",
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--junit", "junit_path", default=None, help="Write the result as JUnit XML, too.")
@json_option
@clear_errors
def replay_all(folder: str, junit_path: str | None, as_json: bool) -> None:
    """Replay every incident below a folder; what was accepted beside one is expected of it.

    Exit code 0 all hold, 1 one diverged, 2 one is no bundle, 3 one has a schema that is not
    understood; of several the highest but that 2 comes before 3.
    """
    sealed.seal()
    from .fixture import judge_all
    from .telling import junit

    judged = judge_all(folder)
    rows = [(os.path.relpath(one.path, folder), one.verdict, one.found) for one in judged]
    held = sum(not one.verdict for one in judged)
    if as_json:
        print_json(msgspec.to_builtins(judged))
    else:
        for name, _, found in rows:
            for text in found:
                click.echo(f"{name}: {text}")
        click.echo(f"{held} of {len(judged)} incidents hold")
    if junit_path is not None:
        try:
            Path(junit_path).write_bytes(junit(rows))
        except OSError as error:
            raise InputError(
                f"the report can't be written: {error.strerror}", hint="see --junit"
            ) from None
    verdicts = {one.verdict for one in judged}
    sys.exit(next((code for code in (2, 3, 1) if code in verdicts), 0))


@click.command(
    epilog=examples(
        "linewarden accept tests/incidents/night.incident.jsonl.gz --reason 'a 428 is a retry now'"
    )
)
@click.argument("fixture")
@click.option("--reason", required=True, help="Why the new decision is right.")
@by_option
@json_option
@clear_errors
def accept(fixture: str, reason: str, by: str | None, as_json: bool) -> None:
    """Record that the differences of an incident are reviewed and intended.

    They are written beside the fixture; `replay-all` then expects exactly these. What was accepted
    before stays written there. Where nothing else differs since, nothing is written.
    """
    sealed.seal()
    from .. import wording
    from .fixture import accept as write_down
    from .fixture import accepted_beside, reviews_of
    from .telling import harmless

    before = [None, *reviews_of(fixture)][-1]
    review = write_down(fixture, reason, *_written(by))
    if as_json:
        told = {"already": review == before, "review": review, "before": before}
        print_json(msgspec.to_builtins(told))
    elif review == before:
        click.echo(harmless(f"just these differences were accepted already, by {review}"))
    else:
        what = wording.count(len(review.divergences), "difference")
        click.echo(f"accepted {what} in {accepted_beside(fixture)}")
        if before is not None:
            click.echo(harmless(f"in place of {len(before.divergences)} accepted by {before}"))


@click.command(
    epilog=examples(
        "linewarden mktest night.incident.jsonl.gz --out tests/incidents",
        "linewarden mktest night.incident.jsonl.gz --out tests/incidents --name line_440_loop",
    )
)
@source_options
@click.option("--out", default=".", show_default=True, help="The folder for the test's files.")
@click.option("--name", default=None, help="The name of the test; made from SOURCE where left out.")
@by_option
@json_option
@clear_errors
def mktest(
    source: str,
    account: str | None,
    start: str | None,
    end: str | None,
    out: str,
    name: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Write a pytest file that holds what is decided of an incident today, and its data.

    The test passes now and fails when a decision changes. Needs nothing but linewarden and pytest.
    """
    sealed.seal()
    from ..incident import incident_of
    from .fixture import SUFFIX, make_test

    bundle = incident_of(source, account, start, end)
    plain = os.path.basename(source).removesuffix(SUFFIX).removesuffix(".db").lower()
    made = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    files = make_test(bundle, Path(out), name or f"incident_{made}", _written(by))
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        click.echo(f"wrote {file}")
    if len(files) > 2:
        click.echo("this code decides otherwise than the record: the test holds what it decides")
    click.echo(f"next: pytest {files[0]}")


def _written(by: str | None) -> tuple[str, str, str]:
    """By whom, when and with which version something is written down."""
    from ...statemachine.version import VERSION

    try:
        name = by or getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return name, datetime.now(UTC).isoformat(timespec="seconds"), VERSION
