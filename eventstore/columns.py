"""What the bytes of a record say: its columns must say the same."""

from typing import Annotated

import msgspec

from .anchor import Count

Word = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
Schema = Annotated[int, msgspec.Meta(ge=1)]
Rule = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9_.]{0,64}\Z")]

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What `columns_of` raises for bytes that are no record."""


class Stimulus(msgspec.Struct, frozen=True, gc=False):
    """The columns `type`, `at` and `reply`."""

    stimulus: Word
    at: Count
    reply: str | None = None
    timer: Word | None = None


class Changes(msgspec.Struct, frozen=True, gc=False):
    """The column `state`, where it changed."""

    state: Word | msgspec.UnsetType | None = msgspec.UNSET


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """As much of an outcome as columns tell."""

    rule: Rule = ""
    changes: Changes = Changes()


class Columns(msgspec.Struct, frozen=True, gc=False):
    """As much of a record as its columns tell, and what it promises of the vault."""

    stimulus: Stimulus
    outcome: Outcome = Outcome()
    commitments: dict[str, str] = {}
    schema: Schema = 1

    def state(self, before: str | None) -> str | None:
        """The column `state`, given that of the record before."""
        changed = self.outcome.changes.state
        return before if changed is msgspec.UNSET else changed


columns_of = msgspec.json.Decoder(Columns).decode
