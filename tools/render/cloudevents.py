"""`cloudevents`: the records as a JSON batch of CloudEvents 1.0, each with its exact bytes."""

from __future__ import annotations

from collections.abc import Iterator

from ...eventstore.bundle_format import Bundle, event_line


def cloudevents(bundle: Bundle) -> Iterator[bytes]:
    """The lines of a batch (`application/cloudevents-batch+json`), an event a line."""
    yield b"[\n"
    last = len(bundle.records) - 1
    for number, record in enumerate(bundle.records):
        yield event_line(record, bundle.header.log) + (b",\n" if number < last else b"\n")
    yield b"]\n"
