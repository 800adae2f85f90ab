"""Incidents as tests: judged by the folder, accepted, written as a test of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import Result

from linewarden.statemachine import closing
from linewarden.statemachine.closes import CloseClass
from linewarden.statemachine.draft import Draft
from linewarden.statemachine.policy import NS
from linewarden.tools.replay import cli, fixture
from linewarden.tools.replay.fixture import accepted_beside

from .logs import claimed, closed, fired, incident_of, opened
from .other_code import changed_code
from .saved import call, save, save_newer
from .test_mutations import retried


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
    [written] = json.loads(accepted_beside(night).read_text())
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


def test_all_of_an_accepted_decision_is_held(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field that is not the first to differ is held too, and told against what was accepted."""
    monkeypatch.setattr(closing, "classify", retried)
    assert call(cli.accept, night, "--reason", "a 440 is a retry now").exit_code == 0
    monkeypatch.setattr(Draft, "ladder", lambda *_: 77 * NS)
    result = call(cli.replay_all, str(tmp_path))
    assert result.exit_code == 1
    assert "not as accepted: position 4: timing" in result.output
    assert "changes.retry_at" in result.output


def test_a_review_is_never_lost(night: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same differences need no second review; a review of others is kept below the first."""

    def accept(reason: str, *more: str) -> Result:
        result = call(cli.accept, night, "--reason", reason, *more)
        assert result.exit_code == 0, result.output
        return result

    monkeypatch.setattr(closing, "classify", retried)
    accept("a 440 is a retry now", "--by", "first")
    [first] = json.loads(accepted_beside(night).read_text())
    again = accept("once more", "--by", "second")
    assert again.output == (
        "just these differences were accepted already, "
        f"by first on {first['at']}: a 440 is a retry now\n"
    )
    assert json.loads(accept("once more", "--json").output)["already"] is True
    assert json.loads(accepted_beside(night).read_text()) == [first]
    monkeypatch.undo()
    monkeypatch.setattr(closing, "ECHO_NS", 0)
    monkeypatch.setattr(closing, "classify", lambda _: CloseClass.UNKNOWN)
    assert "position 4" in call(cli.replay_all, str(Path(night).parent)).output
    later = accept("unknown it is", "--by", "third").output.splitlines()
    assert later[1] == f"in place of 3 accepted by first on {first['at']}: a 440 is a retry now"
    reviews = json.loads(accepted_beside(night).read_text())
    assert reviews[0] == first and [one["by"] for one in reviews] == ["first", "third"]
    assert call(cli.replay_all, str(Path(night).parent)).exit_code == 0
    monkeypatch.undo()
    assert accept("as it was").output.startswith("accepted 0 differences in ")
    assert call(cli.replay_all, str(Path(night).parent)).exit_code == 0


def test_a_review_without_decisions_is_no_review(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review of an older form holds no decision to compare with: it is told, and made anew."""
    monkeypatch.setattr(closing, "classify", retried)
    assert call(cli.accept, night, "--reason", "a retry now", "--by", "first").exit_code == 0
    reviews = json.loads(accepted_beside(night).read_text())
    for one in reviews[0]["divergences"]:
        del one["decided"]
    accepted_beside(night).write_text(json.dumps(reviews))
    result = call(cli.replay_all, str(tmp_path))
    assert result.exit_code == 2
    assert "is of an older form" in result.output and "accepted by first on" in result.output
    assert "(accept it anew)" in result.output
    assert call(cli.accept, night, "--reason", "a retry still").exit_code == 0
    assert call(cli.replay_all, str(tmp_path)).exit_code == 0


def test_a_review_is_of_what_can_be_reviewed(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More differences than a review holds are refused, with the way to fewer; nothing is left."""
    monkeypatch.setattr(closing, "classify", retried)
    monkeypatch.setattr(fixture, "DIFFERENCES_MAX", 2)
    for result in (
        call(cli.accept, night, "--reason", "a 440 is a retry now"),
        call(cli.mktest, night, "--out", str(tmp_path / "kept")),
    ):
        assert result.exit_code == 2 and "3 differences are too many" in result.output
        assert "linewarden minimise" in result.output
    assert os.listdir(tmp_path) == [Path(night).name]
    monkeypatch.setattr(fixture, "DIFFERENCES_MAX", 3)
    assert call(cli.accept, night, "--reason", "a 440 is a retry now").exit_code == 0


def test_what_raises_is_no_decision_to_hold(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that raises is neither accepted nor made a test of, and nothing is written."""
    monkeypatch.setattr(closing, "classify", lambda _: 1 / 0)
    for result in (
        call(cli.accept, night, "--reason", "it fails"),
        call(cli.mktest, night, "--out", str(tmp_path / "kept")),
    ):
        assert result.exit_code == 2 and "no decision to hold" in result.output
    assert os.listdir(tmp_path) == [Path(night).name]


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


def test_every_kind_of_fixture_is_judged_together(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good, diverged, broken and future ones side by side: each is told, in JUnit too."""
    save(incident_of(claimed(), opened(1)), tmp_path, "well")
    newer = Path(save_newer(incident_of(claimed(), opened(1)), tmp_path))
    broken = tmp_path / "broken\udcff\x1b.incident.jsonl.gz"
    broken.write_bytes(Path(night).read_bytes()[:-20])
    monkeypatch.setattr(closing, "classify", retried)
    junit = tmp_path / "replay.xml"
    result = call(cli.replay_all, str(tmp_path), "--junit", str(junit))
    assert result.exit_code == 2
    assert result.output.splitlines()[-1] == "1 of 4 incidents hold"
    cases = {one.get("name"): one for one in ElementTree.parse(junit).getroot()}
    kinds = {str(name).split(".")[0]: [one.tag for one in case] for name, case in cases.items()}
    assert kinds == {
        r"broken\udcff\x1b": ["error"],
        "newer": ["error"],
        "night": ["failure"],
        "well": [],
    }
    failure = cases[Path(night).name].find("failure")
    assert failure is not None and failure.get("message") == (
        "position 4: decision, rule close.replaced.conflict -> close.transient.retry"
    )
    assert len(json.loads(call(cli.replay_all, str(tmp_path), "--json").output)) == 4
    broken.unlink()
    assert call(cli.replay_all, str(tmp_path)).exit_code == 3
    newer.unlink()
    assert call(cli.replay_all, str(tmp_path)).exit_code == 1


def test_what_cant_be_written_is_told(night: str, tmp_path: Path) -> None:
    """A folder or a report that can't be made is bad input; what was found is told all the same."""
    (tmp_path / "file").write_text("")
    result = call(cli.mktest, night, "--out", str(tmp_path / "file" / "kept"))
    assert result.exit_code == 2 and "Not a directory" in result.output
    result = call(cli.replay_all, str(tmp_path), "--junit", str(tmp_path / "file" / "x.xml"))
    assert result.exit_code == 2
    assert "1 of 1 incidents hold" in result.output and "can't be written" in result.output
