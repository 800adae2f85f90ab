"""The smallest bot: it says what it was told. `linewarden run --bot linewarden.tools.echo:answer`.

A bot is a function, sync or async, that is given each message. What it returns is sent as the
reply; with `message.reply(…)` it may reply more than once, and later.
"""

from __future__ import annotations

from ..gateway.supervisor.inbound import Message


def answer(message: Message) -> str | None:
    """Say it back; what has no text, such as a sticker, is not answered."""
    return message.text
