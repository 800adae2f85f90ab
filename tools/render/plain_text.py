"""Texts for pictures whose grammar has no quotes: what could be grammar becomes a question mark."""

from __future__ import annotations

TEXT_MAX = 60
_HARMLESS = frozenset(" .,_-/()+=!?*'@→×…")


def plain(text: object) -> str:
    """A text as mermaid shows it as text, wherever it stands; a long one is cut.

    Mermaid has no escape that holds in all its diagrams, so what is no letter, no digit and no
    harmless sign is not shown: no quotes, no markup, no line ends, no `%%`, `;`, `#` or colon.
    """
    said = "".join(one if one.isalnum() or one in _HARMLESS else "?" for one in str(text))
    # Two dashes and more are arrows, and nothing at all is no name.
    while "--" in said:
        said = said.replace("--", "-")
    said = said.strip() or "?"
    return said if len(said) <= TEXT_MAX else said[: TEXT_MAX - 1] + "…"
