"""What the README and docs/operating.md show of managed connections runs, and is complete."""

import builtins
import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from linewarden import Linewarden
from linewarden.eventstore import open_reader
from linewarden.gateway.supervisor.settings import read_settings
from linewarden.statemachine.policy import Policy
from linewarden.tools.cli_run import ADVICE

from .strings import WAIT_S, Strings, message, wait_until

ROOT = Path(__file__).resolve().parents[3]
OPERATING = (ROOT / "docs" / "operating.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
LINEWARDEN = "import sys; from linewarden.tools.cli import main; main(prog_name='linewarden')"


def block(text: str, label: str) -> str:
    """The one fenced block with this label."""
    [found] = re.findall(rf"^```{label}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def table(heading: str) -> list[str]:
    """The first cells of the table under a heading of docs/operating.md."""
    section = OPERATING.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`|]+)` \|", section, re.MULTILINE)


def test_the_example_of_manage_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's program sends its own message and answers one, through a worker's client."""
    with Strings() as strings:
        manage = functools.partialmethod(Linewarden.manage, worker=strings.command)
        monkeypatch.setattr(Linewarden, "manage", manage)
        monkeypatch.chdir(tmp_path)

        def enter(_prompt: str) -> str:
            strings.puppet().play(message("is it open"))
            wait_until(lambda: len(strings.written) == 2)
            return ""

        monkeypatch.setattr(builtins, "input", enter)
        exec(compile(block(README, "python manage"), "README.md", "exec"), {})
        assert [text for _, text in strings.written] == ["We are open.", "You said: is it open"]
        assert Path("sessions/support.db").exists()


def test_the_example_of_run_runs(tmp_path: Path) -> None:
    """The README's command dials with the real library, and ends in order on Ctrl-C."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        environ = {**os.environ, "LINEWARDEN_PROXY": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        words = shlex.split(block(README, "sh run"), comments=True)
        running = subprocess.Popen(
            [sys.executable, "-c", LINEWARDEN, *words[1:]],
            cwd=tmp_path,
            env=environ,
            stderr=subprocess.PIPE,
        )
        try:
            wait_until((tmp_path / "linewarden.db.control").exists)
            reader = open_reader(tmp_path / "linewarden.db")
            wait_until(lambda: [r for r in reader.read_all() if r.type == "dial_failed"])
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=WAIT_S)
            assert running.returncode == 0, errors
            assert list(reader.read_all())[-1].type == "service_stopped"
            reader.close()
        finally:
            running.kill()
            running.wait()


def test_the_example_of_a_bot_runs() -> None:
    """The page's bot answers a question with two kinds of replies."""
    names: dict[str, Any] = {}
    exec(compile(block(OPERATING, "python bot"), "operating.md", "exec"), names)
    said: list[str] = []
    given = SimpleNamespace(text="help", reply=said.append)
    assert names["answer"](given) is None and said == ["Ask me anything."]
    assert names["answer"](SimpleNamespace(text="hello")) == "You said: hello"


def test_the_example_of_settings_is_understood(tmp_path: Path) -> None:
    """The page's configuration file passes every check."""
    file = tmp_path / "linewarden.toml"
    file.write_text(block(OPERATING, "toml"), "utf-8")
    file.chmod(0o600)
    settings = read_settings(file, {})
    assert set(settings.accounts) == set(tomllib.loads(file.read_text("utf-8"))["accounts"])
    assert settings.accounts["support"].policy["relink"] == "auto"


def test_every_notice_is_explained() -> None:
    """The page tells of each notice what to do, as `linewarden run` does."""
    assert sorted(table("Notices")) == sorted(ADVICE)


def test_every_field_of_the_policy_is_explained() -> None:
    """The page names every field of a policy."""
    settings = OPERATING.split("\n## Settings\n", 1)[1]
    missing = [name for name in Policy.__struct_fields__ if f"`{name}`" not in settings]
    assert not missing
