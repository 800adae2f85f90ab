"""Canaries: personal values and secrets pushed through every path turn up in the vault alone.

What is promised. JIDs, LIDs, numbers, QR strings, links and pairing codes are known by their shape
and are hidden wherever text comes in: details, tags, reasons, codes, the messages of a driver's
`NotSent` and `SendRejected`. The text of a message has no shape. It goes in by the router alone
and comes out at the driver alone; of any other exception only the type is kept, because it may
repeat the text. A sentence that a gateway itself puts into `detail` is a diagnostic, and is kept.
"""

import asyncio
import contextlib
import json
import logging
import re
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.dice import Dice
from linewarden.gateway.driver import Driver, NotSent, Outgoing, SendRejected
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError, LinewardenError
from linewarden.statemachine.stimuli import KINDS
from linewarden.tools.cli import main

NUMBER, OTHER = "15550100077", "15550100078"
LID = "100000000000077"
GROUP = "120363000000000077"
QR = "2@QrCaNaRyAbCdEf0123456789+/xyz,QrKeyOne0123456789abcdefgh=,QrKeyTwo98765432zyxw=,QrAdv"
CODE, SPELT = "WXYZ-1234", "QRST5678"
TEXT = "meet me under the old bridge at nine"
CAPTION = "a picture of the old harbour"
FORMS = {"pn": f"{NUMBER}:12@s.whatsapp.net", "lid": f"{LID}@lid", "e164": f"+{NUMBER}"}
CANARIES = (
    *(f"{NUMBER}@s.whatsapp.net", f"{NUMBER}:12@s.whatsapp.net", f"{LID}@lid", f"{GROUP}@g.us"),
    *(f"+{NUMBER}", "+1 555 010-0077", "+1 (555) 010-0077", NUMBER, f"wa.me/{NUMBER}"),
    *(QR, f"https://wa.me/settings/linked_devices#{QR}"),
    *(f"pairing code: {SPELT}", f"enter {CODE} on the phone"),
)
"""What must be hidden wherever text may come in."""

TRACES = re.compile(
    "|".join(
        [
            *(r"1[ ]?\(?555\)?[ ]?010[- ]?007[78]", LID, GROUP, CODE, SPELT),
            *("QrCaNaRy", "QrKeyOne", "QrKeyTwo", "QrAdv", "old bridge", "old harbour"),
        ]
    )
)
"""What would be left of one."""

NAMES = ("controller", "holder", "reply", "captured_on", "message_id", "source")
WORDS = ("kind", "timer", "by", "evidence", "policy")
NUMBERS = ("socket", "at", "seconds", "expires_s", "deadline_s", "count")
TEXTS = ("detail", "tag", "reason", "code")
PERSONAL: dict[str, Any] = {
    "forms": FORMS, "pn": FORMS["pn"], "lid": FORMS["lid"], "chat": f"{GROUP}@g.us",
}  # fmt: skip
STRETCH = {"first": 1, "last": 2, "position": 3, "chain": "0" * 64, "bundle": "0" * 64}
NEEDED: dict[str, Any] = {
    "holder": "main", "kind": "transport", "seconds": 1, "timer": "retry", "by": "monitor",
    "reply": "r0", "tokens": ["idn_0"], **PERSONAL, **STRETCH,
}  # fmt: skip
ANSWERS: tuple[Any, ...] = (
    "id-1",
    *(NUMBER, f"{NUMBER}@s.whatsapp.net", QR, f"true_{GROUP}@g.us_{CODE}"),
    *(NotSent(f"no session for {NUMBER}@s.whatsapp.net, {CODE}"), NotSent(QR)),
    *(SendRejected(f"+{NUMBER} is not on WhatsApp"), SendRejected(QR)),
    *(RuntimeError(TEXT), KeyError(f"{NUMBER}@s.whatsapp.net"), ValueError(QR), OSError(TEXT)),
)
"""What a driver may answer a write with."""


