"""`linewarden doctor`: how it ends, and the machine that it looks at, well and ill."""

import ctypes.util
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore import open_store
from linewarden.statemachine.policy import NS
from linewarden.tools import doctor, doctor_machine
from linewarden.tools.cli_doctor import doctor as command
from linewarden.tools.doctor_machine import Finding

NOW = 4_000_000_000 * NS  # later than any file of this installation


def run(*given: str, **environ: str) -> Result:
    return CliRunner(env=environ).invoke(command, given)


def worker(monkeypatch: pytest.MonkeyPatch, program: str) -> Finding:
    """What the doctor says where a worker is this program."""
    monkeypatch.setattr(doctor_machine, "WORKER", (sys.executable, "-c", program))
    return doctor_machine.look_at_neonize(os.environ)


def test_a_sound_machine_has_nothing_bad(tmp_path: Path) -> None:
    """Here, where these tests run, neonize imports and nothing about a fresh log is bad."""
    log = str(tmp_path / "log.db")
    open_store(log).close()
    findings = doctor.examine(log, [], NOW, os.environ)
    assert {finding.name: finding.found for finding in findings if finding.level == "bad"} == {}
    found = {finding.name: finding.found for finding in findings}
    assert found["neonize"] == importlib.metadata.version("neonize")
    assert found["log"] == f"0 records of 0 accounts in {log}"
    assert found["owner"] == "free"
    assert found["log's files"] == "private"


def test_nothing_is_made(tmp_path: Path) -> None:
    """Where there is no log yet, the doctor leaves the folder as empty as it was."""
    result = run("--file", str(tmp_path / "new.db"))
    assert "none yet" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warn", 0), ("bad", 1)])
def test_only_what_is_bad_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, level: doctor_machine.Level, code: int
) -> None:
    """Exit code 1 where something is bad, 0 where it only might be better; the advice is shown."""
    finding = Finding("disk", level, "12 MiB free", "free space")
    monkeypatch.setattr(doctor, "examine", lambda *_: [finding])
    told = run("--file", str(tmp_path / "new.db"))
    assert told.exit_code == code
    assert told.output.split() == [level, "disk", "12", "MiB", "free", "→", "free", "space"]
    data = run("--file", str(tmp_path / "new.db"), "--json")
    assert data.exit_code == code
    assert json.loads(data.stdout) == {
        "ok": level != "bad",
        "findings": [
            {"name": "disk", "level": level, "found": "12 MiB free", "advice": "free space"}
        ],
    }


def test_settings_that_are_no_settings_are_bad_input(tmp_path: Path) -> None:
    """A configuration that can't be read is exit code 2, with what to do."""
    result = run("--config", str(tmp_path / "none.toml"))
    assert result.exit_code == 2
    assert "hint" in result.output


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Sequence[str]]]:
    """The logs and sessions that were looked at."""
    seen: list[tuple[str, Sequence[str]]] = []

    def examine(log: str, sessions: Sequence[str], *_: object) -> list[Finding]:
        seen.append((log, sessions))
        return []

    monkeypatch.setattr(doctor, "examine", examine)
    return seen


def test_the_settings_say_where_to_look(
    tmp_path: Path, asked: list[tuple[str, Sequence[str]]]
) -> None:
    """Log and sessions are those of the file, and `--file` goes before it."""
    config = tmp_path / "gateway.toml"
    config.write_text('log = "x.db"\n[accounts.support]\nsession = "s/support.db"\n')
    run("--config", str(config))
    run("--config", str(config), "--file", str(tmp_path / "y.db"))
    session = [str(tmp_path / "s" / "support.db")]
    assert asked == [(str(tmp_path / "x.db"), session), (str(tmp_path / "y.db"), session)]


def test_without_settings_all_sessions_beside_the_log_are_looked_at(
    tmp_path: Path, asked: list[tuple[str, Sequence[str]]]
) -> None:
    """The folder `sessions` beside the log is looked through where no account is named."""
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "support.db").touch()
    run("--file", str(tmp_path / "log.db"))
    run("--file", str(tmp_path / "log.db"), "--account", "sales")
    [(_, sessions), (_, named)] = asked
    assert str(tmp_path / "sessions" / "support.db") in sessions
    assert named == [str(tmp_path / "sessions" / "sales.db")]


@pytest.mark.parametrize(
    ("version", "level"),
    [((2, 36), "ok"), ((2, 34), "ok"), ((2, 31), "bad"), (None, "bad")],
)
def test_the_c_library_must_be_new_enough(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int] | None, level: str
) -> None:
    """A machine needs glibc 2.34; an older one, and another library, are bad."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor_machine, "glibc", lambda: version)
    finding = doctor_machine.look_at_system()
    assert finding.level == level
    assert bool(finding.advice) == (level == "bad")


def test_libmagic_comes_from_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's is as good as pylibmagic's; where both lack it is bad."""
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libmagic.so.1")
    assert doctor_machine.look_at_libmagic().found == "the system's"
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace())
    assert doctor_machine.look_at_libmagic().found == "pylibmagic's"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert doctor_machine.look_at_libmagic().level == "bad"


def test_a_worker_that_says_what_it_lacks_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last two lines of a worker's look are the message and the hint."""
    program = "import sys; sys.stderr.write('noise\\nno libmagic\\napt-get it\\n'); sys.exit(1)"
    finding = worker(monkeypatch, program)
    assert finding == Finding("neonize", "bad", "no libmagic", "apt-get it")


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("raise SystemError", "a worker can't start"),
        ("import sys; sys.exit(3)", "a worker can't start"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "by SIGKILL"),
        ("import signal; signal.pause()", "not imported within 0 s"),
    ],
)
def test_a_worker_that_breaks_is_bad(
    monkeypatch: pytest.MonkeyPatch, program: str, found: str
) -> None:
    """An import that fails otherwise, ends its process or never comes back breaks no doctor."""
    if "pause" in program:
        monkeypatch.setattr(doctor_machine, "CHECK_S", 0.2)
    finding = worker(monkeypatch, program)
    assert finding.level == "bad"
    assert found in finding.found


def test_a_worker_that_can_not_be_spawned_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that starts no process gets a finding and no traceback."""
    monkeypatch.setattr(doctor_machine, "WORKER", ("/nowhere/python",))
    assert doctor_machine.look_at_neonize(os.environ).level == "bad"


def test_certificates_come_from_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's, or certifi's; without both no server can be trusted."""
    assert doctor_machine.look_at_certificates({"SSL_CERT_FILE": __file__}).found == __file__
    monkeypatch.setattr(doctor_machine, "trusted_roots", lambda environ: None)
    monkeypatch.setattr(doctor_machine, "worker_environment", lambda environ: {"SSL_CERT_FILE": ""})
    assert doctor_machine.look_at_certificates({}).level == "ok"
    monkeypatch.setattr(doctor_machine, "worker_environment", lambda environ: {})
    assert doctor_machine.look_at_certificates({}).level == "bad"


def test_ffmpeg_is_no_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text needs no ffmpeg, so its absence is only told."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    finding = doctor_machine.look_at_ffmpeg()
    assert finding.level == "ok"
    assert "apt-get install ffmpeg" in finding.advice


@pytest.mark.parametrize(
    ("version", "races"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_the_reset_race_is_known_by_version(version: tuple[int, ...], races: bool) -> None:
    """The race of the write-ahead log is in every release but three branches' last."""
    assert doctor_machine.has_reset_race(version) is races
