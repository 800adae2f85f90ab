"""Older records as today's code reads them: one small function from each schema to the next.

A record is never rewritten: its bytes were hashed. What changes is how it is read. `RECORDS` lifts
the content of a record of a schema to the next one, `STATES` the snapshot of an account in the same
way. Both are empty as long as schema 1 is today's; the bundles in `tests/incidents/schema-1` must
replay for ever, so whoever raises `SCHEMA` writes the functions from 1 to 2 here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..statemachine.version import SCHEMA

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

RECORDS: dict[int, Upcast] = {}
"""From the content of a record of this schema to that of the next."""

STATES: dict[int, Upcast] = {}
"""From an account, as plain data of this schema, to that of the next."""


def upcast_record(content: dict[str, Any], schema: int = SCHEMA) -> dict[str, Any]:
    """The content of a record as `schema` would have written it; the argument is left alone."""
    return _lift(content, int(content.get("schema", 1)), schema, RECORDS) | {"schema": schema}


def upcast_state(account: dict[str, Any], written: int, schema: int = SCHEMA) -> dict[str, Any]:
    """A snapshot that was written in the schema `written`, as `schema` would have written it."""
    return _lift(account, written, schema, STATES)


def _lift(
    content: dict[str, Any], written: int, schema: int, steps: Mapping[int, Upcast]
) -> dict[str, Any]:
    for number in range(written, schema):
        if number in steps:
            content = steps[number](dict(content))
    return content