class Leaking(Driver):
    """A driver that puts personal values into whatever it says."""

    def __init__(self) -> None:
        self.answers = list(ANSWERS)
        self.written: list[str] = []

    def dial(self, controller: str, socket: int) -> None:
        raise ConnectionError(f"{NUMBER}@s.whatsapp.net: {QR}")

    async def close_socket(self, controller: str, socket: int, force: bool) -> None:
        raise RuntimeError(f"{TEXT} for {LID}@lid")

    async def notify(self, account: str, controller: str, notice: str) -> None:
        raise LinewardenError(f"could not tell +{NUMBER}", hint=CODE)

    async def purge(self, controller: str) -> None:
        raise FileNotFoundError(f"sessions/{NUMBER}.db")

    async def claim(self, account: str, reason: str) -> None:
        raise TimeoutError(TEXT)

    async def send(self, outgoing: Outgoing) -> Any:
        logging.getLogger("linewarden.gateway.canary").debug("writing %r", outgoing)
        self.written.append(json.dumps([outgoing.chat, outgoing.message]))
        answer = self.answers.pop(0) if self.answers else "id-2"
        if isinstance(answer, Exception):
            raise answer
        return answer


def fields_of(name: str) -> dict[str, Any]:
    """What a stimulus can't do without."""
    fields = {key: NEEDED[key] for key in KINDS[name].__struct_fields__ if key in NEEDED}
    return fields | ({"kind": "unknown"} if name == "send_failed" else {})


