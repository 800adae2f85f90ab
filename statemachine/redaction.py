"""Text from outside without what is personal or secret in it, taken out by shape.

An exception of a library, or a close's detail, may name people: JIDs, phone numbers, pairing codes,
keys. `redact` would rather hide a harmless number than show a personal one, so seven digits in a
row, however they are separated, are hidden; a code such as 408 stays.
"""

from __future__ import annotations

import re

TEXT_MAX = 200
"""Characters that are kept of a text by default."""

_READ_MAX = 4_000
"""Characters that are looked at: a library may print whole protocol nodes."""

_CODE = re.compile(
    r"(\b(?:pair|link)\w*[ _-]?code\b\W{0,4}(?:is\W{1,3})?)"
    r"(?:[a-z0-9]{4}-[a-z0-9]{4}|(?-i:[A-Z0-9]{8}))(?!\w)",
    re.IGNORECASE,
)
"""A pairing code that is announced as one; `[code]` takes its place."""

_SHAPES = {
    # Our own tokens, controllers and replies say nothing about anybody.
    "keep": r"\b(?:(?:idn|chat)_[0-9a-f]{18}|[cr][0-9a-f]{32})\b(?!@)",
    "link": r"(?i:(?:https?://)?(?:[\w-]+\.)*wa\.me/|(?:chat|api)\.whatsapp\.com/)\S*",
    # A QR payload: a version, and then keys.
    "pairing": r"(?<![\w.])\d@[\w+/=,.-]{16,}",
    # An address of the network names no person, and says which resolver or proxy failed.
    "address": r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
    r"(?::\d{1,5})?(?![\w.@-])",
    # JIDs, LIDs with their devices, and anything else that is somebody at somewhere.
    "id": r"(?<![\w.+:-])[\w.+:-]+@[\w.-]+",
    # Keys: padded base64, long runs that mix what words don't mix, and very long runs.
    "padded": r"(?<![\w+/-])[A-Za-z0-9+/_-]{14,}={1,2}(?![\w=])",
    "mixed": r"(?<![\w+/-])(?=[+/\w-]*[A-Z])(?=[+/\w-]*[a-z])(?=[+/\w-]*\d)[\w+/-]{24,}",
    "secret": r"(?<![\w+/-])(?=[a-zA-Z]*\d)(?=\d*[a-zA-Z])[0-9A-Za-z]{24,}",
    "long": r"(?<![\w+/-])[A-Za-z0-9+/]{40,}",
    "code": r"(?<![\w-])[A-Z0-9]{4}-[A-Z0-9]{4}(?![\w-])",
    "number": r"(?<!\d)\+?\(?\d(?:[ \t().+\-/\u00a0\u2010-\u2015]{0,2}\d){6,}",
}
"""What is personal or secret by its shape; the first that fits at a place counts."""
_SHAPE = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _SHAPES.items()))
_SHOWN = {"padded": "secret", "mixed": "secret", "long": "secret"}


def redact(text: str, limit: int = TEXT_MAX) -> str:
    """The text without personal data and secrets, at most `limit` characters long."""
    if len(text) > _READ_MAX:
        # What is cut through could lose its shape, so the last word goes too.
        text = text[:_READ_MAX].rpartition(" ")[0] + " …"
    text = _SHAPE.sub(_label, _CODE.sub(r"\1[code]", text))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _label(found: re.Match[str]) -> str:
    shape = found.lastgroup or ""
    return found[0] if shape in ("keep", "address") else f"[{_SHOWN.get(shape, shape)}]"
