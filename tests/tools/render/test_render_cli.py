"""`linewarden render`: every form, to a file or to the screen, in a process that is sealed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.tools.render.cli import FORMS, drawn, render

from ..incidents import played, saved
from .pictures import RESTARTED, restarted

WATCHED = """
import sys

def refuse(event, arguments):
    if event.startswith(("socket.", "subprocess.")):
        raise OSError("a picture needs no network and no process")

sys.addaudithook(refuse)
from linewarden.tools.render.cli import render
try:
    render.main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
loaded = [name for name in sys.modules if "linewarden.gateway" in name or "neonize" in name]
assert not loaded, loaded
"""


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a bundle."""
    return saved(restarted(), tmp_path_factory.mktemp("incident") / "night.incident.jsonl.gz")


def run(*words: object) -> Result:
    return CliRunner().invoke(render, [str(word) for word in words])


@pytest.mark.parametrize("form", FORMS)
def test_each_form_goes_to_the_screen_or_a_file(form: str, incident: Path, tmp_path: Path) -> None:
    """Both are the same bytes, and the file is named with its size."""
    out = tmp_path / "picture"
    said = run(incident, "--as", form, "--out", out)
    assert said.exit_code == 0, said.output
    assert said.output == f"wrote {out}: {form}, {out.stat().st_size:,} bytes\n"
    assert run(incident, "--as", form).stdout_bytes == out.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_the_same_incident_is_the_same_bytes(form: str, incident: Path) -> None:
    """Two sealed processes with other hash seeds, zones and languages draw the same."""
    drawings = []
    for seed, zone, language in (("1", "UTC", "C"), ("2", "Asia/Tokyo", "de_DE.UTF-8")):
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": language}
        command = [sys.executable, "-c", WATCHED, str(incident), "--as", form]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        drawings.append(done.stdout)
    assert drawings[0] == drawings[1] == b"".join(drawn(read_bundle(incident), form))


def test_a_part_of_a_log_is_drawn(tmp_path: Path) -> None:
    """Straight from the log, from one position to another."""
    log = played(RESTARTED, tmp_path / "log.db")
    said = run(log, "--from", 5, "--to", 8, "--as", "mermaid-sequence")
    assert said.exit_code == 0, said.output
    assert "5 closed 408" in said.output and "9 reply_submitted" not in said.output


def test_a_file_that_is_there_is_left(incident: Path, tmp_path: Path) -> None:
    """Only --force replaces a file, and never a log or a bundle."""
    out = tmp_path / "picture.html"
    out.write_text("mine")
    refused = run(incident, "--as", "html", "--out", out)
    assert refused.exit_code == 2 and "There is a file" in refused.output
    assert out.read_text() == "mine"
    assert run(incident, "--as", "html", "--out", out, "--force").exit_code == 0
    evidence = incident.read_bytes()
    refused = run(incident, "--as", "html", "--out", incident, "--force")
    assert refused.exit_code == 2 and "is a bundle, and was left" in refused.output
    assert incident.read_bytes() == evidence


def test_bad_input_is_told(incident: Path, tmp_path: Path) -> None:
    """No bundle, no form, no folder: exit code 2, what and where."""
    broken = tmp_path / "broken.gz"
    broken.write_bytes(incident.read_bytes()[:-30])
    for words, said in (
        ((broken, "--as", "html"), "gzip"),
        ((incident, "--as", "png"), "png"),
        ((incident, "--as", "html", "--out", tmp_path / "none" / "x.html"), "can't be written"),
    ):
        result = run(*words)
        assert result.exit_code == 2 and said in result.output
