"""The commands of the replay: what people read, what programs read, and exit codes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from linewarden.eventstore.bundle import Bundle, write_bundle
from linewarden.statemachine import closing
from linewarden.tools.demo import play
from linewarden.tools.replay import cli, telling, trace
from linewarden.tools.replay.divergence import Divergence, summed
from linewarden.tools.replay.fixture import accepted_beside

from .logs import claimed, closed, fired, incident_of, opened
from .other_code import PACKAGE, changed_code
from .test_mutations import retried


def save(bundle: Bundle, folder: Path, name: str = "night") -> str:
    """A bundle in a file."""
    path = folder / f"{name}.incident.jsonl.gz"
    write_bundle(path, bundle.header, bundle.records, bundle.trailer, replace=True)
    return str(path)


@pytest.fixture
def night(tmp_path: Path) -> str:
    """An incident in which a line was replaced at its fourth record."""
    bundle = incident_of(
        claimed(), opened(1), fired(61, "stability"), closed(62, 440), closed(70), closed(80)
    )
    return save(bundle, tmp_path)


def call(command: click.Command, *given: str) -> Result:
    return CliRunner().invoke(command, given)


def test_the_same_is_said_in_a_line(night: str) -> None:
    """A replay that finds nothing says so and exits 0."""
    result = call(cli.replay, night)
    assert (result.exit_code, result.output) == (
        0,
        "night.incident.jsonl.gz: the same, 6 records\n",
    )


def test_what_diverged_first_is_told(night: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Position, rule then and now, and how much downstream: for people, and exit code 1."""
    monkeypatch.setattr(closing, "classify", retried)
    result = call(cli.replay, night)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "night.incident.jsonl.gz: diverges, 6 records",
        "  first       position 4 (version 4) was decided otherwise (decision)",
        "  then        rule close.replaced.conflict",
        "  now         rule close.transient.retry",
        "  downstream  2 records after it differ too (2 decision)",
    ]
    told = json.loads(call(cli.replay, night, "--json", "--closed").output)
    assert told["first"]["rule"] == "close.replaced.conflict"
    assert told["first"]["rule_now"] == "close.transient.retry"
    assert told["records"] == 6


def test_a_log_can_be_replayed_without_a_bundle(tmp_path: Path) -> None:
    """The command takes a log with an account and a range as well."""
    path = str(tmp_path / "x.db")
    play(path, 0, lambda _: None)
    result = call(cli.replay, path, "--account", "support", "--to", "9")
    assert (result.exit_code, result.output) == (0, "x.db: the same, 9 records\n")


def test_exit_codes_of_what_cant_be_replayed(night: str, tmp_path: Path) -> None:
    """No bundle is exit code 2, a bundle of the future 3, each with a sentence and a hint."""
    broken = tmp_path / "broken.incident.jsonl.gz"
    broken.write_bytes(Path(night).read_bytes()[:-20])
    result = call(cli.replay, str(broken))
    assert result.exit_code == 2
    assert "linewarden: " in result.output and "hint: " in result.output
    assert call(cli.replay, str(tmp_path / "missing")).exit_code == 2


def test_a_bundle_of_the_future_is_exit_code_3(tmp_path: Path) -> None:
    """A bundle of a schema that is newer than this code has an exit code of its own."""
    bundle = incident_of(claimed(), opened(1))
    newer = replace(bundle.header, schema=99)
    path = tmp_path / "newer.incident.jsonl.gz"
    # As a newer linewarden would write it; this one refuses to write what it can't read back.
    from linewarden.eventstore import bundle as bundles

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bundles, "_prove", lambda *_: None)
        write_bundle(path, newer, bundle.records, bundle.trailer)
    result = call(cli.replay, str(path))
    assert result.exit_code == 3
    assert "hint: " in result.output


