"""What is no text, no report and no order: it is refused or left out, and silences nobody."""

import asyncio
import sys
from typing import Any

import pytest

from linewarden.gateway.supervisor.process import Process
from linewarden.gateway.worker import protocol as wire

from .conftest import Stage
from .puppet_odd import command
from .strings import WAIT_S, Strings, connected, event, wait_until

HALF = "half an emoji \ud83d"
"""What is left of a text that was cut in the midst of a pair."""

TELLER = """
import os, sys
for line in (
    b'{"report":"fault","message":"\\xff no UTF-8"}',
    b'{"report":"pairingcode","kind":"under the old bridge","value":"x"}',
    b'{"report":"logged","level":"under the old bridge","name":"x","text":"x"}',
    b'{"report":"fault","message":"half \\\\ud83d"}',
    b'["under the old bridge"]',
    b'{"report":"fault","message":"this one is understood"}',
):
    os.write(int(sys.argv[2]), line + b"\\n")
with open(int(sys.argv[1]), "rb") as orders:
    while b'"end"' not in orders.readline():
        pass
"""


def test_half_a_character_is_rejected(stage: Stage) -> None:
    """Text that can't be encoded is provably not written, and the next reply of the chat is."""
    stage.open()
    stage.manage()
    stage.live()
    odd, good = stage.reply(HALF), stage.reply("whole")
    assert odd.result(WAIT_S).outcome == "rejected"
    assert good.result(WAIT_S).outcome == "sent"
    assert [text for _, text in stage.string().written] == ["whole"]
    assert "half an emoji" not in str(stage.told(name="send_failed"))


def test_half_a_character_in_a_line_of_the_log(stage: Stage) -> None:
    """The library may log what is no text; the worker is heard after it as before."""
    stage.open()
    stage.manage()
    puppet = stage.live()
    puppet.do("log", text="half \udcff a character")
    wait_until(lambda: puppet.named("logged"))
    puppet.play(event("Disconnected", status=True), connected())
    stage.wait_told("opened", count=2)
    assert stage.reply("do you hear me?").result(WAIT_S).outcome == "sent"
    assert len(stage.string().puppets) == 1


def test_a_report_that_is_not_understood(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Each is one line that quotes nothing of it, and what the worker tells next is heard."""
    caplog.set_level("INFO", "linewarden")
    stage.open()
    line = stage.manage(worker=(sys.executable, "-c", TELLER))
    wait_until(lambda: "this one is understood" in caplog.text)
    assert caplog.text.count("a report was not understood") == 5
    assert "old bridge" not in caplog.text
    assert line.worker_pid is not None
    assert not stage.told(name="worker_died")


@pytest.mark.parametrize(
    "order",
    [b'{"order":"nonsense"}', b'{"order":"write","chat":"\xff"}'],
    ids=["unknown", "no UTF-8"],
)
def test_an_order_that_is_not_understood_ends_the_worker(order: bytes) -> None:
    """A worker whose client lives would otherwise go on connecting with nobody to listen to."""
    ended: list[Any] = []

    async def converse(strings: Strings) -> dict[str, int]:
        process = Process("main")
        begin = wire.Begin(session="unused.db")
        told = command(strings.path)
        await process.start(told, begin, lambda _: None, lambda: ended.append(1))
        try:
            process.tell(wire.Dial(socket=1))
            await asyncio.to_thread(strings.puppet)
            assert process._orders is not None
            process._orders.write(order + b"\n")
            await asyncio.to_thread(wait_until, lambda: ended, 5)
            return process.exit
        finally:
            await process.end(force=True)

    with Strings() as strings:
        assert asyncio.run(converse(strings)) == {"exit_code": 6}
