"""The errors of linewarden: one base, and whose fault it is stands in the type.

The docstring of an error is its message where none is given; the hint says what an operator or a
developer can do about it. No message holds a JID, a phone number, a message or a secret.
"""

import re


class LinewardenError(Exception):
    """Something linewarden was asked for could not be done."""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InputError(LinewardenError):
    """What was given is not understood: the caller's fault, and nothing was recorded."""


def shown(text: str) -> str:
    """A validator's text without the values and odd names that were given: they may be personal."""
    text = re.sub(r"'.*'|\".*\"", "(value not shown)", text)
    return re.sub(r"field `(?![A-Za-z_]{1,40}`)[^`]*`", "field (name not shown)", text)
