"""`linewarden run`, with real workers: how it begins, what it says, and how it ends."""

import contextlib
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linewarden.gateway.commands import command_of, hand_over
from linewarden.gateway.supervisor.process import END_S
from linewarden.tools import cli_run
from linewarden.tools.cli_commands import request

from ..gateway.managed.strings import Strings, connected, device, message, wait_until
from ..gateway.scripted import WAIT_S, Scripted, bring_up, opened
from .running import Running, is_over

ENDINGS = {
    "stopped": ("stop_requested", {}, "linewarden start main"),
    "conflict": ("replaced", {"controller": "A"}, "linewarden release main"),
    "logged_out": ("logged_out", {"controller": "A"}, "linewarden relink main"),
}


@pytest.fixture
def proxy() -> Iterator[Callable[[bool], str]]:
    """The address of a proxy that refuses everybody, or that takes everybody and says nothing."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        def address(silent: bool = False) -> str:
            if silent:
                bound.listen()
            return f"http://127.0.0.1:{bound.getsockname()[1]}"

        yield address


def ended_account(path: Path, ending: str) -> None:
    """A log whose account came to an end in an earlier run."""
    stimulus, fields, _ = ENDINGS[ending]
    with opened(path, Scripted()) as warden:
        bring_up(warden)
        warden.observe("main", stimulus, **fields).result(WAIT_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(
    number: signal.Signals, tmp_path: Path, proxy: Callable[..., str]
) -> None:
    """Ctrl-C, SIGTERM and a terminal that closes end it with 0 within 5 s; no worker is left."""
    with Running(tmp_path, "--account", "main", proxy=proxy()) as running:
        running.wait_for("account main: reconnect-gap")
        worker = running.worker
        assert running.end(number) == 0
        assert is_over(worker)
        assert [record.type for record in running.records()][-1] == "service_stopped"
        assert f"ends on {number.name}" in running.stderr
        assert "Traceback" not in running.stderr


def test_a_dial_that_hangs_holds_up_no_end(tmp_path: Path, proxy: Callable[..., str]) -> None:
    """Where a proxy takes the connection and says nothing, SIGTERM still ends it within 5 s."""
    with Running(tmp_path, "--account", "main", proxy=proxy(silent=True)) as running:
        running.wait_for("dials socket 1")
        worker = running.worker
        assert running.end(signal.SIGTERM) == 0
        assert is_over(worker)
        assert "service_stopped" in [record.type for record in running.records()]


def test_a_second_signal_ends_it_at_once(tmp_path: Path, proxy: Callable[..., str]) -> None:
    """Who can't wait for a worker that hangs signals once more; the worker follows."""
    with Running(tmp_path, "--account", "main", proxy=proxy()) as running:
        running.wait_for("account main: reconnect-gap")
        worker = running.worker
        os.kill(worker, signal.SIGSTOP)
        running.process.send_signal(signal.SIGINT)
        running.wait_for("ends on SIGINT")
        assert running.end(signal.SIGINT, END_S) == -signal.SIGINT
        with contextlib.suppress(ProcessLookupError):  # the system may have woken it already
            os.kill(worker, signal.SIGCONT)
        wait_until(lambda: is_over(worker))


