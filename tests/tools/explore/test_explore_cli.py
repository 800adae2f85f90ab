"""The commands: what people and programs get, exit codes, the seal, and the same in any process."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from linewarden.eventstore import bundle_writing
from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.statemachine import closing
from linewarden.tools.explore import cli
from linewarden.tools.replay import sealed

from ..replay.test_mutations import retried
from .conftest import save

COMMANDS = (cli.step, cli.what_if, cli.minimise)
SCRIPT = "from linewarden.tools.explore.cli import {0}; {0}.main(args=sys.argv[1:])"
ANSWER_S = 30


def call(command: click.Command, *given: str) -> Result:
    return CliRunner().invoke(command, given)


def test_what_if_tells_what_would_have_been(night: str) -> None:
    """Exit code 1 and what differs; 0 where nothing does; 2 for a bad edit."""
    result = call(cli.what_if, night, "--set", "13.code=428", "--run-on", "1m")
    assert result.exit_code == 1, result.output
    assert result.output.splitlines() == [
        "what if, of night.incident.jsonl.gz:",
        "  13 closed: code 440 -> 428",
        "2 differ of 13 records:",
        "  position 13: decision, rule close.replaced.conflict -> close.transient.retry",
        "  2023-11-14 22:14:43.600: happens only now, retry.dial",
        "timers:",
        "  retry: fires only now, 2023-11-14 22:14:43.600",
        "states:",
        "  then  connecting 22:13:20.000 > connected 22:13:21.000 > reconnect-gap 22:14:30.000"
        " > connecting 22:14:32.000 > connected 22:14:33.000 > conflict 22:14:40.000",
        "  now   connecting 22:13:20.000 > connected 22:13:21.000 > reconnect-gap 22:14:30.000"
        " > connecting 22:14:32.000 > connected 22:14:33.000 > reconnect-gap 22:14:40.000"
        " > connecting 22:14:43.600",
    ]
    assert call(cli.what_if, night, "--set", "13.detail=x").exit_code == 0
    assert call(cli.what_if, night, "--set", "13.code=440").exit_code == 2
    assert "no timer" in call(cli.what_if, "--help").output
    bad = call(cli.what_if, night, "--drop", "99")
    assert bad.exit_code == 2 and "hint: its positions are from 1 to 13" in bad.output


def test_what_if_as_data(night: str) -> None:
    """Everything that differs, for programs."""
    told = json.loads(call(cli.what_if, night, "--drop", "8", "--json").output)
    assert told["replies"] == [{"what": "r2", "then": "sent", "now": None}]
    assert told["records"]["first"]["position"] == 8
    assert told["records"]["records"] == 13


def test_minimise_writes_a_bundle(night: str, tmp_path: Path) -> None:
    """What is left is shown and written; a file that is there is replaced only when asked."""
    out = str(tmp_path / "least.incident.jsonl.gz")
    given = (night, "--keep", "state == 'conflict'", "--out", out)
    result = call(cli.minimise, *given)
    assert result.exit_code == 0, result.output
    rows = result.output.splitlines()
    assert rows[0].startswith("2 of 13 stimuli are left after ")
    assert rows[-3:] == [
        "kept: state == 'conflict'",
        f"wrote {out}",
        f"next: linewarden replay {out}",
    ]
    assert read_bundle(out).header.build.endswith("+minimised")
    again = call(cli.minimise, *given)
    assert again.exit_code == 2 and "--force" in again.output
    told = json.loads(call(cli.minimise, *given, "--force", "--json").output)
    assert (told["positions"], told["file"], told["stimuli"]) == ([1, 13], out, 13)


def test_minimise_has_a_name_for_the_file(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name it is the account's; a divergence that is kept is found by a replay."""
    monkeypatch.chdir(tmp_path)
    assert call(cli.minimise, night, "--keep", "diverges").exit_code == 2
    assert not (tmp_path / "main-least.incident.jsonl.gz").exists()
    monkeypatch.setattr(closing, "classify", retried)
    assert call(cli.minimise, night, "--keep", "diverges").exit_code == 0
    from linewarden.tools.replay import cli as replaying

    result = CliRunner().invoke(replaying.replay, ["main-least.incident.jsonl.gz"])
    assert result.exit_code == 1
    assert "position 13 (version 5) was decided otherwise" in result.output


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_bundle_of_the_future_is_exit_code_3(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: click.Command
) -> None:
    """What a newer linewarden wrote is not taken for bad input."""
    monkeypatch.setattr(bundle_writing, "_prove", lambda *_: None)
    newer = replace(bundle, header=replace(bundle.header, schema=99))
    path = save(newer, tmp_path / "newer.incident.jsonl.gz")
    more = {"minimise": ("--keep", "live"), "what-if": ("--drop", "1")}
    given = more.get(command.name, ())
    result = call(command, path, *given)
    assert result.exit_code == 3 and "hint: " in result.output


