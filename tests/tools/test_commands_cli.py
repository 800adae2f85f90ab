"""The commands `restart`, `stop`, `release`, `relink` and `start`: with a gateway and without."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore import decode, open_reader
from linewarden.tools import cli_commands

from ..gateway.commanding import PERSONAL, line_up
from ..gateway.scripted import WAIT_S, Scripted, bring_up, opened

COMMANDS: dict[str, click.Command] = {
    name: getattr(cli_commands, name) for name in ("restart", "stop", "release", "relink", "start")
}
NEXT_RUN = "the next run takes it up"
ENDINGS = {
    "stopped": ("stop_requested", {}),
    "conflict": ("replaced", {"controller": "A"}),
    "logged_out": ("logged_out", {"controller": "A"}),
    "banned": ("banned", {"controller": "A", "expires_s": 3600}),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def run(name: str, path: Path, *more: str, account: str = "main") -> Result:
    """A command of the command line, in this process."""
    return CliRunner().invoke(COMMANDS[name], [account, "--file", str(path), *more])


def left(path: Path, ending: str | None = None) -> None:
    """The log of a gateway that ran, came to an ending and was stopped in order."""
    with opened(path, Scripted()) as warden:
        bring_up(warden)
        if ending is not None:
            stimulus, fields = ENDINGS[ending]
            warden.observe("main", stimulus, **fields).result(WAIT_S)


def records(path: Path) -> list[dict[str, object]]:
    """The stimuli of the log, as recorded."""
    reader = open_reader(path)
    try:
        return [decode(record.body)["stimulus"] for record in reader.read_all()]
    finally:
        reader.close()


@pytest.fixture
def gateway(path: Path) -> Iterator[None]:
    with line_up(path):
        yield


def test_a_running_gateway_takes_the_command(gateway: None, path: Path) -> None:
    """What is granted is said with its reason and the state after it, and exits with 0."""
    result = run("restart", path, "--reason", "no messages since noon")
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "The restart was granted: the socket closes and a successor is asked for.",
        "main: reconnect-gap (position 4)",
    ]
    asked = records(path)[3]
    assert asked["stimulus"] == "restart_requested"
    assert asked["reason"] == "no messages since noon"


@pytest.mark.parametrize("name", ["release", "relink", "start"])
def test_what_is_refused_exits_with_1(gateway: None, path: Path, name: str) -> None:
    """A refusal is recorded, says why, and exits with 1."""
    result = run(name, path)
    assert result.exit_code == 1
    assert "was refused" in result.output
    assert "main: connected" in result.output
    assert len(records(path)) == 4


def test_a_second_process_hands_its_command_over(gateway: None, path: Path) -> None:
    """The command line in a process of its own gets the answer of the one that holds the log."""
    script = f"from {cli_commands.__name__} import stop; stop()"
    done = subprocess.run(
        [sys.executable, "-c", script, "main", "--file", str(path), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer == {
        "account": "main",
        "rule": "stop.closed",
        "granted": True,
        "explanation": "The account was stopped on purpose.",
        "state": "closed",
        "position": 4,
        "version": 4,
        "running": True,
    }


@pytest.mark.parametrize(
    ("name", "ending", "rule"),
    [
        ("restart", None, "restart.granted"),
        ("stop", None, "stop.closed"),
        ("stop", "conflict", "stop.ended"),
        ("release", "banned", "release.hold"),
        ("release", "conflict", "release.conflict"),
        ("relink", "logged_out", "relink.granted"),
        ("start", "stopped", "relink.granted"),
        ("restart", "stopped", "restart.refused.ended"),
        ("relink", None, "relink.refused.alive"),
    ],
)
def test_without_a_gateway_it_is_recorded(
    path: Path, name: str, ending: str | None, rule: str
) -> None:
    """Where nobody holds the log the decision is recorded, and whether it waits for a run said."""
    left(path, ending)
    count = len(records(path))
    result = run(name, path, "--json")
    answer = json.loads(result.output)
    assert (answer["rule"], answer["running"]) == (rule, False)
    granted = ".refused." not in rule
    assert (answer["granted"], result.exit_code) == (granted, 0 if granted else 1)
    assert len(records(path)) == count + 1
    again = run(name, path)
    assert (NEXT_RUN in again.output) == (again.exit_code == 0)


@pytest.mark.parametrize(
    ("name", "ending", "effects"),
    [
        ("restart", None, ["claim"]),
        ("release", "banned", ["dial"]),
        ("release", "conflict", ["claim"]),
        ("start", "stopped", ["claim"]),
        ("relink", "logged_out", ["purge", "claim"]),
    ],
)
def test_the_next_run_takes_up_what_was_recorded(
    path: Path, name: str, ending: str | None, effects: list[str]
) -> None:
    """What a command without a gateway asked for is asked of the driver when one starts."""
    left(path, ending)
    assert run(name, path).exit_code == 0
    driver = Scripted()
    with opened(path, driver):
        for effect in effects:
            driver.wait_for(effect)


def test_a_stop_without_a_gateway_outlasts_its_start(path: Path) -> None:
    """A line that was stopped meanwhile is neither dialed nor claimed by the next run."""
    left(path)
    assert run("stop", path).exit_code == 0
    driver = Scripted()
    with opened(path, driver) as warden:
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        view = warden.projections.account("main")
        assert view is not None and view.machine.reason == "stopped"
    assert not driver.named("dial") and not driver.named("claim")


@pytest.mark.parametrize("account", ["nobody", "", "../etc", PERSONAL, f"{PERSONAL}@lid", "a" * 65])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_account_is_a_mistake(path: Path, name: str, account: str) -> None:
    """It exits with 2 and a hint, shows no personal value, and nothing is recorded."""
    left(path)
    before = records(path)
    result = run(name, path, account=account)
    assert result.exit_code == 2
    assert "hint: " in result.output
    assert PERSONAL not in result.output
    assert records(path) == before


def test_an_account_that_the_gateway_lacks_is_a_mistake(gateway: None, path: Path) -> None:
    """Beside a running gateway too nothing is recorded of an account that nobody claimed."""
    assert run("restart", path, account="nobody").exit_code == 2
    assert len(records(path)) == 3


@pytest.mark.parametrize("words", [["\ud800"], [PERSONAL * 2000]])
def test_a_reason_that_can_not_be_said(gateway: None, path: Path, words: list[str]) -> None:
    """Half a character or a whole book is no reason: 2, a hint, and nothing is recorded."""
    result = run("restart", path, "--reason", *words)
    assert result.exit_code == 2
    assert "hint: " in result.output
    assert PERSONAL not in result.output
    assert len(records(path)) == 3


def test_nothing_personal_of_a_reason_is_recorded(path: Path) -> None:
    """A number in a reason is hidden, also where the command line records it itself."""
    left(path)
    assert run("stop", path, "--reason", f"+{PERSONAL} asked for it").exit_code == 0
    assert records(path)[-1]["reason"] == "[number] asked for it"


def test_no_log_is_made(path: Path) -> None:
    """A path without a log is a mistake: no file is made there."""
    result = run("restart", path)
    assert result.exit_code == 2
    assert "hint: " in result.output
    assert not list(path.parent.iterdir())


def test_a_gateway_that_takes_no_commands_is_named(path: Path) -> None:
    """Who holds the log without taking commands is said by pid and name, with what to change."""
    with opened(path, Scripted(), holder="first") as warden:
        bring_up(warden)
        result = run("stop", path)
        assert result.exit_code == 2
        assert f"process {os.getpid()} (first)" in result.output
        assert "commands=True" in result.output
    assert "stop_requested" not in [record["stimulus"] for record in records(path)]


def test_the_socket_of_a_dead_gateway_misleads_nobody(path: Path) -> None:
    """Beside the socket that a killed gateway left, the command is recorded as without one."""
    left(path)
    script = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, f"{path}.control"], check=True, timeout=60)
    result = run("stop", path)
    assert result.exit_code == 0
    assert NEXT_RUN in result.output
