"""Standings: the state of every account from the columns of the log alone, no record decoded.

For what needs no more than the word for the state, over logs of millions of records: since when an
account is in its state, and how often it changed.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

Row = tuple[int, int, int | None]
"""The stream, the time (UTC ns) and the state of a record; numbers stand for the names."""


class Standing(msgspec.Struct, gc=False):
    """The state of an account since `since` (UTC ns), and how often it has changed."""

    state: int | None
    since: int
    changes: int = 0


def standings(pages: Iterable[Iterable[Row]]) -> dict[int, Standing]:
    """The standing of every stream, from pages of the columns of a log in its order."""
    states: dict[int, int | None] = {}
    found: dict[int, Standing] = {}
    known = states.get
    for page in pages:
        for stream, at, state in page:
            # A number of a state is never -1: a stream that is new is not in it.
            if known(stream, -1) == state:
                continue
            states[stream] = state
            standing = found.get(stream)
            if standing is None:
                found[stream] = Standing(state, at)
            else:
                standing.state, standing.since = state, at
                standing.changes += 1
    return found