def run(
    command: str, *given: str, text: str = "", **variables: str
) -> "subprocess.CompletedProcess[bytes]":
    """A command in a process of its own, which says in the end what it must not have imported."""
    script = f"""
import atexit, sys
def look():
    held = [m for m in sys.modules if m.startswith(("linewarden.gateway", "neonize"))]
    print("HELD", held, file=sys.stderr)
atexit.register(look)
{SCRIPT.format(command)}
"""
    return subprocess.run(
        [sys.executable, "-c", script, *given],
        input=text.encode(),
        capture_output=True,
        env={**os.environ, **variables},
        check=False,
        timeout=ANSWER_S,
    )


def test_it_is_the_same_in_any_process(night: str, tmp_path: Path) -> None:
    """Two hash seeds, time zones and locales: the same words and bytes; nothing of the gateway."""
    places = (
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "77", "TZ": "America/New_York", "LC_ALL": "C.UTF-8"},
    )
    out = str(tmp_path / "least.incident.jsonl.gz")
    asked = [
        ("minimise", (night, "--keep", "reply('r2').outcome == 'sent'", "--out", out, "--force")),
        ("what_if", (night, "--drop", "10", "--run-on", "10m")),
        ("step", (night,)),
    ]
    text = "break effects\ncontinue\nstate\nwhy\nlist 40\ndiff 1 13\n"
    for command, given in asked:
        answers = []
        for variables in places:
            done = run(command, *given, text=text, **variables)
            held = done.stderr.decode().strip().splitlines()[-1]
            assert held == "HELD []", done.stderr
            written = Path(out).read_bytes() if command == "minimise" else b""
            answers.append((done.returncode, done.stdout, written))
        assert answers[0] == answers[1]
        assert answers[0][1]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_seals_first(
    night: str, monkeypatch: pytest.MonkeyPatch, command: click.Command
) -> None:
    """The doors are closed before the incident is opened."""
    asked: list[bool] = []

    def look(*_: object) -> None:
        asked.append(sealed.is_sealed())
        raise SystemExit(9)

    from linewarden.tools import incident

    monkeypatch.setattr(incident, "incident_of", look)
    more = {"minimise": ("--keep", "live"), "what-if": ("--drop", "1")}
    given = more.get(command.name, ())
    assert call(command, night, *given).exit_code == 9
    assert asked == [True]


def test_a_person_has_a_prompt(night: str) -> None:
    """At a terminal it shows where it stands, forgives what is bad, and Ctrl-D ends it."""
    script = f"import sys; {SCRIPT.format('step')}"
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script, night], stdin=child, stdout=child, stderr=child
    ) as process:
        os.close(child)
        heard = b""

        def hear(until: bytes, times: int = 1) -> None:
            nonlocal heard
            while heard.count(until) < times:
                ready, _, _ = select.select([parent], [], [], ANSWER_S)
                assert ready, heard
                heard += os.read(parent, 4096)

        try:
            hear(b"step> ")
            assert b"1 of 13" in heard
            os.write(parent, b"nonsense\n")
            hear(b"`help` lists them")
            hear(b"step> ", 2)
            os.write(parent, b"next\n")
            hear(b"2 of 13")
            hear(b"step> ", 3)
            process.send_signal(signal.SIGINT)
            # A signal just before the terminal is asked is seen when it answers: hence the line.
            os.write(parent, b"\n")
            hear(b"step> ", 4)
            os.write(parent, b"\xff\n")
            hear(b"hint: ", 2)
            hear(b"step> ", heard[: heard.rindex(b"hint: ")].count(b"step> ") + 1)
            os.write(parent, b"\x04")
            assert process.wait(ANSWER_S) == 0
        finally:
            process.kill()
    os.close(parent)
