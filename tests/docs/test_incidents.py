"""docs/incidents.md is true: its five commands lead from a log to a test that knows the bug."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT, block

PAGE = "docs/incidents.md"
RUN = "import sys; from linewarden.tools.cli import main; main(prog_name='linewarden')"
PLAY = """
from linewarden.tools.scenario_file import read_scenario
from linewarden.tools.scenario_run import Run
scenario = read_scenario("loop.jsonl")
run = Run(scenario, "gateway.db")
for line in scenario.lines:
    run.play(line)
run.close()
"""
HEADER = {
    "scenario": "the-440-loop", "what": "Two instances fight for one session, for ever.",
    "timing": "partial", "note": "", "ref": "openclaw/openclaw#25591",
    "policy": {"preset": "openclaw"}, "dials": {"A": ["none"]},
    "identity": {"A": {"pn": "15550100001@s.whatsapp.net"}}, "until": 120, "expect": {},
}  # fmt: skip


def loop() -> str:
    """Each instance takes the session from the other, five seconds after it was taken."""
    lines: list[dict[str, object]] = [
        HEADER,
        {"t": 0, "stimulus": "claimed", "holder": "gw-1", "reason": "start", "source": "gateway"},
    ]
    for start in range(0, 100, 10):
        lines.append({"t": start, "stimulus": "opened", "source": "baileys"})
        lines.append({"t": start + 5, "stimulus": "closed", "source": "baileys", "code": 440})
    said = [line if line is HEADER else {**line, "controller": "A"} for line in lines]
    return "\n".join(map(json.dumps, said)) + "\n"


@pytest.fixture(scope="module")
def bug(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This package with the bug of the incident switched on: 440 is a close like any other."""
    folder = tmp_path_factory.mktemp("bug")
    sources = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    for name in sources:
        shutil.copytree(ROOT / name, folder / "linewarden" / name)
    shutil.copy(ROOT / "__init__.py", folder / "linewarden")
    closes = folder / "linewarden" / "statemachine" / "closes.py"
    mended = "440: CloseClass.REPLACED"
    assert mended in closes.read_text("utf-8")
    closes.write_text(closes.read_text("utf-8").replace(mended, "440: _T"), "utf-8")
    return folder


def run(folder: Path, *command: str, code: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with the code of this tree or with another."""
    environ = {**os.environ, "COLUMNS": "200"}
    if code is not None:
        environ["PYTHONPATH"] = str(code)
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_five_commands_lead_to_a_test_that_knows_the_bug(bug: Path, tmp_path: Path) -> None:
    """From the export to a pytest that holds with the mended code and fails with the bug on."""
    (tmp_path / "loop.jsonl").write_text(loop(), "utf-8")
    played = run(tmp_path, "-c", PLAY, code=bug)
    assert played.returncode == 0, played.stderr
    commands = [line for line in block(PAGE, "sh five").splitlines() if line]
    assert len(commands) == 5
    for line in commands[:4]:
        text, _, remark = line.partition("  # exit code ")
        done = run(tmp_path, "-c", RUN, *shlex.split(text)[1:])
        assert done.returncode == int(remark or 0), (line, done.stdout, done.stderr)
    words = shlex.split(commands[4])
    assert words[0] == "pytest"
    pytest_words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *words[1:]]
    holds = run(tmp_path, *pytest_words)
    assert holds.returncode == 0, holds.stdout
    fails = run(tmp_path, *pytest_words, code=bug)
    assert fails.returncode == 1, fails.stdout
    assert re.search(r"close\.replaced\.conflict|close\.transient", fails.stdout)
