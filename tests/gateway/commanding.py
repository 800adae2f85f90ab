"""What the tests of commands stand on: a gateway that takes them, and clients that misbehave."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linewarden.gateway.warden import Linewarden

from .scripted import WAIT_S, Scripted, bring_up, opened

PERSONAL = "15550100001"
RESTART = {"type": "command", "account": "main", "stimulus": "restart_requested"}


@contextmanager
def line_up(path: Path) -> Iterator[Linewarden]:
    """A gateway with a live line `main` that takes commands."""
    with opened(path, Scripted(), commands=True) as warden:
        bring_up(warden)
        yield warden


def connected(path: Path) -> socket.socket:
    """A client that has said nothing yet."""
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(WAIT_S)
    channel.connect(f"{path}.control")
    return channel


def types(warden: Linewarden) -> list[str]:
    """The stimuli of the log."""
    return [record.type for record in warden.projections.reader.read_all()]
