"""Pairing at a terminal: a code is a secret, shown to the eyes there and to nothing else.

Whoever has a code can read the account's messages, so it goes into no pipe, file or log, and the
payload of a QR is shown as its picture only.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
import time
from queue import SimpleQueue
from typing import TextIO

import click

from ..gateway.redaction import package_logger
from ..gateway.supervisor.line_settings import check_phone
from ..statemachine.errors import InputError

BORDER = 2
"""Light modules around the QR; four are the norm, and phones are content with two."""

EXPIRES_S = 60.0
"""A code of another account is drawn again only while it may be good: the first lasts so long."""

CLEAR = "\x1b[H\x1b[2J"
WHITE_ON_BLACK, PLAIN = "\x1b[97;40m", "\x1b[0m"

log = package_logger("linewarden.run")


class Screen:
    """Shows codes on a terminal, from a thread of its own: a terminal may be slow, or held."""

    def __init__(self, out: TextIO) -> None:
        self._descriptor = out.fileno() if out.isatty() else None
        self._codes: SimpleQueue[tuple[str, str, str]] = SimpleQueue()
        self._told: set[str] = set()
        self._drawn: dict[str, tuple[float, str]] = {}
        if self._descriptor is not None:
            threading.Thread(target=self._draw, name="linewarden-screen", daemon=True).start()

    def show(self, account: str, kind: str, value: str) -> None:
        """Show a code to pair with, "qr" or "code", in place of the account's last; never waits."""
        if self._descriptor is not None:
            self._codes.put((account, kind, value))
        elif account not in self._told:
            self._told.add(account)
            log.warning(
                "account %s waits to be paired, and a code is shown on a terminal only: run "
                "`linewarden run` in one (with Docker: docker run -it), pair, and go on as before",
                account,
            )

    def _draw(self) -> None:
        assert self._descriptor is not None
        while True:
            account, kind, value = self._codes.get()
            text = _qr(account, value, self._columns()) if kind == "qr" else _code(account, value)
            now = time.monotonic()
            clear = CLEAR if self._drawn else ""  # or somebody scans an old one
            self._drawn.pop(account, None)
            self._drawn[account] = now, text
            shown = [text for drawn, text in self._drawn.values() if now - drawn < EXPIRES_S]
            rest = memoryview((clear + "".join(shown)).encode())
            try:
                while rest:
                    # Not `sys.stdout`: its lock, held by a terminal that waits, would hold the end.
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                return  # the terminal is gone

    def _columns(self) -> int:
        """How wide the terminal is; one that doesn't know is wide enough."""
        assert self._descriptor is not None
        try:
            return os.get_terminal_size(self._descriptor).columns or sys.maxsize
        except OSError:
            return sys.maxsize


def _qr(account: str, payload: str, columns: int) -> str:
    try:
        import segno
    except ImportError:
        return f"account {account}: segno is missing, so no QR can be drawn: use --pairing code\n"
    code = segno.make(payload, error="l", boost_error=False, micro=False)
    width, _ = code.symbol_size(border=BORDER)
    if width > columns:
        return (
            f"account {account}: the QR is {width} columns wide, wider than this window: make it "
            "wider, or use --pairing code\n"
        )
    drawing = io.StringIO()
    code.terminal(drawing, border=BORDER, compact=True)
    lines = [f"{WHITE_ON_BLACK}{line}{PLAIN}\n" for line in drawing.getvalue().splitlines()]
    return (
        f"\naccount {account}: scan this on its phone, in WhatsApp > Linked devices > Link a "
        f"device; a new one follows as it expires\n{''.join(lines)}"
    )


def _code(account: str, value: str) -> str:
    letters = value.replace("-", "")
    return (
        f"\naccount {account}: type {letters[:4]}-{letters[4:]} on its phone, in WhatsApp > Linked "
        "devices > Link a device > Link with phone number instead\n"
    )


def ask_number(account: str) -> str | None:
    """Ask for the account's own phone number; None where there is no terminal to ask on.

    It is no argument of a command: it would stand in the list of processes and the shell's history.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    while True:
        # Not `input`: where standard error goes into a file, its question does too.
        asked = f"The phone number of account {account}, to pair by code (such as +15550100001): "
        click.echo(asked, nl=False)
        typed = sys.stdin.readline()
        if not typed:
            raise click.Abort
        number = re.sub(r"[\s().-]", "", typed)
        try:
            check_phone(number)
        except InputError as error:
            click.echo(f"This is no such number: {error.hint}.")
        else:
            return number
