"""`linewarden incident`: export and inspect tell what is in a bundle, and nothing personal."""

import asyncio
import contextlib
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from linewarden.eventstore.anchor import Point, line_of
from linewarden.eventstore.anchors import AnchorFile, anchor_of, anchors_path
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.statemachine.policy import NS
from linewarden.tools.cli import main
from linewarden.tools.cli_incident import incident
from linewarden.tools.incident import incident_of
from linewarden.tools.moments import instant

from ..test_canary import NUMBER, traces, use
from .incidents import FOLDER, RESTART, TWO, bundle_of_scenario, played, saved


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one account."""
    return played(RESTART, tmp_path_factory.mktemp("one") / "log.db")


def run(*words: object) -> Result:
    return CliRunner().invoke(incident, [str(word) for word in words])


def test_export_says_what_it_wrote_and_what_to_do(log: Path, tmp_path: Path) -> None:
    """The file is there, and the next command stands ready to be copied."""
    out = tmp_path / "the night.gz"
    result = run("export", "--file", log, "-a", "main", "--from", 3, "--to", 12, "--out", out)
    assert result.exit_code == 0, result.output
    records = read_bundle(out).records
    assert f"wrote {out}: {len(records)} records of main, versions 3 to 12" in result.output
    assert "tokens only" in result.output
    assert result.output.endswith(f"next: linewarden replay '{out}'\n")


def test_export_names_a_file_by_itself(log: Path, tmp_path: Path) -> None:
    """Without --out the file is called by account and range, and --json tells its name."""
    with contextlib.chdir(tmp_path):
        result = run("export", "--file", log, "--from", 3, "--to", 12, "--json")
    told = json.loads(result.output)
    assert told["file"] == "main-3-12.incident.jsonl.gz"
    assert told["bytes"] == (tmp_path / told["file"]).stat().st_size
    assert told["records"] == 10


def test_export_overwrites_nothing_unasked(log: Path, tmp_path: Path) -> None:
    """A file that is there stays, exit code 2, until --force is said."""
    out = tmp_path / "x.gz"
    saved(bundle_of_scenario(TWO), out)
    before = out.read_bytes()
    result = run("export", "--file", log, "--out", out)
    assert (result.exit_code, out.read_bytes()) == (2, before)
    assert "--force" in result.stderr
    assert run("export", "--file", log, "--out", out, "--force").exit_code == 0
    assert read_bundle(out).records == incident_of(log).records
    assert run("export", "--file", log, "--out", log, "--force").exit_code == 2
    assert incident_of(log).records


@pytest.mark.parametrize(
    "words", [("-a", "nobody"), ("--from", "9999"), ("--file", "no-such-file.db")]
)
def test_export_refuses_what_is_not_there(log: Path, tmp_path: Path, words: tuple[str]) -> None:
    """Exit code 2 with a hint, and no file."""
    result = run("export", "--file", log, "--out", tmp_path / "x.gz", *words)
    assert result.exit_code == 2
    assert "hint:" in result.stderr
    assert not os.listdir(tmp_path)


def test_inspect_shows_what_is_inside(log: Path, tmp_path: Path) -> None:
    """Range, code, times, stimuli, states, timers and trailer stand in it, each in its row."""
    bundle = incident_of(log)
    path = saved(bundle, tmp_path / "x.gz")
    result = run("inspect", path)
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.partition(" ")[2].strip() for line in result.output.splitlines()}
    names = "intact log code exported time policy stimuli states timers trailer anchor"
    assert list(rows) == names.split()
    count = len(bundle.records)
    assert f"{count} records of main, versions 1 to {count}" in rows["intact"]
    assert "opened " in rows["stimuli"] and "claimed " in rows["stimuli"]
    assert rows["states"].startswith("unclaimed > connecting > connected > reconnect-gap")
    assert "retry 1" in rows["timers"] or "handover" in rows["timers"]
    assert bundle.trailer.head.chain[:12] in rows["trailer"]
    told = json.loads(run("inspect", path, "--json").output)
    assert told["intact"] is True
    assert sum(told["stimuli"].values()) == told["records"] == count
    assert told["header"]["from"] == 1
    assert told["first"] == instant(bundle.records[0].at)
    assert told["trailer"]["head"]["version"] == count


def test_instants_are_text_wherever_they_stand(log: Path, tmp_path: Path) -> None:
    """In the snapshot and the anchor of a bundle too: many readers of JSON round such numbers."""
    with SQLiteStore.open(log) as store:
        AnchorFile(store, anchors_path(log)).add(NS)
    shown = run("inspect", saved(incident_of(log, start="6"), tmp_path / "x.gz"), "--json").output
    assert json.loads(shown)["trailer"]["anchor"]["at"] == instant(NS)
    assert not re.search(r"\b\d{16,}\b", shown)


def test_inspect_of_a_damaged_bundle_says_where(log: Path, tmp_path: Path) -> None:
    """A changed record is named by its line, exit code 2."""
    path = saved(incident_of(log), tmp_path / "x.gz")
    rows = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    rows[4] = rows[4].replace(b'"epoch":1', b'"epoch":7')
    path.write_bytes(gzip.compress(b"".join(rows), mtime=0))
    for form in ((), ("--json",)):
        result = run("inspect", path, *form)
        assert result.exit_code == 2
        assert "line 5: is not what was hashed into the chain" in result.stderr
        assert "hint:" in result.stderr


def test_a_long_path_of_states_is_shortened(tmp_path: Path) -> None:
    """Of hundreds of changes the first and the last ones are shown."""
    storm = FOLDER / "tr-43-4004-restarts-in-17-days.jsonl"
    path = saved(bundle_of_scenario(storm), tmp_path / "x.gz")
    told = json.loads(run("inspect", path, "--json").output)
    assert len(told["states"]) <= 25


def test_no_personal_value_stands_in_a_bundle(tmp_path: Path) -> None:
    """Canaries in every field of every stimulus leave no trace in a bundle or in what is shown."""
    log = tmp_path / "log.db"
    asyncio.run(use(log, []))
    assert NUMBER.encode() in log.read_bytes()  # the vault has them: the search can fail
    out = tmp_path / "x.gz"
    shown = [run("export", "--file", log, "--out", out).output]
    shown += [run("inspect", out, *form).output for form in ((), ("--json",))]
    content = gzip.decompress(out.read_bytes()).decode()
    assert content.count("\n") > 300
    assert content.count("idn_") and content.count("chat_")
    middle = incident_of(log, start="20")
    assert middle.before.proven is not None
    assert not traces([content, *shown, repr(middle), json.dumps(middle.header.snapshot)])[:5]


def test_the_commands_load_nothing_that_performs(tmp_path: Path) -> None:
    """Neither the commands nor what opens an incident imports the gateway or a library of it."""
    script = (
        "import sys, linewarden.tools.cli_incident; "
        "print(*[m for m in sys.modules if m.startswith(('linewarden.gateway', 'neonize'))])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(("scenario", "told"), [(RESTART, False), (TWO, True)])
def test_export_says_whom_the_anchor_names(tmp_path: Path, scenario: Path, told: bool) -> None:
    """An anchor names every account of the log: who attaches the bundle in public is told."""
    log = played(scenario, tmp_path / "log.db")
    with SQLiteStore.open(log) as store:
        account = store.streams()[0]
        AnchorFile(store, anchors_path(log)).add(1)
        last = store.last_position()
    out = tmp_path / "x.gz"
    output = run("export", "--file", log, "-a", account, "--out", out).output
    assert read_bundle(out).trailer.anchor is not None
    assert ("its anchor names all 2 accounts" in output) == told
    rows = run("inspect", out).output.splitlines()
    assert rows[-1].startswith(f"anchor    position {last}, 1970-01-01 00:00:00.000 UTC, unsigned")


def test_export_says_that_no_anchor_goes_with_it(tmp_path: Path) -> None:
    """An anchor that names too many accounts stays behind: who exports, and who inspects, reads it.

    Beside the bundle it still vouches for it.
    """
    log, out = played(RESTART, tmp_path / "log.db"), tmp_path / "x.gz"
    with SQLiteStore.open(log) as store:
        anchor = anchor_of(store, 1)
    others = {f"support-{number:05}": Point(1, "0" * 64) for number in range(10_000)}
    many = replace(anchor, heads={**anchor.heads, **others}, position=anchor.position + 10_000)
    Path(anchors_path(log)).write_bytes(line_of(many) + b"\n")
    result = run("export", "--file", log, "--out", out)
    assert result.exit_code == 0 and "no anchor is in it" in result.output
    assert "none: only the log" in run("inspect", out).output
    verified = CliRunner().invoke(main, ["verify", str(out), "--anchors", anchors_path(log)])
    assert verified.exit_code == 0 and "last good anchor" in verified.output
