"""The command `archive`: every question is still answered, and what is left is still proven."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore.errors import StoreUnavailable
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.tools import cli_keeping, cli_verify
from linewarden.tools.cli import main

from ..eventstore.archives import lived
from ..gateway.scripted import WAIT_S, Bench, Scripted, bring_up, opened
from .keeping import held, sound, told, types


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def ask(path: Path, *words: str) -> Result:
    """Any command that reads the log."""
    command = cli_verify.verify if words[0] == "verify" else main
    given = words[1:] if words[0] == "verify" else words
    return CliRunner().invoke(command, [*given, "--file", str(path)])


@pytest.fixture
def kept(path: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A log, most of it archived, and the folder of its archive."""
    ends = lived(path, pending=True)
    folder = tmp_path / "archive"
    folder.mkdir()
    result = CliRunner().invoke(
        cli_keeping.archive,
        ["--before", str(ends[8] + 1), "--to", str(folder), "--file", str(path)],
    )
    assert result.exit_code == 0, result.output
    assert "versions 1 to" in result.output
    assert "The log had" in result.output
    return path, folder


@pytest.mark.parametrize(
    "words",
    [
        *(["status"], ["timeline"], ["timeline", "--account", "main"], ["gaps"], ["replies"]),
        ["incident", "list"],
        *(["why", "--account", "main"], ["why", "--reply", "held"], ["why", "--reply", "main-3"]),
        *(["why", "--account", "second"], ["verify"], ["why", "--reply", "second-11"]),
        ["why", "--account", "main", "--controller", "main-1"],
    ],
)
def test_what_is_asked_across_an_archive_is_answered(
    kept: tuple[Path, Path], words: list[str]
) -> None:
    """Every command that reads a log reads one whose older records are archived."""
    if words[:2] == ["why", "--reply"] and words[2] == "main-3":
        words = [*words, "--account", "main"]
    for form in ([], ["--json"]):
        result = ask(kept[0], *words, *form)
        assert result.exit_code == 0, result.output


def test_the_answers_count_what_was_archived(path: Path, kept: tuple[Path, Path]) -> None:
    """Gaps and replies from before are told, and where the records of an old reply are."""
    gaps = json.loads(ask(path, "gaps", "--account", "main", "--json").output)
    assert len(gaps) == 13
    replies = json.loads(ask(path, "replies", "--account", "main", "--json").output)
    assert [row["reply"] for row in replies][:2] == ["main-0", "main-1"]
    why = ask(path, "why", "--reply", "main-0", "--account", "main").output
    assert "The server acknowledged it." in why
    assert "archived, the newest of them in" in why


def test_why_a_reply_goes_on_from_where_the_archive_ends(path: Path, tmp_path: Path) -> None:
    """The first record that is left begins in the state that was, and an outcome keeps its why."""
    with Bench(path) as bench:
        bench.claim()
        bench.up()
        bench.submit("r1")
        bench.feed("send_acked", controller="A", reply="r1")
        bench.feed("closed", controller="A", source="baileys", code=428)
        bench.submit("r3", deadline_s=0)
        bench.service.fire_due()
        bench.service.flush()
        bench.feed("send_acked", controller="A", reply="r3")
        last = bench.records()[-1].position
    why = ["why", "--reply", "r3", "--json"]
    before = json.loads(ask(path, *why).output)
    given = ["--before", str(last), "--to", str(tmp_path), "--file", str(path)]
    assert CliRunner().invoke(cli_keeping.archive, given).exit_code == 0
    after = json.loads(ask(path, *why).output)
    assert after["sentence"] == before["sentence"]
    assert after["entries"] == before["entries"][-1:]


def test_a_moment_before_the_archive_is_in_its_bundle(kept: tuple[Path, Path]) -> None:
    """What was before the records that are left is not guessed: the bundle is named."""
    result = ask(kept[0], "status", "--account", "main", "--as-of", "5")
    assert result.exit_code == 2
    assert ".main.1-" in result.stderr


@pytest.mark.parametrize("words", [["--account", "main"], []])
def test_a_timeline_from_before_the_archive_is_in_its_bundle(
    kept: tuple[Path, Path], words: list[str]
) -> None:
    """It does not begin silently with what is left, unless it was not asked for a beginning."""
    entries = json.loads(ask(kept[0], "timeline", *words, "--json").output)
    for start in ("1", "2023-01-01"):
        result = ask(kept[0], "timeline", *words, "--from", start)
        assert result.exit_code == 2
        assert "are archived" in result.stderr and ".main.1-" in result.stderr
    start = str(entries[0]["position"])
    assert json.loads(ask(kept[0], "timeline", *words, "--from", start, "--json").output) == entries


