"""Bad input is the caller's fault: a clear error with a hint at once, and nothing is recorded."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from linewarden.eventstore import open_store
from linewarden.eventstore.errors import (
    NewerSchema,
    NotALinewardenStore,
    ReadOnlyStore,
    StoreLocked,
    StoreNotFound,
)
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError, LinewardenError
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


@pytest.fixture
def warden(tmp_path: Path) -> Iterator[Linewarden]:
    with Linewarden.open(tmp_path / "log.db") as made:
        made.claim("main", "A").result(20)
        yield made
        made.observe("main", "activity", controller="A").result(20)
        reader = made.projections.reader
        assert [record.type for record in reader.read_all()] == ["claimed", "activity"]


HUGE = 2**70
BAD_STIMULI: dict[str, tuple[str, str, dict[str, Any]]] = {
    "unknown": ("main", "exploded", BASE),
    "no-name": ("main", "", BASE),
    "name-5": ("main", 5, BASE),  # type: ignore[dict-item]  # that is what is tested
    "field": ("main", "closed", BASE | {"colour": "red"}),
    "code-list": ("main", "closed", BASE | {"code": [408]}),
    "code-float": ("main", "closed", BASE | {"code": 408.0}),
    "code-huge": ("main", "closed", BASE | {"code": HUGE}),
    "code-phone": ("main", "closed", BASE | {"code": int(PERSONAL)}),
    "code-negative": ("main", "closed", BASE | {"code": -HUGE}),
    "count-huge": ("main", "keepalive_timeout", BASE | {"count": HUGE}),
    "socket-huge": ("main", "closed", BASE | {"socket": HUGE}),
    "exit-huge": ("main", "worker_died", BASE | {"exit_code": HUGE}),
    "signal-huge": ("main", "worker_died", BASE | {"signal": -HUGE}),
    "held-huge": ("main", "reply_submitted",
                  {"reply": "r", "chat": "c@g.us", "held_elsewhere": HUGE}),
    "earlier-huge": ("main", "reply_submitted", {"reply": "r", "chat": "c@g.us", "earlier": HUGE}),
    "at-huge": ("main", "activity", BASE | {"at": HUGE}),
    "at-negative": ("main", "activity", BASE | {"at": -HUGE}),
    "at-text": ("main", "activity", BASE | {"at": "now"}),
    "half-character": ("main", "closed", BASE | {"detail": "\ud800"}),
    "half-tag": ("main", "closed", BASE | {"tag": "\ud800"}),
    "half-chat": ("main", "reply_submitted", {"reply": "r", "chat": "\ud800@g.us"}),
    "detail-object": ("main", "closed", BASE | {"detail": object()}),
    "detail-bytes": ("main", "closed", BASE | {"detail": b"\xff"}),
    "evidence": ("main", "activity", BASE | {"evidence": "rumour"}),
    "seconds-nan": ("main", "silence", BASE | {"kind": "app", "seconds": float("nan")}),
    "seconds-endless": ("main", "silence", BASE | {"kind": "app", "seconds": float("inf")}),
    "policy-field": ("main", "claimed", BASE | {"holder": "h", "policy": {"patience": 1}}),
    "policy-value": ("main", "claimed", BASE | {"holder": "h", "policy": {"preset": []}}),
    "policy-holder": ("main", "service_started", {"holder": "h", "policy": {"max_s": "x"}}),
    "forms-list": ("main", "identity_observed", BASE | {"forms": [PERSONAL]}),
    "forms-value": ("main", "identity_observed", BASE | {"forms": {"pn": f"{PERSONAL}@x.y"}}),
    "forms-name": ("main", "identity_observed", BASE | {"forms": {PERSONAL: "1@lid"}}),
    "linked": ("main", "identity_linked", {"pn": f"{PERSONAL}@c.us", "lid": f"{PERSONAL}@c.us"}),
    "account-slash": ("../etc/passwd", "activity", BASE),
    "account-space": ("main line", "activity", BASE),
    "account-empty": ("", "activity", BASE),
    "account-long": ("a" * 65, "activity", BASE),
    "account-newline": ("main\n", "activity", BASE),
    "account-letter": ("línea", "activity", BASE),
    "account-phone": (PERSONAL, "activity", BASE),
    "account-plus": (f"+{PERSONAL}", "activity", BASE),
    "account-jid": (f"{PERSONAL}@s.whatsapp.net", "activity", BASE),
    "account-none": (None, "activity", BASE),  # type: ignore[dict-item]  # that is what is tested
    "controller-jid": ("main", "activity", {"controller": f"{PERSONAL}@lid"}),
    "controller-number": ("main", "activity", {"controller": 5}),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_STIMULI)
def test_a_bad_stimulus_is_refused_at_once(warden: Linewarden, case: str) -> None:
    """It raises in the caller's thread, says what would be right, shows nobody, records nothing."""
    account, name, fields = BAD_STIMULI[case]
    with pytest.raises(InputError) as caught:
        warden.observe(account, name, **fields)
    assert caught.value.hint
    assert PERSONAL not in str(caught.value)


