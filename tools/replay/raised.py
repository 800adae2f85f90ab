"""What code under trial raises, told so that it can be found: class, message and place.

It goes into traces, so it is the same in every process. What is personal by its shape and folders
without spaces in their names are taken out; a name in words is not known for one.
"""

from __future__ import annotations

import re
import traceback

from ...statemachine.outcome import Outcome
from ...statemachine.redaction import redact
from .sealed import PACKAGE
from .telling import harmless

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")
_FOLDERS = re.compile(r"(?<![\w./])/+(?:[^/\s'\"]+/)+")
_SET = re.compile(r"\{[^{}]*\}")
_HIDDEN = str.maketrans("{},", "\1\2\3")
_SHOWN = str.maketrans("\1\2\3", "{},")
_DEEP_MAX = 8
"""Sets within sets that are put in order."""


class Raised(Outcome, frozen=True):
    """No decision: the code raised. The rule is `(raised KeyError)`, say, and nothing changes.

    `raised` is what and where: `KeyError: 'retry' (statemachine/closing.py:123)`.
    """

    raised: str = ""


def raised(error: Exception) -> Raised:
    """An exception as the outcome of the code that raised it."""
    name = type(error).__name__
    told = harmless(" ".join(f"{name}: {_message(error)}".split()).removesuffix(":"))
    return Raised(f"(raised {name})", raised=f"{told} ({_place(error)})")


def _message(error: Exception) -> str:
    """The message without what another process, machine or person would have otherwise in it."""
    try:
        text = str(error)
    except Exception as other:  # noqa: BLE001 - its message is code under trial as well
        return f"(its message raises {type(other).__name__})"
    text = _FOLDERS.sub("…/", _ADDRESS.sub("0x…", text))
    for _ in range(_DEEP_MAX):
        text = _SET.sub(_in_order, text)
    return redact(text.translate(_SHOWN))


def _in_order(found: re.Match[str]) -> str:
    """A set prints in the order of its hashes. What is in order is hidden from sets around it."""
    return ("{" + ", ".join(sorted(found[0][1:-1].split(", "))) + "}").translate(_HIDDEN)


def _place(error: Exception) -> str:
    """The last line of linewarden that it came from, but for the tools, which only try it."""
    place = "at no line of linewarden"
    for frame, line in traceback.walk_tb(error.__traceback__):
        package, *module = str(frame.f_globals.get("__name__")).split(".")
        if package == PACKAGE and module[:1] != ["tools"]:
            place = f"{'/'.join(module)}.py:{line}"
    return place
