"""The commands that explore an incident: step through it, ask what if, find the least of it.

Exit codes: 0 all well; 1 a fork differs, or a pipe gave `step` a bad command; 2 bad input or no
bundle; 3 the bundle was written in a schema that this version doesn't understand.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import msgspec

from ...statemachine.errors import InputError
from ..cli_shape import clear_errors, complain, examples, json_option, print_json, source_options
from ..replay import sealed

if TYPE_CHECKING:
    from .stepper import Stepper

PROMPT = "step> "


@click.command(
    epilog=examples(
        "linewarden step night.incident.jsonl.gz",
        "linewarden step linewarden.db --account support --from 3h",
        "printf 'break state == \"conflict\"\\ncontinue\\nwhy\\n'"
        " | linewarden step night.incident.jsonl.gz",
    )
)
@source_options
@clear_errors
def step(source: str, account: str | None, start: str | None, end: str | None) -> None:
    """Step through an incident, forwards and backwards; `help` at its prompt lists the commands.

    From a pipe it takes one command a line, and a bad one ends it with exit code 1.
    """
    sealed.seal()
    from ..incident import incident_of
    from .stepper import Ended, Stepper

    stepper = Stepper(incident_of(source, account, start, end))
    with suppress(Ended):
        if sys.stdin.isatty():
            _talk(stepper)
        else:
            _follow(stepper)


def _talk(stepper: Stepper) -> None:
    """Ask a person, until Ctrl-D; a bad command is told and forgotten, Ctrl-C gives it up."""
    with suppress(ImportError):
        import readline  # noqa: F401 - its import gives `input` a history and editing
    click.echo("\n".join(stepper.here()))
    click.echo("`help` lists the commands")
    while True:
        try:
            _show(stepper.do(input(PROMPT)))
        except EOFError:
            click.echo()
            return
        except KeyboardInterrupt:
            click.echo()
        except UnicodeDecodeError:
            complain(InputError("that is not UTF-8", hint="`help` lists the commands"), "")
        except InputError as error:
            complain(error, "")


def _follow(stepper: Stepper) -> None:
    """Take the commands of a pipe; the first bad one ends it."""
    for number, line in enumerate(_lines(), 1):
        try:
            _show(stepper.do(line))
        except InputError as error:
            complain(error, f"line {number}: ")
            sys.exit(1)


def _lines() -> Iterator[str]:
    for raw in sys.stdin.buffer:
        yield raw.decode(errors="replace")


def _show(rows: list[str]) -> None:
    for row in rows:
        click.echo(row)


@click.command(
    "what-if",
    epilog=examples(
        "linewarden what-if night.incident.jsonl.gz --set 45.code=428 --run-on 10m",
        "linewarden what-if night.incident.jsonl.gz --drop 44 --delay v12=+30s",
        "linewarden what-if night.incident.jsonl.gz --set 1.policy.max_s=300",
    ),
)
@source_options
@click.option("--set", "sets", multiple=True, metavar="POS.FIELD=VALUE", help="Change a stimulus.")
@click.option("--drop", "drops", multiple=True, metavar="POS", help="It did not happen; no timer.")
@click.option("--delay", "delays", multiple=True, metavar="POS=SPAN", help="Such as 45=+30s.")
@click.option("--run-on", default=None, help="Let the clock go on after the last one; 10m.")
@json_option
@clear_errors
def what_if(
    source: str,
    account: str | None,
    start: str | None,
    end: str | None,
    sets: tuple[str, ...],
    drops: tuple[str, ...],
    delays: tuple[str, ...],
    run_on: str | None,
    as_json: bool,
) -> None:
    """Change what happened and see what would have come of it, timers by a virtual clock.

    POS is a position such as 45 or a version such as v12. What a dropped or moved stimulus caused
    goes with it; what the world said by itself stays. Exit code 0 no difference, 1 some.
    """
    sealed.seal()
    from ..incident import incident_of
    from .fork import fork
    from .telling import fork_told

    forked = fork(incident_of(source, account, start, end), sets, drops, delays, run_on)
    if as_json:
        print_json(msgspec.to_builtins(forked))
    else:
        _show(fork_told(forked, os.path.basename(source)))
    sys.exit(1 if forked.records.first is not None else 0)


@click.command(
    epilog=examples(
        "linewarden minimise night.incident.jsonl.gz --keep diverges",
        "linewarden minimise night.incident.jsonl.gz --keep invariant:ends-absorb",
        "linewarden minimise night.incident.jsonl.gz --keep 'state == \"conflict\"'"
        " --out least.incident.jsonl.gz",
    )
)
@source_options
@click.option(
    "--keep", required=True, help="`diverges`, `invariant:NAME`, or an expression: see the docs."
)
@click.option("--out", default=None, help="The new file; ACCOUNT-least.incident.jsonl.gz if none.")
@click.option("--force", is_flag=True, help="Replace a bundle; nothing else.")
@json_option
@clear_errors
def minimise(
    source: str,
    account: str | None,
    start: str | None,
    end: str | None,
    keep: str,
    out: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Find the least of an incident that still shows something, and write it as a bundle.

    Stimuli are left out, together with what they caused, until nothing more can go.
    """
    sealed.seal()
    from ...eventstore.bundle_writing import write_bundle
    from ..incident import incident_of
    from ..replay.telling import harmless
    from .minimise import minimise as least_of
    from .telling import line_of
    from .thinned import thinned

    bundle = incident_of(source, account, start, end)
    target = out or f"{bundle.header.account}-least.incident.jsonl.gz"
    if os.path.exists(target) and os.path.samefile(target, source):
        raise InputError("--out is the incident itself", hint="give the least of it another name")
    found = least_of(bundle, keep)
    made = thinned(bundle, found)
    write_bundle(target, made.header, made.records, made.trailer, replace=force)
    if as_json:
        shown = {name: getattr(found, name) for name in ("keep", "told", "stimuli", "trials")}
        positions = [one.position for one in found.steps]
        print_json({"file": target, **shown, "records": len(positions), "positions": positions})
        return
    click.echo(
        f"{len(found.steps)} of {found.stimuli} stimuli are left after {found.trials} trials:"
    )
    _show([line_of(one) for one in found.steps])
    click.echo(harmless(f"kept: {found.told}"))
    click.echo(f"wrote {target}")
    click.echo(f"next: linewarden replay {shlex.quote(target)}")
