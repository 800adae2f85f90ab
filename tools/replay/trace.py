"""`python -m linewarden.tools.replay.trace BUNDLE`: what this code decides, as JSON lines.

The first line says which code it is, each other line is one `Decision`. It is a process of its own:
`diff` runs two of them, with two versions of the code. Lines are canonical, so the same decisions
give the same bytes, whatever the hash seed, the time zone or the locale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from ...statemachine.errors import LinewardenError
from ..cli_shape import clear_errors
from . import sealed
from .divergence import Decision

if TYPE_CHECKING:
    from ...eventstore.bundle_format import Bundle

_encode = msgspec.json.Encoder(order="sorted").encode


class Code(msgspec.Struct, frozen=True):
    """Which code made a trace: its version, schema, and the hash of its table."""

    build: str
    schema: int
    table: str


def code() -> Code:
    """The code of this process."""
    from ...eventstore.bundle_format import table_hash
    from ...statemachine.version import SCHEMA, VERSION

    return Code(VERSION, SCHEMA, table_hash())


def decisions(bundle: Bundle, closed: bool = False) -> Iterator[Decision]:
    """What this code decides of a bundle."""
    from .reading import stimuli_of
    from .replay import run, run_closed, trace

    stimuli = stimuli_of(bundle)
    steps = run_closed(stimuli, bundle.before) if closed else run(stimuli, bundle.before)
    return trace(steps)


def lines(bundle: Bundle, closed: bool = False) -> Iterator[bytes]:
    """The lines of a trace, without their ends."""
    yield _encode(code())
    for decision in decisions(bundle, closed):
        yield _encode(decision)


def read(text: Iterable[bytes]) -> tuple[Code, list[Decision]]:
    """The trace of another process."""
    rows = iter(text)
    try:
        made_by = msgspec.json.decode(next(rows), type=Code)
        decoder = msgspec.json.Decoder(Decision)
        return made_by, [decoder.decode(row) for row in rows]
    except (StopIteration, msgspec.MsgspecError):
        raise LinewardenError(
            "the other side printed no trace", hint="is it a version of linewarden with a replay?"
        ) from None


@click.command()
@click.argument("source")
@click.option("--closed", is_flag=True)
@clear_errors
def main(source: str, closed: bool) -> None:
    """Print the trace of a bundle."""
    sealed.seal()
    from ...eventstore.bundle_reading import read_bundle

    for line in lines(read_bundle(source), closed):
        sys.stdout.buffer.write(line + b"\n")


if __name__ == "__main__":
    main()