def test_a_gateway_goes_on_after_an_archive(kept: tuple[Path, Path]) -> None:
    """A gateway that starts on it takes up what was under way, and the log verifies."""
    with opened(kept[0], Scripted()) as warden:
        view = warden.projections.account("main")
        assert view is not None
        assert view.machine.epoch == 1
        warden.claim("main", "B").result(WAIT_S)
    assert ask(kept[0], "verify", "--archives", str(kept[1])).exit_code == 0
    sound(kept[0])


def test_verify_says_what_it_stands_on(kept: tuple[Path, Path]) -> None:
    """Without the bundles the archived records are taken on trust, and that is said."""
    alone = ask(kept[0], "verify")
    assert "archived" in alone.output
    proven = ask(kept[0], "verify", "--archives", str(kept[1]))
    assert proven.exit_code == 0
    assert "proven" in proven.output
    next(kept[1].glob("*.main.*")).unlink()
    assert ask(kept[0], "verify", "--archives", str(kept[1])).exit_code == 1


def test_an_archived_person_is_erased(kept: tuple[Path, Path]) -> None:
    """Values that only archived records name are erased too; the bundles hold tokens only."""
    path, folder = kept
    said = told(path, "15550101002@s.whatsapp.net")
    assert said["chats"] == 1
    assert said["accounts"] == {"main": 1, "second": 1}
    assert not held(path, "15550101002")
    assert ask(path, "verify", "--archives", str(folder)).exit_code == 0
    for bundle in folder.iterdir():
        assert b"@s.whatsapp.net" not in gzip.decompress(bundle.read_bytes())


def test_nothing_is_archived_under_a_gateway(path: Path, tmp_path: Path) -> None:
    """Only who holds the log alone may take records out."""
    with opened(path, Scripted()) as warden:
        bring_up(warden)
        result = CliRunner().invoke(
            cli_keeping.archive, ["--before", "0s", "--to", str(tmp_path), "--file", str(path)]
        )
    assert result.exit_code == 2
    assert "is being written by" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--before", "soon", "--to", "."],
        ["--before", "0s", "--to", "nowhere"],
        ["--before", "0s", "--to", ".", "--account", "third"],
    ],
)
def test_a_mistake_moves_nothing(path: Path, words: list[str]) -> None:
    """A moment, folder or account that is none is said, and the log is left alone."""
    lived(path, 2)
    before = types(path)
    result = CliRunner().invoke(cli_keeping.archive, [*words, "--file", str(path)])
    assert result.exit_code == 2
    assert types(path) == before


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("step", ["shrink", "release"])
def test_what_was_moved_is_said_although_it_breaks_off(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: list[str], step: str
) -> None:
    """On a full disk it is said what is in the bundles by then, why it ended and what to do."""
    lived(path)
    real, calls = SQLiteStore.release, []

    def full(store: SQLiteStore, *given: object) -> int:
        calls.append(step)
        if step == "release" and len(calls) == 1:
            return real(store, *given)  # type: ignore[arg-type] # whatever the command gives
        raise StoreUnavailable("the disk is full", hint="make room")

    monkeypatch.setattr(SQLiteStore, step, full)
    given = ["--before", "1000000", "--to", str(tmp_path), "--file", str(path), *form]
    result = CliRunner().invoke(cli_keeping.archive, given)
    assert result.exit_code == 2
    shown = result.stderr if form else result.stdout
    assert shown.count(": versions 1 to ") == (2 if step == "shrink" else 1)
    assert "the disk is full" in result.stderr and "hint: make room" in result.stderr
    assert ("could not be made smaller" in result.stderr) == (step == "shrink")
    monkeypatch.undo()
    assert CliRunner().invoke(cli_keeping.archive, given).exit_code == 0
    assert ask(path, "verify", "--archives", str(tmp_path)).exit_code == 0


def test_no_log_is_made(path: Path, tmp_path: Path) -> None:
    """An empty file, or none, is no log, and stays what it is."""
    given = ["--before", "0d", "--to", str(tmp_path), "--file", str(path)]
    assert CliRunner().invoke(cli_keeping.archive, given).exit_code == 2
    assert not path.exists()
    path.touch()
    result = CliRunner().invoke(cli_keeping.archive, given)
    assert result.exit_code == 2
    assert "There is no linewarden store" in result.stderr
    assert [(one, one.stat().st_size) for one in tmp_path.iterdir()] == [(path, 0)]
