"""The door for stimuli: checked, freed of personal data, complete."""

from __future__ import annotations

from typing import Any

from ..statemachine import stimuli as st
from ..statemachine.parsing import parse
from .redaction import redact
from .tokens import Tokens

_FREE_TEXT = ("detail", "reason", "tag", "code")


class Intake:
    """Reads stimuli from plain data."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def check(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields, understood and with free text redacted; raises `InputError` naming the field.

        It touches nothing that is shared, so any thread may call it.
        """
        clean = dict(fields)
        for name in _FREE_TEXT:
            value = clean.get(name)
            if isinstance(value, str):
                clean[name] = redact(value)
        parse(clean)
        self._tokens.check(clean)
        return clean

    def admit(self, clean: dict[str, Any]) -> st.Stimulus:
        """The stimulus of checked fields, with tokens in the place of personal values."""
        return parse(self._tokens.swap(clean))
