"""Two versions of the code on one incident: which they are, and where they differ."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from linewarden.statemachine.version import VERSION
from linewarden.tools.replay import cli
from linewarden.tools.replay import diff as differing

from .logs import claimed, fired, incident_of, opened
from .other_code import PACKAGE, changed_code
from .saved import call, save

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="a git ref needs git")


def test_diff_against_a_folder(night: str, tmp_path: Path) -> None:
    """Two versions of the code decide in processes of their own, and are compared."""
    there = changed_code(tmp_path / "there")
    result = call(cli.diff, night, "--against", str(there))
    assert result.exit_code == 1, result.output
    here, beside, *lines = result.output.splitlines()
    assert here.startswith(f"here   {PACKAGE}: {VERSION}, table ")
    assert beside.startswith(f"there  {there / 'linewarden'}: {VERSION}, table ")
    assert lines == [
        "night.incident.jsonl.gz: diverges, 6 records",
        "  first       position 4 (version 4) was decided otherwise (decision)",
        "  there       rule close.replaced.conflict",
        "  here        rule close.replaced.conflict",
        "  field       changes.state: reconnect_gap -> conflict",
        "  downstream  2 records after it differ too (2 decision)",
    ]
    assert call(cli.diff, night, "--against", str(there / "linewarden"), "--closed").exit_code == 1
    itself = call(cli.diff, night, "--against", str(PACKAGE))
    assert itself.exit_code == 0
    assert itself.output.endswith("\nhint: both sides are the same folder\n")


def test_a_side_that_cant_replay_says_why(night: str, tmp_path: Path) -> None:
    """Code that can't be imported, or read this bundle, is told with its error and its place."""
    broken = changed_code(tmp_path / "broken", "ECHO_NS = ", "ECHO_NS = (", file="closing.py")
    older = changed_code(tmp_path / "older", "SCHEMA = 1", "SCHEMA = 0", file="version.py")
    result = call(cli.diff, night, "--against", str(broken))
    assert result.exit_code == 2
    assert "the other side can't replay: SyntaxError: '(' was never closed" in result.output
    assert "(statemachine/closing.py:" in result.output
    result = call(cli.diff, night, "--against", str(older))
    assert result.exit_code == 2
    assert "its schema is 1, and this linewarden knows up to 0" in result.output


def test_a_closed_diff_counts_the_records_of_the_incident(tmp_path: Path) -> None:
    """What the other side's clock does not fire is a record of the incident all the same."""
    set_at = "stability_s: Number = {}"
    there = changed_code(tmp_path / "there", set_at.format(60), set_at.format(90), file="policy.py")
    path = save(incident_of(claimed(), opened(1), fired(61, "stability")), tmp_path)
    open_loop, closed_loop = (
        json.loads(call(cli.diff, path, "--against", str(there), "--json", *loop).output)
        for loop in ([], ["--closed"])
    )
    assert [one["kind"] for one in closed_loop["replayed"]["divergences"]] == ["timing", "extra"]
    assert open_loop["replayed"]["records"] == closed_loop["replayed"]["records"] == 3


def git(folder: Path, *asked: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *asked], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """Make a repository of what a folder holds, tagged v0; return its commit."""
    git(folder, "init", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--allow-empty", "--message", "all of it")
    git(folder, "tag", "v0")
    return git(folder, "rev-parse", "v0")


@needs_git
def test_diff_against_a_git_ref(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ref of the repository around is laid out beside, and the working tree is not touched."""
    checkout = changed_code(tmp_path / "there") / "linewarden"
    commit = repository(checkout)
    monkeypatch.chdir(checkout / "tools")
    result = call(cli.diff, night, "--against", "v0", "--json")
    assert result.exit_code == 1, result.output
    told = json.loads(result.output)
    assert (told["here"], told["there"]) == (str(PACKAGE), f"{commit[:12]} of {checkout}")
    assert told["code"]["table"] != told["against"]["table"]
    assert told["replayed"]["first"]["position"] == 4
    unknown = call(cli.diff, night, "--against", "--upload-pack=x")
    assert unknown.exit_code == 2 and "git ref" in unknown.output
    (tmp_path / "empty").mkdir()
    empty = call(cli.diff, night, "--against", str(tmp_path / "empty"))
    assert empty.exit_code == 2 and "no linewarden" in empty.output


@needs_git
def test_a_checkout_that_is_not_the_code_of_here_is_told(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another checkout than the command's own, its working tree is not what was compared."""
    checkout = changed_code(tmp_path / "there") / "linewarden"
    repository(checkout)
    monkeypatch.chdir(checkout / "tools")
    hint = f"the code in {checkout} was not compared"
    assert f"\nhint: {hint}" in call(cli.diff, night, "--against", "v0").output
    assert json.loads(call(cli.diff, night, "--against", "..", "--json").output)["hint"] is None


@needs_git
def test_a_ref_may_be_of_linewardens_own_repository(
    night: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one's own repository has by that name, empty or a bot, is passed over."""
    own = changed_code(tmp_path / "own") / "linewarden"
    commit = repository(own)
    monkeypatch.setattr(differing, "_own_package", lambda: own)
    for name, files in (("empty", []), ("bot", ["bot.py", "link"])):
        folder = tmp_path / name
        folder.mkdir()
        for file in files:
            (folder / file).symlink_to("/outside")
        repository(folder)
        monkeypatch.chdir(folder)
        result = call(cli.diff, night, "--against", "v0")
        assert result.exit_code == 0, result.output
        assert f"there  {commit[:12]} of {own}: " in result.output
        git(folder, "tag", "only-here")
        missed = call(cli.diff, night, "--against", "only-here")
        assert missed.exit_code == 2 and "no linewarden" in missed.output
