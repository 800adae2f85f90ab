"""What the code under trial raises is told: class, message and place, the same everywhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import closing
from linewarden.tools.replay import cli
from linewarden.tools.replay.raised import raised

from .other_code import changed_code
from .saved import call, save

OLD = (
    '    """Take one attempt and wait for it, or end by `exhausted` where the policy gives up."""\n'
)
NEW = OLD + '    raise KeyError(set("linewarden"), object(), {d.a.state, "conflict"})\n'


def place(text: str) -> str:
    """Where this text stands in the closes of the state machine."""
    before, found, _ = Path(closing.__file__).read_text("utf-8").partition(text)
    assert found
    return f"statemachine/closing.py:{before.count(chr(10)) + 1}"


def missing(_: object) -> None:
    raise LookupError("no row for it")


def test_what_is_raised_is_told_with_its_place(night: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay and replay-all name class, message and line, for people and as data."""
    monkeypatch.setattr(closing, "classify", missing)
    told = f"LookupError: no row for it ({place('    return classify(')})"
    assert f"  now         raised {told}\n" in call(cli.replay, night).output
    for loop in ([], ["--closed"]):
        first = json.loads(call(cli.replay, night, "--json", *loop).output)["first"]
        assert (first["rule_now"], first["now"]) == ("(raised LookupError)", told)
    everything = call(cli.replay_all, str(Path(night).parent)).output
    assert f"position 4: decision, rule close.replaced.conflict -> raised {told}\n" in everything


def test_a_diff_tells_what_the_other_side_raises(
    incidents: dict[str, Bundle], tmp_path: Path
) -> None:
    """Two processes with other hash seeds print the same of it, and the diff shows it."""
    path = save(incidents["au-001-echo-chain-main"], tmp_path)
    there = changed_code(tmp_path / "there", OLD, NEW, file="closing.py")
    traces = [
        subprocess.run(
            [sys.executable, "-P", "-m", "linewarden.tools.replay.trace", path],
            env={**os.environ, "PYTHONPATH": str(there), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert traces[0] == traces[1]
    result = call(cli.diff, path, "--against", str(there))
    [told] = [row for row in result.output.splitlines() if row.startswith("  there ")]
    assert (
        "raised KeyError: ({'a', 'd', 'e', 'i', 'l', 'n', 'r', 'w'}, <object object at 0x…>" in told
    )
    assert told.endswith(" (statemachine/closing.py:182)")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("the line of 15550100001@s.whatsapp.net", "the line of [id]"),
        ("called +1 555 010 0001", "called [number]"),
        ("no /srv/some-one/linewarden/x.py here", "no …/x.py here"),
        ("<object at 0x7f00deadbeef>\n  more", "<object at 0x…> more"),
        ("open file:///srv/anna/secret/x.db", "open file:…/x.db"),
        ("path:/srv/anna/x", "path:…/x"),
        ("x {'b', frozenset({'d', 'c'}), 'a'}", "x {'a', 'b', frozenset({'c', 'd'})}"),
        ("red \x1b[31m", r"red \x1b[31m"),
        ("", ""),
    ],
)
def test_a_message_says_nothing_of_people_and_machines(message: str, told: str) -> None:
    """Personal shapes, folders and addresses are taken out of it; a line is a line."""
    expected = f"ValueError: {told}" if told else "ValueError"
    assert raised(ValueError(message)).raised == f"{expected} (at no line of linewarden)"


def test_a_long_message_is_cut() -> None:
    """A library may put a whole state into its message."""
    assert len(raised(ValueError("so long " * 1000)).raised) <= 200 + len(
        "ValueError:  (at no line of linewarden)"
    )


def test_a_message_that_raises_is_told() -> None:
    """The message of an exception is code under trial, too: the replay goes on."""

    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    told = "Silent: (its message raises RuntimeError) (at no line of linewarden)"
    assert raised(Silent()).raised == told
