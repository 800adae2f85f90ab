"""Places in an incident: a position in the log such as `45`, or a version such as `v12`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from ...statemachine.errors import InputError
from ...statemachine.stimuli import Stimulus


class Numbered(Protocol):
    """A recorded stimulus with its numbers."""

    @property
    def position(self) -> int:
        """Its position in the log."""
        ...

    @property
    def version(self) -> int:
        """Its version in the account's stream."""
        ...

    @property
    def stimulus(self) -> Stimulus:
        """The stimulus."""
        ...


def place_of(text: str, row: Sequence[Numbered]) -> int:
    """The place, from 0, of a position or version in a row; raises `InputError`."""
    found = re.fullmatch(r"(v?)(\d{1,18})", text.strip().lower(), re.ASCII)
    if found is None:
        raise InputError(
            f"{text[:40]!a} is no place in an incident",
            hint="a position such as 45, or a version such as v12",
        )
    number = int(found[2])
    for place, one in enumerate(row):
        if number == (one.version if found[1] else one.position):
            return place
    what = "version" if found[1] else "position"
    first, last = (
        (row[0].version, row[-1].version) if found[1] else (row[0].position, row[-1].position)
    )
    raise InputError(
        f"the incident has no record at {what} {number}",
        hint=f"its {what}s are from {first} to {last}"
        + ("" if found[1] else "; those of other accounts are not in it"),
    )
