"""Bad input to the command line: exit code 2, and a message that says what, where and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from linewarden.statemachine.errors import InputError
from linewarden.tools.cli import main
from linewarden.tools.scenario_file import read_scenario

PERSONAL = "15550100001"
HEADER: dict[str, Any] = {
    "scenario": "x", "what": "y", "ref": "z", "timing": "none", "expect": {},
}  # fmt: skip
CLAIMED = {"t": 0, "controller": "A", "stimulus": "claimed", "holder": "h"}
BASE = {"controller": "A", "source": "baileys"}


def text(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def closed(**fields: Any) -> dict[str, Any]:
    return {"t": 1, **BASE, "stimulus": "closed", **fields}


BAD_FILES = {
    "cut": (text(HEADER, CLAIMED, closed())[:-20], 3, "JSON"),
    "no-json": ("linewarden\n", 1, "JSON"),
    "no-object": ("[1, 2]\n", 1, "object"),
    "binary": ("\x00\x01\x02", 1, "JSON"),
    "empty": ("", 1, "empty"),
    "blank-line": (text(HEADER) + "\n" + text(CLAIMED), 2, "JSON"),
    "header-only": (text(HEADER), 2, "stimulus"),
    "header-field": (text(HEADER | {"expects": {}}, CLAIMED), 1, "expects"),
    "header-missing": (text({"scenario": "x"}, CLAIMED), 1, "what"),
    "header-timing": (text(HEADER | {"timing": "some"}, CLAIMED), 1, "timing"),
    "header-until": (text(HEADER | {"until": PERSONAL}, CLAIMED), 1, "until"),
    "policy-field": (text(HEADER | {"policy": {"patience": 1}}, CLAIMED), 1, "patience"),
    "policy-preset": (text(HEADER | {"policy": {"preset": "mine"}}, CLAIMED), 1, "preset"),
    "policy-value": (text(HEADER | {"policy": {"initial_s": -1}}, CLAIMED), 1, "initial_s"),
    "expect-key": (text(HEADER | {"expect": {"state": {}}}, CLAIMED), 1, "state"),
    "checkpoint-key": (
        text(HEADER | {"checkpoints": [{"t": 1, "expect": {"stats": {}}}]}, CLAIMED), 1, "stats",
    ),
    "dial-answer": (text(HEADER | {"dials": {"A": ["maybe"]}}, CLAIMED), 1, "dials"),
    "send-answer": (text(HEADER | {"sends": {"r": [["acked"]]}}, CLAIMED), 1, "sends"),
    "send-delay": (text(HEADER | {"sends": {"r": [["acked", "soon"]]}}, CLAIMED), 1, "sends"),
    "identity-form": (text(HEADER | {"identity": {"A": {"jid": "x"}}}, CLAIMED), 1, "identity"),
    "identity-value": (
        text(HEADER | {"identity": {"A": {"pn": f"{PERSONAL}@nowhere.example"}}}, CLAIMED),
        1, "identity",
    ),
    "no-time": (text(HEADER, {key: CLAIMED[key] for key in CLAIMED if key != "t"}), 2, "t "),
    "time-text": (text(HEADER, CLAIMED | {"t": "0"}), 2, "t "),
    "time-falls": (text(HEADER, CLAIMED | {"t": 5}, closed()), 3, "falls"),
    "stimulus": (text(HEADER, CLAIMED, closed(stimulus="exploded")), 3, "exploded"),
    "stimulus-personal": (text(HEADER, CLAIMED, closed(stimulus=PERSONAL)), 3, "stimulus"),
    "no-stimulus": (text(HEADER, CLAIMED, {"t": 1, "controller": "A"}), 3, "stimulus"),
    "field": (text(HEADER, CLAIMED, closed(colour="red")), 3, "colour"),
    "field-missing": (text(HEADER, {"t": 0, **BASE, "stimulus": "claimed"}), 2, "holder"),
    "code-list": (text(HEADER, CLAIMED, closed(code=[408])), 3, "code"),
    "code-float": (text(HEADER, CLAIMED, closed(code=408.5)), 3, "code"),
    "code-bool": (text(HEADER, CLAIMED, closed(code=True)), 3, "code"),
    "socket-zero": (text(HEADER, CLAIMED, closed(socket=0)), 3, "socket"),
    "socket-text": (text(HEADER, CLAIMED, closed(socket=PERSONAL)), 3, "socket"),
    "account-odd": (text(HEADER, CLAIMED | {"account": "../etc"}), 2, "account"),
    "account-phone": (text(HEADER, CLAIMED | {"account": PERSONAL}), 2, "account"),
    "account-jid": (text(HEADER, CLAIMED | {"account": f"{PERSONAL}@lid"}), 2, "account"),
    "account-number": (text(HEADER, CLAIMED | {"account": 5}), 2, "account"),
    "controller-odd": (text(HEADER, CLAIMED | {"controller": "A B"}), 2, "controller"),
    "controller-phone": (text(HEADER, CLAIMED | {"controller": PERSONAL}), 2, "controller"),
    "controller-missing": (text(HEADER, {"t": 0, "stimulus": "opened"}), 2, "controller"),
    "source-odd": (text(HEADER, CLAIMED, closed(source="Me!")), 3, "source"),
    "seconds": (
        text(HEADER, CLAIMED, {"t": 1, **BASE, "stimulus": "banned", "expires_s": "long"}),
        3, "expires_s",
    ),
    "forms": (
        text(HEADER, CLAIMED,
             {"t": 1, **BASE, "stimulus": "identity_observed", "forms": {"pn": "x@y"}}),
        3, "pn",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_is_no_scenario(tmp_path: Path, case: str) -> None:
    """Exit code 2, and a message that names file, line and field, with a hint, and nobody."""
    written, number, field = BAD_FILES[case]
    path = tmp_path / f"{case}.jsonl"
    path.write_text(written)
    result = CliRunner().invoke(main, ["scenario", str(path)])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    message, _, hint = result.stderr.partition("\n")
    assert f"{case}.jsonl, line {number}" in message
    assert field in message
    assert hint.strip().startswith("hint: ")
    assert PERSONAL not in result.stderr


@pytest.mark.parametrize("where", ["line", "until", "checkpoint"])
def test_a_time_without_end(tmp_path: Path, where: str) -> None:
    """A time that no run would reach is refused when the file is read, before it is played."""
    header = HEADER | {
        "line": {}, "until": {"until": 1e300},
        "checkpoint": {"checkpoints": [{"t": 1e300, "expect": {}}]},
    }[where]  # fmt: skip
    path = tmp_path / "x.jsonl"
    path.write_text(text(header, CLAIMED, closed(t=1e300 if where == "line" else 1)))
    with pytest.raises(InputError) as caught:
        read_scenario(path)
    assert "x.jsonl, line" in str(caught.value)


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "not-utf-8.jsonl"])
def test_a_place_without_a_scenario(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and a file of other bytes are told from each other, exit code 2."""
    if name == "not-utf-8.jsonl":
        (tmp_path / name).write_bytes(b"\xff\xfe{}")
    result = CliRunner().invoke(main, ["scenario", str(tmp_path / name)])
    assert result.exit_code == 2
    assert str(tmp_path) in result.stderr
    assert "hint: " in result.stderr


def test_one_bad_file_among_good_ones_runs_none(tmp_path: Path) -> None:
    """Every file is read before one is played: a bad last one is told at once."""
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(text(HEADER, CLAIMED))
    bad.write_text("{")
    result = CliRunner().invoke(main, ["scenario", "--json", str(good), str(bad)])
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_log_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    """A command that reads makes no file where there is none, and exits 2 with a hint."""
    path = tmp_path / "log.db"
    result = CliRunner().invoke(main, ["verify", "--file", str(path)])
    assert result.exit_code == 2
    assert "hint: " in result.stderr
    assert not path.exists()
