"""Commands from another process: what is taken, what it comes to, and what is never taken."""

import asyncio
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway import commands
from linewarden.gateway.commands import Command, CommandServer, command_of, hand_over
from linewarden.gateway.receipt import Receipt
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError, LinewardenError
from linewarden.statemachine.lifecycle import TABLE

from .commanding import PERSONAL, RESTART, connected, line_up, types
from .scripted import Scripted, content, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def warden(path: Path) -> Iterator[Linewarden]:
    with line_up(path) as made:
        yield made


def said(path: Path, line: bytes) -> dict[str, Any]:
    """What a line that no `hand_over` would write is answered."""
    with connected(path) as channel, channel.makefile("rb") as answers:
        channel.sendall(line)
        answer: dict[str, Any] = json.loads(answers.readline())
        return answer


def test_a_command_is_a_record_and_is_answered(warden: Linewarden, path: Path) -> None:
    """A restart that is granted is in the log as the operator's, and the answer says where."""
    answer = hand_over(
        path, command_of("main", "restart_requested", reason="no messages since noon")
    )
    (record,) = [
        one for one in warden.projections.reader.read_all() if one.type == "restart_requested"
    ]
    assert answer == {
        "account": "main",
        "rule": "restart.granted",
        "granted": True,
        "explanation": "The restart was granted: the socket closes and a successor is asked for.",
        "state": "reconnect_gap",
        "position": record.position,
        "version": record.version,
    }
    stimulus = content(record)["stimulus"]
    assert (stimulus["by"], stimulus["source"]) == ("operator", "operator")
    assert stimulus["reason"] == "no messages since noon"


def test_a_command_that_is_refused_says_why(warden: Linewarden, path: Path) -> None:
    """What the state does not allow is refused and recorded, with the rule's own sentence."""
    answer = hand_over(path, command_of("main", "relink_requested"))
    assert answer is not None
    assert (answer["rule"], answer["granted"]) == ("relink.refused.alive", False)
    assert answer["state"] == "connected"
    assert "has not ended" in answer["explanation"]
    assert types(warden)[-1] == "relink_requested"


def test_commands_may_be_handed_over_side_by_side(warden: Linewarden, path: Path) -> None:
    """Of several restarts at the same moment one is granted and the others learn of it."""
    with ThreadPoolExecutor(4) as pool:
        given = pool.map(
            lambda _: hand_over(path, command_of("main", "restart_requested")), range(4)
        )
        rules = sorted(str(answer and answer["rule"]) for answer in given)
    assert rules == ["restart.granted", *["restart.refused.outstanding"] * 3]


def test_a_gateway_on_the_callers_loop_takes_commands(path: Path) -> None:
    """With `async with` the server runs on that loop, beside everything else."""

    async def run() -> dict[str, Any] | None:
        async with opened(path, Scripted(), commands=True) as warden:
            await warden.claim("main", "A")
            return await asyncio.to_thread(hand_over, path, command_of("main", "stop_requested"))

    answer = asyncio.run(run())
    assert answer is not None
    assert (answer["rule"], answer["state"]) == ("stop.closed", "closed")