def test_diff_against_a_folder(night: str, tmp_path: Path) -> None:
    """Two versions of the code decide in processes of their own, and are compared."""
    there = changed_code(tmp_path / "there")
    result = call(cli.diff, night, "--against", str(there))
    assert result.exit_code == 1, result.output
    versions, *lines = result.output.splitlines()
    assert versions.startswith("here ") and ", there " in versions
    assert lines == [
        "night.incident.jsonl.gz: diverges, 6 records",
        "  first       position 4 (version 4) was decided otherwise (decision)",
        "  there       rule close.replaced.conflict",
        "  here        rule close.replaced.conflict",
        "  field       changes.state: reconnect_gap -> conflict",
        "  downstream  2 records after it differ too (2 decision)",
    ]
    assert call(cli.diff, night, "--against", str(there / "linewarden"), "--closed").exit_code == 1
    assert call(cli.diff, night, "--against", str(PACKAGE)).exit_code == 0


def git(folder: Path, *asked: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *asked], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="a git ref needs git")
def test_diff_against_a_git_ref(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ref of the repository around is laid out beside, and the working tree is not touched."""
    checkout = changed_code(tmp_path / "there") / "linewarden"
    git(checkout, "init", "--initial-branch", "main")
    git(checkout, "add", ".")
    git(checkout, "commit", "--message", "with a fault")
    git(checkout, "tag", "v0")
    monkeypatch.chdir(checkout / "tools")
    result = call(cli.diff, night, "--against", "v0", "--json")
    assert result.exit_code == 1, result.output
    told = json.loads(result.output)
    assert told["code"]["table"] != told["against"]["table"]
    assert told["replayed"]["first"]["position"] == 4
    unknown = call(cli.diff, night, "--against", "--upload-pack=x")
    assert unknown.exit_code == 2 and "git ref" in unknown.output
    (tmp_path / "empty").mkdir()
    empty = call(cli.diff, night, "--against", str(tmp_path / "empty"))
    assert empty.exit_code == 2 and "no linewarden" in empty.output


def test_a_trace_is_read_back(night: str) -> None:
    """A process that prints a trace says which code it is, then one decision a line."""
    done = subprocess.run(
        [sys.executable, "-m", "linewarden.tools.replay.trace", night],
        capture_output=True,
        check=True,
    )
    code, decisions = trace.read(done.stdout.splitlines())
    assert code == trace.code()
    assert [one.version for one in decisions] == [1, 2, 3, 4, 5, 6]


def test_replay_all_and_its_junit(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every incident below a folder is judged; JUnit says what failed and what is no bundle."""
    (tmp_path / "below").mkdir()
    save(incident_of(claimed(), opened(1)), tmp_path / "below", "well")
    junit = tmp_path / "replay.xml"
    result = call(cli.replay_all, str(tmp_path), "--junit", str(junit))
    assert (result.exit_code, result.output) == (0, "2 of 2 incidents hold\n")
    monkeypatch.setattr(closing, "classify", retried)
    result = call(cli.replay_all, str(tmp_path), "--junit", str(junit))
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "1 of 2 incidents hold"
    assert "position 4: decision, rule close.replaced.conflict -> close.transient.retry" in (
        result.output
    )
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    (tmp_path / "bad.incident.jsonl.gz").write_bytes(b"no gzip")
    result = call(cli.replay_all, str(tmp_path), "--junit", str(junit), "--json")
    assert result.exit_code == 2
    assert [one["verdict"] for one in json.loads(result.output)] == [2, 0, 1]
    errors = ElementTree.parse(junit).getroot().findall("testcase/error")
    assert len(errors) == 1


def test_replay_all_of_nothing_is_no_success(tmp_path: Path) -> None:
    """A folder without incidents is bad input: a wrong path must not look like a pass."""
    assert call(cli.replay_all, str(tmp_path)).exit_code == 2


def test_an_accepted_change_holds(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reviewed difference is written down beside; then exactly it is expected."""
    nothing = call(cli.accept, night, "--reason", "why not")
    assert nothing.exit_code == 2 and "nothing to accept" in nothing.output
    monkeypatch.setattr(closing, "classify", retried)
    assert call(cli.replay_all, str(tmp_path)).exit_code == 1
    result = call(cli.accept, night, "--reason", "a 440 is a retry now", "--by", "reviewer")
    assert result.exit_code == 0
    assert result.output.startswith("accepted 3 differences in ")
    written = json.loads(accepted_beside(night).read_text())
    assert (written["by"], written["reason"]) == ("reviewer", "a 440 is a retry now")
    assert [one["position"] for one in written["divergences"]] == [4, 5, 6]
    assert written["at"] and written["build"] and written["chain"]
    assert call(cli.replay_all, str(tmp_path)).exit_code == 0
    monkeypatch.undo()
    gone = call(cli.replay_all, str(tmp_path))
    assert gone.exit_code == 1
    assert "accepted, but it does not happen any more: position 4" in gone.output
    save(incident_of(claimed(), opened(1)), tmp_path)
    other = call(cli.replay_all, str(tmp_path))
    assert other.exit_code == 2 and "another bundle" in other.output
    accepted_beside(night).write_text("{}")
    assert "can't be read" in call(cli.replay_all, str(tmp_path)).output
    assert call(cli.accept, night, "--reason", " ").exit_code == 2


def pytest_of(path: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)],
        cwd=path.parent,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_mktest_writes_a_test_that_guards(night: str, tmp_path: Path) -> None:
    """The test has at most ten lines, passes now, and fails when the decision changes."""
    out = tmp_path / "kept"
    result = call(cli.mktest, night, "--out", str(out))
    assert result.exit_code == 0, result.output
    test = out / "test_incident_night.py"
    assert sorted(os.listdir(out)) == ["incident_night.incident.jsonl.gz", test.name]
    lines = test.read_text().splitlines()
    assert len(lines) <= 10 and max(map(len, lines)) <= 100
    passed = pytest_of(test)
    assert passed.returncode == 0, passed.stdout
    failed = pytest_of(test, PYTHONPATH=str(changed_code(tmp_path / "there")))
    assert failed.returncode == 1
    assert "position 4: decision, rule close.replaced.conflict" in failed.stdout
    again = call(cli.mktest, night, "--out", str(out))
    assert again.exit_code == 2 and "there is a file" in again.output
    assert call(cli.mktest, night, "--out", str(out), "--name", "No").exit_code == 2


def test_mktest_of_an_incident_that_is_mended(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of a fault becomes a test of the mended code: what differs stands beside it."""
    monkeypatch.setattr(closing, "classify", retried)
    faulty = incident_of(claimed(), opened(1), closed(2, 440), fired(4, "retry"), closed(5, 440))
    monkeypatch.undo()
    result = call(
        cli.mktest, save(faulty, tmp_path), "--out", str(tmp_path / "kept"), "--name", "mended"
    )
    assert result.exit_code == 0, result.output
    assert pytest_of(tmp_path / "kept" / "test_mended.py").returncode == 0
    monkeypatch.setattr(closing, "classify", retried)
    assert call(cli.replay_all, str(tmp_path / "kept")).exit_code == 1


def test_long_values_and_other_kinds_are_told() -> None:
    """What is missing, extra, unreadable or contradictory has words of its own."""
    extra = Divergence("extra", None, None, None, "retry.dial", "stimulus", None, {"at": 5})
    schema = Divergence("schema", 3, 7, None, None, "body", None, "x" * 500)
    contradiction = Divergence("self", 2, 2, "opened.connected", None, "state", "conflict", "gone")
    told = telling.tell(summed(9, [extra, schema]), "x")
    assert "a timer that the log doesn't have happens only now (extra)" in told
    assert "1 record after it differs too (1 schema)" in told
    told = telling.tell(summed(9, [schema], 4), "x")
    assert "4 records after it differ too (4 not read)" in told
    assert "more characters" in told
    assert telling.tell_one(contradiction) == (
        "position 2: self, rule opened.connected, state conflict -> gone"
    )
    hostile = Divergence("decision", 1, 1, "a", "a", "changes.replies.\x1b[2J", "\x9b1m", None)
    assert telling.tell_one(hostile).isprintable()
    assert telling.tell(summed(1, [hostile]), "x\x1b").replace("\n", "").isprintable()
    assert telling.tell_one(extra) == (
        "a timer that the log doesn't have: extra, rule none -> retry.dial, "
        "stimulus None -> {'at': 5}"
    )
