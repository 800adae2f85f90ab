"""Codes to pair with: seen on a terminal by whoever sits there, and nowhere else by nobody."""

import io
import logging
import sys
from pathlib import Path

import pytest
import segno

from linewarden.tools.pairing import BORDER, CLEAR, PLAIN, WHITE_ON_BLACK, Screen

from ..gateway.managed.strings import Strings, connected, device, wait_until
from .running import Running, Terminal

NUMBER = "+15550100001"
CODE = "WXYZ1234"
SHOWN = "WXYZ-1234"
QRS = tuple(
    f"2@QrCaNaRy{turn}AbCdEf0123456789+/xyz,QrKeyOne0123456789abcdefgh=,QrKeyTwo98765432zyxw="
    for turn in range(2)
)
CODES = ("QrCaNaRy", "QrKey", CODE, SHOWN)
SECRETS = (*CODES, NUMBER, NUMBER[1:])
DEBUG = ("--account", "main", "--log-level", "DEBUG")


def picture(payload: str) -> str:
    """The rows of a QR as a terminal gets them."""
    drawing = io.StringIO()
    code = segno.make(payload, error="l", boost_error=False, micro=False)
    code.terminal(drawing, border=BORDER, compact=True)
    rows = [f"{WHITE_ON_BLACK}{row}{PLAIN}" for row in drawing.getvalue().splitlines()]
    return "\n".join(rows)


def assert_untold(*texts: str, secrets: tuple[str, ...] = SECRETS) -> None:
    """None of the texts tells a secret."""
    assert not [secret for secret in secrets for text in texts if secret in text]


def kept(folder: Path) -> str:
    """Everything that lies in the log's files."""
    return "".join(path.read_bytes().decode("latin-1") for path in folder.glob("log.db*"))


def terminal_of(terminal: Terminal) -> Screen:
    return Screen(open(terminal.theirs, "w", closefd=False))


def test_a_qr_is_drawn_and_redrawn() -> None:
    """The newest QR takes the place of the one before; its payload is never spelt out."""
    with Terminal() as terminal:
        screen = terminal_of(terminal)
        screen.show("main", "qr", QRS[0])
        first = terminal.wait_for(picture(QRS[0]))
        assert "account main: scan this" in first
        assert CLEAR not in first
        screen.show("main", "qr", QRS[1])
        second = terminal.wait_for(picture(QRS[1]))
        assert second.partition(CLEAR)[2].count(picture(QRS[1])) == 1
        assert_untold(second)


def test_the_codes_of_two_accounts_stay_apart() -> None:
    """The code of another account stands below, under its own name, and no old one above."""
    with Terminal() as terminal:
        screen = terminal_of(terminal)
        screen.show("main", "qr", QRS[0])
        screen.show("other", "qr", QRS[1])
        now = terminal.wait_for(picture(QRS[1])).rpartition(CLEAR)[2]
        assert now.index("account main") < now.index(picture(QRS[0]))
        assert now.index(picture(QRS[0])) < now.index("account other")


@pytest.mark.parametrize("code", [CODE, SHOWN])
def test_a_code_is_shown_in_two_groups(code: str) -> None:
    """A code to type is shown as the phone wants it typed, with where to type it."""
    with Terminal() as terminal:
        terminal_of(terminal).show("main", "code", code)
        seen = terminal.wait_for("Link with phone number")
        assert f"account main: type {SHOWN} on its phone" in seen


def test_a_narrow_window_gets_no_broken_qr() -> None:
    """A QR whose rows would wrap can't be scanned, so the window is asked to be wider."""
    with Terminal(columns=40) as terminal:
        terminal_of(terminal).show("main", "qr", QRS[0])
        seen = terminal.wait_for("--pairing code")
        assert "wider than this window" in seen
        assert "▄" not in seen
        assert_untold(seen)


