"""`linewarden render`: an incident as a picture, or as what other tools read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ..cli_shape import clear_errors, examples, source_options
from ..replay import sealed

if TYPE_CHECKING:
    from ...eventstore.bundle_format import Bundle

FORMS = ("mermaid-sequence", "mermaid-state", "perfetto", "otlp", "cloudevents", "html")


@click.command(
    epilog=examples(
        "linewarden render night.incident.jsonl.gz --as html --out night.html",
        "linewarden render night.incident.jsonl.gz --as mermaid-sequence",
        "linewarden render linewarden.db -a support --from 3h --as perfetto --out night.json",
    )
)
@source_options
@click.option("--as", "form", type=click.Choice(FORMS), required=True, help="The form to draw in.")
@click.option("--out", default=None, help="The new file; the standard output where left out.")
@click.option("--force", is_flag=True, help="Replace a file; but no log, no bundle.")
@clear_errors
def render(
    source: str,
    account: str | None,
    start: str | None,
    end: str | None,
    form: str,
    out: str | None,
    force: bool,
) -> None:
    """Draw an incident: a page, a diagram, or a trace for other tools.

    SOURCE is a bundle or a log. The html is one page that opens offline; perfetto opens in
    ui.perfetto.dev; otlp is for any OpenTelemetry collector. As a bundle, none holds personal data.
    """
    sealed.seal()
    from ...eventstore.kind import written
    from ..incident import incident_of

    parts = drawn(incident_of(source, account, start, end), form)
    if out is None:
        for part in parts:
            click.echo(part, nl=False)
        return
    with written(out, replace=force), open(out, "wb" if force else "xb") as file:
        file.writelines(parts)
    click.echo(f"wrote {out}: {form}, {os.path.getsize(out):,} bytes")


def drawn(bundle: Bundle, form: str) -> Iterable[bytes]:
    """A bundle in a form, in parts; the same bundle is the same bytes."""
    if form == "cloudevents":
        from .cloudevents import cloudevents

        return cloudevents(bundle)
    from .following import course_of

    course = course_of(bundle)
    if form == "mermaid-sequence":
        from .sequence import sequence

        return [sequence(course).encode()]
    if form == "mermaid-state":
        from .states import states

        return [states(course).encode()]
    if form == "perfetto":
        from .perfetto import perfetto

        return [perfetto(course)]
    if form == "otlp":
        from .otlp import otlp

        return [otlp(course)]
    from .page import page

    return [page(course).encode()]