def test_every_rule_of_a_request_is_granted_or_refused() -> None:
    """The list of what counts as granted leaves out no rule of the table that refuses nothing."""
    rules = {row.rule for row in TABLE if row.rule.split(".")[0] in ("restart", "relink", "stop")}
    rules |= {row.rule for row in TABLE if row.rule.startswith("release.")}
    assert {rule for rule in rules if ".refused." not in rule} == commands.GRANTED


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"restart main\n",
        b"[]\n",
        b"\xff\xfe\n",
        b'{"type":"erasure","held":{"\xff":[]}}\n',
        json.dumps({"account": "main"}).encode() + b"\n",
        json.dumps({**RESTART, "stimulus": "claimed"}).encode() + b"\n",
        json.dumps({**RESTART, "stimulus": "logged_out", "controller": "A"}).encode() + b"\n",
        json.dumps({**RESTART, "by": "monitor"}).encode() + b"\n",
        json.dumps({**RESTART, PERSONAL: "x"}).encode() + b"\n",
        json.dumps({**RESTART, "reason": {"who": PERSONAL}}).encode() + b"\n",
        json.dumps({**RESTART, "account": PERSONAL}).encode() + b"\n",
        json.dumps({**RESTART, "account": "../etc"}).encode() + b"\n",
        json.dumps({**RESTART, "reason": "x" * commands.LINE_BYTES_MAX}).encode() + b"\n",
        b"x" * (commands.LINE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_command_is_refused(warden: Linewarden, path: Path, line: bytes) -> None:
    """It is answered by an error with a hint that shows nobody, and nothing is recorded."""
    before = types(warden)
    answer = said(path, line)
    assert answer["error"] and answer["hint"]
    assert answer["error"] != "the command failed"
    assert PERSONAL not in str(answer)
    assert types(warden) == before


@pytest.mark.parametrize(
    "held",
    [
        *({"main": [*["idn_1"] * 1_000, PERSONAL]}, {"main": ["idn_1"], PERSONAL: ["idn_1"]}),
        {"mian": ["idn_1"]},
    ],
)
def test_an_erasure_is_taken_whole_or_not(
    warden: Linewarden, path: Path, held: dict[str, list[str]]
) -> None:
    """Where one token or one name is none, or nobody has the name, nothing of it is recorded."""
    line = json.dumps({"type": "erasure", "held": held}).encode() + b"\n"
    assert PERSONAL not in str(answer := said(path, line))
    assert answer["error"] and answer["hint"]
    hand_over(path, command_of("main", "stop_requested"))
    assert "subject_erased" not in types(warden)


@pytest.mark.parametrize(
    ("account", "stimulus", "reason"),
    [
        ("main", "claimed", None), ("main", "", None), ("main", "restart_requested", "\ud800"),
        ("main", "restart_requested", "x" * commands.LINE_BYTES_MAX), ("", "stop_requested", None),
        (PERSONAL, "stop_requested", None), ("main", "stop_requested", 5),
    ],
)  # fmt: skip
def test_a_bad_command_is_not_even_handed_over(
    path: Path, account: str, stimulus: str, reason: Any
) -> None:
    """What is not understood is the caller's mistake, and says so before anybody is asked."""
    with pytest.raises(InputError) as caught:
        hand_over(path, command_of(account, stimulus, reason))
    assert PERSONAL not in str(caught.value)


def test_nothing_personal_leaves_a_reason(
    warden: Linewarden, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A number or a JID in a reason is in no record, no answer, no log line and no repr."""
    caplog.set_level(logging.DEBUG)
    reason = f"+{PERSONAL} asked, see {PERSONAL}@s.whatsapp.net"
    answer = hand_over(path, command_of("main", "stop_requested", reason=reason))
    record = list(warden.projections.reader.read_all())[-1]
    assert record.type == "stop_requested"
    for text in (str(answer), record.body.decode(), caplog.text):
        assert PERSONAL not in text
    assert PERSONAL not in repr(Command("main", "stop_requested", reason))


def test_a_fault_of_ours_is_told_by_its_type_only(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody expected is answered, and its text stays out of answer and log."""

    def broken(*_given: object) -> Receipt:
        raise KeyError(PERSONAL)

    async def run() -> None:
        server = CommandServer(path, broken)
        await server.start()
        try:
            await asyncio.to_thread(hand_over, path, command_of("main", "stop_requested"))
        finally:
            await server.end()

    with pytest.raises(LinewardenError) as caught:
        asyncio.run(run())
    assert caught.value.hint
    assert "KeyError" in caplog.text
    assert PERSONAL not in caplog.text + str(caught.value)


def test_what_is_not_on_disk_in_time_is_said_to_be_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decision that does not come leaves the client with the command to find out."""
    monkeypatch.setattr(commands, "ANSWER_S", 0.05)

    async def run() -> None:
        server = CommandServer(path, lambda *_: Receipt())
        await server.start()
        try:
            await asyncio.to_thread(hand_over, path, command_of("main", "stop_requested"))
        finally:
            await server.end()

    with pytest.raises(LinewardenError, match="not in the log yet") as caught:
        asyncio.run(run())
    assert "linewarden timeline" in caught.value.hint
