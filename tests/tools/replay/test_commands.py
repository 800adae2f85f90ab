"""The commands of the replay: what people read, what programs read, and exit codes."""

import json
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

from .logs import at, claimed, incident_of, opened
from .other_code import PACKAGE
from .saved import call, save_newer
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
        "  field       changes.state: conflict -> reconnect_gap",
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
        "changes.replies.r1 deadline_at=2023-11-14 22:13:22.000 -> none"
    )
    effect = {"controller": "A", "effect": "dial", "socket": 2, "after": None, "for": ["a", 1]}
    dial = Divergence("effect", 1, 1, rule, rule, "effects[0]", "(nothing)", effect)
    assert telling.tell_one(dial).endswith(
        'effects[0] (nothing) -> dial controller=A socket=2 after=none for=["a",1]'
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