@pytest.mark.parametrize(
    "policy",
    [
        {"preset": "mine"}, {"initial_s": 0}, {"initial_s": "soon"}, {"factor": 0.5},
        {"jitter": 2}, {"patience": 1}, {"fast_attempts": 1.5}, {"max_s": float("nan")},
        {"relink": "perhaps"}, {"preset": ["default"]}, {"app_silence_s": -1},
    ],
)  # fmt: skip
def test_a_bad_policy_opens_nothing(tmp_path: Path, policy: dict[str, Any]) -> None:
    """A policy that is not understood is refused, and leaves the log free for another try."""
    with pytest.raises(InputError) as caught:
        Linewarden.open(tmp_path / "log.db", policy=policy)
    assert caught.value.hint
    with pytest.raises(InputError):
        Linewarden.open(tmp_path / "log.db", policies={"main": policy})
    with Linewarden.open(tmp_path / "log.db", policy={"initial_s": 0.5}) as warden:
        assert warden.claim("main").result(20)


def foreign(path: Path) -> None:
    """A SQLite database of somebody else."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages (body TEXT)")
    connection.execute("INSERT INTO messages VALUES ('keep me')")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    """A log that a later linewarden has written."""
    open_store(path).close()
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda path: path.write_text("dear diary\n" * 500), NotALinewardenStore),
        (foreign, NotALinewardenStore),
        (newer, NewerSchema),
        (lambda path: path.mkdir(), LinewardenError),
        (lambda path: path.symlink_to(path), LinewardenError),
    ],
    ids=["text", "foreign", "newer", "folder", "loop"],
)
def test_a_file_that_is_not_ours_stays_as_it_is(tmp_path: Path, make: Any, error: Any) -> None:
    """What is no log of ours is refused by a typed error with a hint, byte for byte untouched."""
    path = tmp_path / "log.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(error) as caught:
        Linewarden.open(path)
    assert caught.value.hint
    assert (path.read_bytes() if path.is_file() else None) == before
    assert not list(tmp_path.glob("log.db-*"))


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    """A missing folder, no name at all and memory are refused with a hint."""
    for path in (tmp_path / "nowhere" / "log.db", "", ":memory:", "postgresql://localhost/x"):
        with pytest.raises(LinewardenError) as caught:
            Linewarden.open(path)
        assert caught.value.hint


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """A log that another process writes is refused by its pid and name; then it goes on."""
    path = tmp_path / "log.db"
    script = (
        "import sys\n"
        "from linewarden.gateway.warden import Linewarden\n"
        "with Linewarden.open(sys.argv[1], holder='first') as warden:\n"
        "    warden.claim('main', 'A').result(20)\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        with pytest.raises(StoreLocked) as caught:
            Linewarden.open(path)
        assert str(first.pid) in str(caught.value)
        assert "first" in str(caught.value)
        assert caught.value.hint
        first.communicate("\n", timeout=30)
    assert first.returncode == 0
    with Linewarden.open(path, holder="first") as warden:
        assert warden.projections.reader.head("main").version == 3


def test_a_folder_that_can_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only folder is said to be one before anything is made in it."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        # Root may write everywhere: what is asked of the system is answered as for others.
        monkeypatch.setattr(os, "access", lambda _path, mode, **_: not mode & os.W_OK)
    with pytest.raises(ReadOnlyStore) as caught:
        Linewarden.open(folder / "log.db")
    assert caught.value.hint
    assert not list(folder.iterdir())


def test_a_log_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    """A command that reads makes no file where there is none, and exits 2 with a hint."""
    path = tmp_path / "log.db"
    result = CliRunner().invoke(main, ["verify", "--file", str(path)])
    assert result.exit_code == 2
    assert "hint: " in result.stderr
    assert not path.exists()
    with pytest.raises(StoreNotFound):
        Linewarden.open(tmp_path / "nowhere" / "log.db")