def test_a_log_that_is_held_is_an_error(tmp_path: Path) -> None:
    """Where another process writes to the log, it is named, and the exit code is 2."""
    warden = opened(tmp_path / "log.db", holder="elsewhere")
    try:
        with Running(tmp_path, "--account", "main") as running:
            assert running.ended() == 2
    finally:
        warden.close()
    assert f"is being written by process {os.getpid()} (elsewhere)" in running.stderr
    assert "hint: one process writes at a time" in running.stderr
    assert "Traceback" not in running.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--config", "bad.toml"], r"bad.toml: \[accounts.main\]: unknown is paring\n.*pairing\?"),
        (["--config", "none.toml"], "none.toml: it can't be read"),
        (
            ["--account", "main", "--bot", "nowhere:answer"],
            "there is no module nowhere for the bot",
        ),
        (["--account", "main", "--bot", "nowhere"], "not of the form module:function"),
        (["--account", "+15550100001"], "linewarden: --account: "),
        ([], "no account is named"),
    ],
)
def test_bad_settings_are_clear_errors(words: list[str], told: str, tmp_path: Path) -> None:
    """What is wrong is said with a hint and exit code 2, before there is any log."""
    (tmp_path / "bad.toml").write_text('[accounts.main]\nparing = "qr"\n')
    with Running(tmp_path, *words) as running:
        assert running.ended() == 2
    assert re.search(told, running.stderr), running.stderr
    assert "hint: " in running.stderr
    assert "Traceback" not in running.stderr
    assert "15550100001" not in running.stderr
    assert not running.path.exists()


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_an_account_that_ended_is_not_begun_again(ending: str, tmp_path: Path) -> None:
    """A start claims no account that ended: it says which command does, and that one works."""
    ended_account(tmp_path / "log.db", ending)
    _, _, command = ENDINGS[ending]
    with Strings() as strings:
        with Running(tmp_path, "--account", "main", worker=strings.command) as running:
            running.wait_for(f"`{command} --file {tmp_path}/log.db`")
            running.wait_for("linewarden runs main")
            assert [record.type for record in running.records()].count("claimed") == 1

            stimulus = cli_request(command)
            answer = wait_until(lambda: hand_over(running.path, command_of("main", stimulus)))
            assert answer is not None and answer["granted"]
            running.wait_for("account main: connected")
            assert running.end() == 0
        assert [record.type for record in running.records()].count("claimed") == 2


def cli_request(command: str) -> str:
    """The stimulus of `linewarden start|relink|release ACCOUNT`."""
    word = command.split()[1]
    return "release_requested" if word == "release" else "relink_requested"


def test_an_account_that_was_begun_again_needs_no_command(tmp_path: Path) -> None:
    """Where the command was given before the start, the start takes it up and names none."""
    path = tmp_path / "log.db"
    ended_account(path, "stopped")
    assert request(str(path), "main", "relink_requested", None)["granted"]
    with Strings() as strings:
        with Running(tmp_path, "--account", "main", worker=strings.command) as running:
            running.wait_for("account main: connected")
            assert running.end() == 0
        assert "linewarden start" not in running.stderr


def test_the_echo_bot_answers(tmp_path: Path) -> None:
    """With `--bot`, which goes over the settings, a message is answered through the worker."""
    (tmp_path / "run.toml").write_text('[accounts.main]\nbot = "nowhere:answer"\n')
    words = ("--config", "run.toml", "--bot", "linewarden.tools.echo:answer")
    with Strings() as strings:
        strings.at_connect = [device(), connected(), message("is anybody there")]
        with Running(tmp_path, *words, worker=strings.command) as running:
            wait_until(lambda: strings.written)
            assert running.end() == 0
        assert strings.written == [("15550100002@s.whatsapp.net", "is anybody there")]
    assert not running.stdout
    assert "anybody" not in running.stderr


def test_a_notice_says_what_to_do(tmp_path: Path, proxy: Callable[..., str]) -> None:
    """The end of a ladder is told on standard error, with the commands for this log."""
    (tmp_path / "run.toml").write_text(
        '[accounts.main]\npolicy = {initial_s = "0.01", fast_attempts = 1, after = "give_up"}\n'
    )
    with Running(tmp_path, "--config", "run.toml", proxy=proxy()) as running:
        said = running.wait_for("Account main could not be connected.*`(.*)` says.*`(.*)`")
        assert said[1] == f"linewarden why --account main --file {running.path}"
        assert said[2] == f"linewarden start main --file {running.path}"
        assert running.end() == 0


def test_there_is_advice_on_every_notice(capsys: pytest.CaptureFixture[str]) -> None:
    """Each notice of the glossary has one sentence that names the account and fits its line."""
    page = Path(cli_run.__file__).parents[1] / "docs/glossary.md"
    section = page.read_text(encoding="utf-8").partition("## Notices")[2].partition("\n## ")[0]
    notices = re.findall(r"`(\w+)`", section.partition(".")[0])
    states = {"closed"}
    assert set(cli_run.ADVICE) == set(notices) - states
    for notice in cli_run.ADVICE:
        cli_run._tell(os.path.realpath(cli_run.DEFAULT_FILE), "support", "c1", notice)
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and "ccount support" in told and "{" not in told
        assert "--file" not in told