def test_without_segno_the_other_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no QR can be drawn, the payload is not shown instead."""
    monkeypatch.setitem(sys.modules, "segno", None)
    with Terminal() as terminal:
        terminal_of(terminal).show("main", "qr", QRS[0])
        assert_untold(terminal.wait_for("segno is missing, so no QR can be drawn: use --pairing"))


def test_no_terminal_gets_no_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file gets nothing, and the log one line for all codes, which says what to do."""
    caplog.set_level(logging.DEBUG)
    with open(tmp_path / "out", "w+", encoding="utf-8") as out:
        screen = Screen(out)
        for payload in QRS:
            screen.show("main", "qr", payload)
        screen.show("main", "code", CODE)
        out.flush()
        out.seek(0)
        assert not out.read()
    [line] = caplog.messages
    assert "account main waits to be paired" in line
    assert "docker run -it" in line
    assert_untold(caplog.text)


def test_run_draws_the_qr_of_its_worker(tmp_path: Path) -> None:
    """What the library hands its callback is seen on the terminal of the run, each time anew."""
    with Terminal() as terminal, Strings() as strings:
        strings.at_connect = []
        with Running(tmp_path, *DEBUG, worker=strings.command, terminal=terminal) as running:
            for payload in QRS:
                strings.puppet().private("Qr", payload)
                terminal.wait_for(picture(payload))
            strings.puppet().play(device(), connected())
            running.wait_for("account main: connected")
            assert running.end() == 0
        assert_untold(terminal.text, running.stderr)
        assert_untold(kept(tmp_path), secrets=CODES)  # its number is in the vault once it is linked


def test_run_shows_no_code_without_a_terminal(tmp_path: Path) -> None:
    """In a pipe, at every level of the log, there is one line instead of the codes."""
    with Strings() as strings:
        strings.at_connect = []
        with Running(tmp_path, *DEBUG, worker=strings.command) as running:
            for payload in QRS:
                strings.puppet().private("Qr", payload)
            running.wait_for("account main waits to be paired")
            strings.puppet().play(device(), connected())
            running.wait_for("account main: connected")
            assert running.end() == 0
        assert not running.stdout
        assert running.stderr.count("waits to be paired") == 1
        assert_untold(running.stderr)
        assert_untold(kept(tmp_path), secrets=CODES)


def test_run_asks_for_the_number_on_the_terminal(tmp_path: Path) -> None:
    """To pair by code the number is asked for, checked, and written down nowhere."""
    words = (*DEBUG, "--pairing", "code")
    with Terminal() as terminal, Strings() as strings:
        strings.at_connect, strings.at_pair = [], {"code": CODE}
        with Running(tmp_path, *words, worker=strings.command, terminal=terminal) as running:
            terminal.wait_for("phone number of account main")
            terminal.type("12345")
            terminal.wait_for("This is no such number")
            terminal.type("+1 (555) 010-0001")
            puppet = strings.puppet()
            puppet.private("Qr", QRS[0])
            terminal.wait_for(SHOWN)
            wait_until(lambda: puppet.named("pair"))
            assert puppet.named("pair")[0]["phone"] == NUMBER[1:]
            assert running.end() == 0
        assert "▄" not in terminal.text
        assert_untold(running.stderr, kept(tmp_path))


def test_a_linked_account_is_asked_nothing(tmp_path: Path) -> None:
    """An account that was logged in once starts without a number, as under a service manager."""
    with Strings() as strings:
        with Running(tmp_path, "--account", "main", worker=strings.command) as running:
            running.wait_for("account main: connected")
            wait_until(lambda: "identity_observed" in {one.type for one in running.records()})
            assert running.end() == 0
        words = (*DEBUG, "--pairing", "code")
        with (
            Terminal() as terminal,
            Running(tmp_path, *words, worker=strings.command, terminal=terminal) as running,
        ):
            running.wait_for("account main: connected")
            assert running.end() == 0
            assert not terminal.text
