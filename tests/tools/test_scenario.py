"""`linewarden scenario`: every file holds, and what a file can say does what FORMAT.md says."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from linewarden.tools.cli import main
from linewarden.tools.scenario_file import EXPECT_KEYS, read_scenario
from linewarden.tools.scenario_judge import judge

FOLDER = Path(__file__).resolve().parents[1] / "scenarios"
FILES = sorted(FOLDER.rglob("*.jsonl"))
ANNA = {"pn": "15550100001@s.whatsapp.net"}
CHAT = "15550100009@s.whatsapp.net"
CLAIMED = {"t": 0, "controller": "A", "stimulus": "claimed", "holder": "host-1"}
REPLY = {"stimulus": "reply_submitted", "source": "router", "chat": CHAT, "captured_on": "A"}


def write(path: Path, *lines: dict[str, Any], **header: Any) -> Path:
    """A scenario file of these lines."""
    first = {"scenario": "tiny", "what": "A tiny one.", "ref": "design §3", "timing": "exact"}
    first |= {"expect": {}, **header}
    path.write_text("".join(json.dumps(line) + "\n" for line in (first, *lines)))
    return path


def seen(path: Path, *lines: dict[str, Any], **header: Any) -> dict[str, Any]:
    """What happened; fails with what differs from `expect`."""
    result, found = judge(read_scenario(write(path / "tiny.jsonl", *lines, **header)))
    assert not found
    return result


def line(t: float, stimulus: str, controller: str = "A", **fields: Any) -> dict[str, Any]:
    return {"t": t, "controller": controller, "stimulus": stimulus, "source": "baileys", **fields}


def test_there_are_scenarios() -> None:
    """The folder of scenarios is where this test looks for it."""
    assert len(FILES) >= 137


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_scenario_holds(file: Path) -> None:
    """What the file expects is what happens through the real machine, store and router."""
    scenario = read_scenario(file)
    assert scenario.header.scenario == file.stem
    assert scenario.header.expect
    _, found = judge(scenario)
    assert not found


def test_exit_code_0_when_all_hold() -> None:
    """The command says how many hold and exits 0."""
    result = CliRunner().invoke(main, ["scenario", *map(str, FILES[:2])])
    assert result.exit_code == 0
    assert result.output == "2 of 2 scenarios hold\n"


def test_a_changed_expectation_is_found(tmp_path: Path) -> None:
    """A difference is one line that names scenario, key, what was expected and what happened."""
    path = write(
        tmp_path / "x.jsonl",
        *(CLAIMED, line(1, "opened")),
        expect={"states": {"A": "closed"}, "epoch": {"main": 2}, "verify": "intact"},
    )
    result = CliRunner().invoke(main, ["scenario", str(path), str(FILES[0])])
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "tiny: states of A: expected 'closed', happened 'connected'",
        "tiny: epoch of main: expected 2, happened 1",
        "1 of 2 scenarios hold",
    ]


def test_every_single_expectation_can_fail() -> None:
    """Each key of expect, changed in a real file that holds, is found: none is compared in vain."""
    changed = set()
    for file in FILES:
        scenario = read_scenario(file)
        for key, value in scenario.header.expect.items():
            if key in changed or key in ("verify", "gaps", "replies", "next_timer_s"):
                continue
            wrong = 99 if not isinstance(value, dict) else dict.fromkeys(value, "wrong")
            scenario.header.expect[key] = wrong
            assert judge(scenario)[1], f"{file.stem}: {key}"
            scenario.header.expect[key] = value
            changed.add(key)
    assert changed == set(EXPECT_KEYS) - {"verify", "gaps", "replies", "next_timer_s"}


@pytest.mark.parametrize(
    "expect",
    [
        {"gaps": {"main": {"count": 2}}},
        {"gaps": {"main": {"count": 1, "total_s": [0, 3]}}},
        {"gaps": {"other": {"count": 0}}},
        {"replies": {"r1": {"outcome": "expired"}}},
        {"replies": {"r1": {"at": [0, 3]}}},
        {"replies": {"r2": {"outcome": "sent"}}},
        {"next_timer_s": {"A": [1, 2]}},
        {"next_timer_s": {"B": [1, 2]}},
        {"live": {"main": None}},
        {"verify": "broken"},
    ],
)
def test_a_wrong_range_or_reply_is_found(tmp_path: Path, expect: dict[str, Any]) -> None:
    """Ranges, replies and what never happened are compared too."""
    lines = (
        CLAIMED,
        *(line(1, "opened"), line(10, "closed", code=408), {"t": 11, "reply": "r1", **REPLY}),
        line(14, "opened"),
    )
    path = write(tmp_path / "x.jsonl", *lines, identity={"A": ANNA}, until=20, expect=expect)
    assert judge(read_scenario(path))[1]


def test_json_has_every_key(tmp_path: Path) -> None:
    """`--json` prints all keys of expect, also those that the file does not ask for."""
    path = write(tmp_path / "x.jsonl", CLAIMED, line(1, "opened"), identity={"A": ANNA})
    result = CliRunner().invoke(main, ["scenario", "--json", str(path)])
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert set(printed) == set(EXPECT_KEYS)
    assert printed["path"] == {"A": ["connecting", "connected"]}
    assert printed["live"] == {"main": "A"}
    assert printed["verify"] == "intact"


def test_json_keeps_differences_apart(tmp_path: Path) -> None:
    """With `--json` the differences go to the error stream: what is printed stays data."""
    path = write(tmp_path / "x.jsonl", CLAIMED, expect={"epoch": {"main": 9}})
    result = CliRunner().invoke(main, ["scenario", "--json", str(path)])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["epoch"] == {"main": 1}
    assert "expected 9, happened 1" in result.stderr


@pytest.mark.parametrize(("confirm_s", "dialed_at"), [(0, 2), (3, 5), (100, 17), (None, 17)])
def test_a_close_is_confirmed_after_its_delay(
    tmp_path: Path, confirm_s: float | None, dialed_at: float
) -> None:
    """`close_confirm_s` says when a socket is confirmed closed: a successor dials then."""
    lines = (CLAIMED, line(1, "opened"), {**CLAIMED, "t": 2, "controller": "B"})
    checkpoints = [{"t": dialed_at, "expect": {"dials": {"B": 1}}}]
    if dialed_at > 2:
        checkpoints.insert(0, {"t": dialed_at - 0.5, "expect": {"dials": {"B": 0}}})
    seen(tmp_path, *lines, close_confirm_s=confirm_s, until=20, checkpoints=checkpoints)


def test_a_wire_close_is_confirmed_too(tmp_path: Path) -> None:
    """A close on the wire is followed by the confirmation, which changes no state."""
    result = seen(
        tmp_path,
        *(CLAIMED, line(1, "opened"), line(2, "replaced")),
        {**CLAIMED, "t": 3, "controller": "B"},
        close_confirm_s=0,
    )
    assert result["dials"] == {"A": 1, "B": 1}
    assert result["states"] == {"A": "conflict", "B": "connecting"}


def test_dials_are_answered_in_turn(tmp_path: Path) -> None:
    """`dials` answers one dial effect after the other, each 1 s later; after the list, none."""
    result = seen(
        tmp_path,
        CLAIMED,
        dials={"A": ["fail", "open"]},
        until=70,
        checkpoints=[
            {"t": 0.9, "expect": {"states": {"A": "connecting"}}},
            {"t": 1, "expect": {"states": {"A": "reconnect-gap"}, "attempt": {"A": 1}}},
            {"t": 3.9, "expect": {"states": {"A": "connecting"}}},
            {"t": 4, "expect": {"states": {"A": "connected"}}},
        ],
    )
    assert result["dials"] == {"A": 2}
    assert result["path"]["A"][-1] == "connected"
    assert result["attempt"] == {"A": 0}


def test_an_unanswered_dial_meets_its_deadline(tmp_path: Path) -> None:
    """`none`, and what is beyond the list, gets no answer: after 60 s it is a transient close."""
    result = seen(tmp_path, CLAIMED, dials={"A": ["none"]}, until=60)
    assert (result["cause"], result["states"]) == ({"A": "transient"}, {"A": "reconnect-gap"})


def test_sends_are_answered_in_turn(tmp_path: Path) -> None:
    """`sends` answers one send effect after the other, at once or after its delay."""
    chats = [f"1555010000{one}@s.whatsapp.net" for one in range(5)]
    replies = [{"t": 2, "reply": f"r{one}", **REPLY, "chat": chats[one]} for one in range(5)]
    result = seen(
        tmp_path,
        *(CLAIMED, line(1, "opened"), *replies),
        identity={"A": ANNA},
        sends={
            "r0": [["acked", 5]],
            "r1": ["not_sent", ["acked", 1]],
            "r2": ["silent"],
            "r3": ["rejected"],
            "r4": [["unknown", 2.5]],
        },
        until=100,
    )
    told = {name: (one["outcome"], one["sends"], one["at"]) for name, one in
            result["replies"].items()}  # fmt: skip
    assert told == {
        "r0": ("sent", 1, 7),
        "r1": ("sent", 2, 33),
        "r2": ("uncertain", 1, 92),
        "r3": ("rejected", 1, 2),
        "r4": ("uncertain", 1, 4.5),
    }


def test_a_crash_drops_what_was_in_memory(tmp_path: Path) -> None:
    """A crash loses the dial under way, held replies and the answers of sends, not the log."""
    lines = (
        *(CLAIMED, line(1, "opened"), {"t": 2, "reply": "r1", **REPLY}),
        *(line(3, "closed", code=408), {"t": 3.5, "reply": "r2", **REPLY}),
        {"t": 4, "stimulus": "crash"},
    )
    result = seen(
        tmp_path,
        *lines,
        identity={"A": ANNA},
        sends={"r1": [["acked", 30]]},
        dials={"A": ["none", "open"]},
        until=60,
    )
    assert result["replies"]["r1"]["outcome"] == "uncertain"
    assert result["replies"]["r2"]["outcome"] == "expired"
    assert result["replies"]["r2"]["at"] == 4
    assert result["dials"] == {"A": 2}
    assert result["live"] == {"main": "A"}
    assert result["verify"] == "intact"


def test_a_checkpoint_is_judged_at_its_time(tmp_path: Path) -> None:
    """A checkpoint is judged after everything due then, and its time stands before what differs."""
    path = write(
        tmp_path / "x.jsonl",
        *(CLAIMED, line(5, "opened"), line(9, "closed", code=515)),
        checkpoints=[
            {"t": 9, "expect": {"states": {"A": "connecting"}, "dials": {"A": 2}}},
            {"t": 5, "expect": {"states": {"A": "closed"}}},
        ],
    )
    _, found = judge(read_scenario(path))
    assert found == ["at 5 s: states of A: expected 'closed', happened 'connected'"]


def test_the_file_of_a_run_can_be_kept(tmp_path: Path) -> None:
    """A run may leave its log where it is wanted; without that it leaves nothing."""
    scenario = read_scenario(write(tmp_path / "x.jsonl", CLAIMED))
    judge(scenario, str(tmp_path / "kept.db"))
    assert (tmp_path / "kept.db").stat().st_size > 0
