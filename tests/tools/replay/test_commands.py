"""The commands of the replay: what people read, what programs read, and exit codes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from linewarden.statemachine import closing
from linewarden.tools.cli_incident import inspect
from linewarden.tools.cli_verify import verify
from linewarden.tools.demo import play
from linewarden.tools.explore import cli as exploring
from linewarden.tools.render.cli import render
from linewarden.tools.replay import cli, telling, trace
from linewarden.tools.replay.divergence import Decision, Divergence, differ, summed

from .logs import at, claimed, fired, incident_of, opened
from .other_code import PACKAGE, changed_code
from .saved import call, save, save_newer
from .test_mutations import retried


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


READERS: list[tuple[click.Command, list[str], int]] = [
    (cli.replay, [], 3),
    (cli.diff, ["--against", str(PACKAGE)], 3),
    (cli.accept, ["--reason", "why not"], 3),
    (cli.mktest, [], 3),
    (exploring.step, [], 3),
    (exploring.what_if, ["--drop", "1"], 3),
    (exploring.minimise, ["--keep", "diverges"], 3),
    (render, ["--as", "html"], 3),
    (inspect, [], 3),
    (verify, [], 2),
]


@pytest.mark.parametrize(
    ("command", "words", "code"), READERS, ids=lambda one: getattr(one, "name", "")
)
def test_a_bundle_of_the_future_has_an_exit_code_of_its_own(
    tmp_path: Path, command: click.Command, words: list[str], code: int
) -> None:
    """A schema newer than this code is exit code 3, but of `verify`, whose 3 is another word."""
    path = save_newer(incident_of(claimed(), opened(1)), tmp_path)
    result = call(command, path, *words)
    assert result.exit_code == code
    assert "its schema is 99" in result.output and "hint: " in result.output


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


def test_long_values_and_other_kinds_are_told() -> None:
    """What is missing, extra, unreadable or contradictory has words of its own."""
    extra = Divergence("extra", None, None, None, "retry.dial", "stimulus", None,
                       {"stimulus": "timer_fired", "at": at(61)})  # fmt: skip
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
        "stimulus timer_fired at 2023-11-14 22:14:21.000"
    )


def test_instants_are_told_as_times() -> None:
    """A time stands as people write it, and how much later it is; the data keeps its numbers."""
    rule = "close.transient.retry"
    later = Divergence("timing", 1, 1, rule, rule, "changes.retry_at", at(2), at(3.5))
    told = "changes.retry_at 2023-11-14 22:13:22.000 -> 2023-11-14 22:13:23.500 (1.5 s later)"
    assert telling.tell_one(later) == f"position 1: timing, rule {rule}, {told}"
    earlier = Divergence("timing", 1, 1, rule, rule, "at", at(2), at(2) - 250)
    assert telling.tell_one(earlier).endswith(" (250 ns earlier)")
    field = "changes.replies.r1"
    reply = Divergence("decision", 1, 1, rule, rule, field, {"deadline_at": at(2)}, None)
    assert telling.tell_one(reply).endswith(
        "changes.replies.r1 {'deadline_at': '2023-11-14 22:13:22.000'} -> none"
    )
    unset = Divergence("decision", 1, 1, rule, rule, "changes.retry_at", at(2), "(nothing)")
    assert telling.tell_one(unset).endswith("2023-11-14 22:13:22.000 -> (unchanged)")


def test_the_state_is_told_before_all_else() -> None:
    """Of several differing fields of a record the most telling one stands for it."""
    was = {"cause": "x", "gap_notice_at": 1, "retry_at": 2, "state": "reconnect_gap"}
    fields = []
    for name in ("state", "cause", "settled", "retry_at", "gap_notice_at"):
        settled = {"r1": {"outcome": "sent"}} if "settled" not in fields else {}
        then = Decision("closed", 0, "rule", 1, 1, was, [], settled)
        found = differ(then, Decision("closed", 0, "rule", 1, 1, {}, [], {}))
        assert found is not None
        fields.append(found.field.removeprefix("changes.").partition(".")[0])
        was = {key: value for key, value in was.items() if key != name}
    assert fields == ["state", "cause", "settled", "retry_at", "gap_notice_at"]