def stimuli() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every stimulus with every canary in every field that takes text."""
    for name, kind in KINDS.items():
        fields = fields_of(name)
        texts = [key for key in TEXTS if key in kind.__struct_fields__]
        for number, canary in enumerate(CANARIES):
            given = dict.fromkeys(texts, canary) | {"detail": f"it said {canary}!"}
            who = {} if name == "claimed" else {"controller": "A"}
            if name == "claimed":
                who = {"controller": f"claimed-{number}"}
            yield name, {"source": "baileys", **fields, **given, **who}


def refused(warden: Linewarden) -> Iterator[InputError]:
    """The errors of canaries where only names, words and numbers are allowed."""
    for name, kind in KINDS.items():
        fields = fields_of(name)
        base = {"controller": "A", **fields}
        bad: list[tuple[str, str, dict[str, Any]]] = []
        for canary in CANARIES:
            strict = set(kind.__struct_fields__) & {*NAMES, *WORDS, *NUMBERS}
            bad += [("main", name, base | {key: canary}) for key in sorted(strict)]
            bad += [("main", name, base | {canary: canary}), (canary, name, base)]
            bad += [("main", canary, base)]
            if "forms" in fields:
                bad += [("main", name, base | {"forms": {"pn": f"{canary}@nowhere.example"}})]
                bad += [("main", name, base | {"forms": {canary: canary}})]
            if "policy" in kind.__struct_fields__:
                bad += [("main", name, base | {"policy": {canary: canary}})]
                bad += [("main", name, base | {"policy": {"preset": canary}})]
        for account, stimulus, given in bad:
            with pytest.raises(InputError) as caught:
                warden.observe(account, stimulus, **given)
            yield caught.value


async def live(warden: Linewarden, controller: str = "A") -> None:
    """The line is up as somebody."""
    await warden.observe("main", "opened", controller=controller)
    await warden.observe("main", "identity_observed", controller=controller, forms=FORMS)


async def use(path: Path, said: list[str]) -> Leaking:
    """Everything that a gateway may do, with canaries in all of it; `said` gets what it hears."""
    asyncio.get_running_loop().slow_callback_duration = 0  # asyncio tells of every call it makes
    driver = Leaking()
    async with Linewarden.open(
        path, driver=driver, clock=VirtualClock(), dice=Dice(1), policy={"held_max_account": 999}
    ) as warden:
        await warden.claim("main", "A", reason=f"after {NUMBER}")
        await live(warden)
        for number in range(len(ANSWERS)):
            chat = f"{int(GROUP) + number}@g.us" if number else f"{OTHER}@s.whatsapp.net"
            message = {"caption": CAPTION} if number % 2 else TEXT
            handle = warden.router.reply("main", chat, message, id=f"r{number}")
            if number == len(ANSWERS) - 1:
                said.append(str(await handle))
        await asyncio.to_thread(from_a_thread, warden)
        await warden.router.perform("main", _answer)
        with contextlib.suppress(LookupError):
            await warden.router.perform("main", _fail)
        for error in refused(warden):
            said += [repr(error), str(error), *traceback.format_exception(error)]
        # One after another, since what is observed again at once waits to share a record.
        receipts = [warden.observe("main", name, **fields) for name, fields in stimuli()]
        said += [str(await receipt) for receipt in receipts]
        said += [str(handle) for handle in warden.router._handles.values()]
        view = warden.projections.account("main")
        said += [str(view), msgspec.json.encode(view).decode()]
        said.append(str(warden.projections.live("main")))
    return driver


def from_a_thread(warden: Linewarden) -> None:
    """The same from beside the loop, which gets calls with arguments to make."""
    warden.observe("main", "identity_observed", controller="A", forms=FORMS).result(20)
    warden.router.reply("main", f"{NUMBER}@s.whatsapp.net", TEXT, id="r-thread").result(20)
    warden.observe("main", "closed", controller="nobody", detail=QR, code=CODE).result(20)


async def _fail(_target: Any) -> None:
    raise LookupError(f"no group {GROUP}@g.us")


def _answer(_target: Any) -> str:
    return f"members: {NUMBER}"


COMMANDS = (
    ["status"], ["timeline", "--limit", "100000"], ["why", "--account", "main"],
    ["why", "--reply", "r1"], ["why", "--reply", "r6"], ["gaps"], ["replies"], ["verify"],
    ["why", "--controller", "A", "--account", "main"], ["incident", "list"],
)  # fmt: skip


def printed(path: Path) -> Iterator[str]:
    """What the command line says of the log."""
    for command in COMMANDS:
        for form in ([], ["--json"]):
            result = CliRunner().invoke(main, [*command, "--file", str(path), *form])
            assert result.exit_code == 0, result.output
            yield result.output
    for wrong in (["status", "--account", f"{NUMBER}@lid"], ["why", "--reply", f"+{NUMBER}"]):
        yield CliRunner().invoke(main, [*wrong, "--file", str(path)]).stderr


def rows(path: Path) -> Iterator[tuple[str, str]]:
    """Every value of every table of the file, with the name of its table."""
    connection = sqlite3.connect(path)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    for (name,) in names.fetchall():
        for row in connection.execute(f'SELECT * FROM "{name}"'):
            for value in row:
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                yield name, text
    connection.close()


def traces(texts: list[str]) -> list[str]:
    """The places where something is left of a canary."""
    return [
        text[max(0, found.start() - 80) : found.end() + 20]
        for text in texts
        for found in TRACES.finditer(text)
    ]


def test_canaries_stay_in_the_vault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No log line, record, error, view or command shows one; messages are in no file at all."""
    path, said = tmp_path / "log.db", list[str]()
    formatter = logging.Formatter("%(name)s %(message)s %(args)s %(exc_text)s")
    with caplog.at_level(logging.DEBUG):
        driver = asyncio.run(use(path, said), debug=True)
        raw = b"".join(file.read_bytes() for file in sorted(tmp_path.iterdir()))
        lines = [formatter.format(record) for record in caplog.records]
        lines += [json.dumps(record.__dict__, default=repr) for record in caplog.records]
        output = list(printed(path))
    written = "".join(driver.written)
    assert TEXT in written and CAPTION in written  # they did reach the driver
    assert f"{OTHER}@s.whatsapp.net" in written
    assert len(driver.written) >= len(ANSWERS)
    assert any("Dial" in line for line in lines)
    assert not traces(said)[:5]
    assert not traces(lines)[:5]
    assert not traces(output)[:5]
    assert not traces(list(map(str, tmp_path.iterdir())))
    in_vault = [text for table, text in rows(path) if table == "vault" and NUMBER in text]
    assert f"{NUMBER}@s.whatsapp.net" in in_vault
    elsewhere = [text for table, text in rows(path) if "vault" not in table]
    assert len(elsewhere) > 1_000
    assert not traces(elsewhere)[:5]
    stored = raw.decode("latin-1")
    for never in (TEXT, CAPTION, "old bridge", "QrCaNaRy", "QrKeyOne", CODE, SPELT):
        assert never not in stored


def test_the_traces_are_those_of_the_canaries() -> None:
    """Each canary would be found if it stood anywhere: the search can fail."""
    for canary in (*CANARIES, TEXT, CAPTION, OTHER):
        assert TRACES.search(f"x {canary} y"), canary


def test_a_diagnostic_is_kept(tmp_path: Path) -> None:
    """What a gateway writes into `detail` is kept, but for what has the shape of somebody."""
    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("main", "A").result(20)
        told = f"handshake with {NUMBER}@s.whatsapp.net timed out after 408"
        decided = warden.observe("main", "closed", controller="A", detail=told).result(20)
    assert b"handshake with [id] timed out after 408" in decided.record.body
