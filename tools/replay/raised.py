"""What code under trial raises, told so that it can be found: class, message and place.

It goes into traces, so it is the same in every process, and it may be shown to anybody.
"""

from __future__ import annotations

import re
import traceback

from ...statemachine.outcome import Outcome
from ...statemachine.redaction import redact
from .sealed import PACKAGE

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^/\s'\"]+/)+")
_SET = re.compile(r"\{[^{}]*\}")


class Raised(Outcome, frozen=True):
    """No decision: the code raised. The rule is `(raised KeyError)`, say, and nothing changes.

    `raised` is what and where: `KeyError: 'retry' (statemachine/closing.py:123)`.
    """

    raised: str = ""


def raised(error: Exception) -> Raised:
    """An exception as the outcome of the code that raised it."""
    name = type(error).__name__
    told = " ".join(f"{name}: {_message(error)}".split()).removesuffix(":")
    return Raised(f"(raised {name})", raised=f"{told} ({_place(error)})")


def _message(error: Exception) -> str:
    """The message without what another process, machine or person would have otherwise in it."""
    text = _FOLDERS.sub("…/", _ADDRESS.sub("0x…", str(error)))
    return redact(_SET.sub(_in_order, text))


def _in_order(found: re.Match[str]) -> str:
    """A set prints in the order of its hashes."""
    return "{" + ", ".join(sorted(found[0][1:-1].split(", "))) + "}"


def _place(error: Exception) -> str:
    """The last line of linewarden that it came from, but for the tools, which only try it."""
    place = "at no line of linewarden"
    for frame, line in traceback.walk_tb(error.__traceback__):
        package, *module = str(frame.f_globals.get("__name__")).split(".")
        if package == PACKAGE and module[:1] != ["tools"]:
            place = f"{'/'.join(module)}.py:{line}"
    return place
