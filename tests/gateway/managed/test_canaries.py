"""Canaries through the worker: what is personal or secret reaches whom it is for, and no log.

JIDs, numbers, codes and keys are known by their shape wherever they turn up, in what the library
logs, prints or raises. The text of a message has no shape, so it is never given to a log at all.
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import open_reader

from .conftest import Stage
from .strings import WAIT_S, connected, device, event, fails, jid, message, wait_until

NUMBER, OTHER, STRANGER = "15550100077", "15550100078", "15550100079"
LID = "100000000000077"
QR = (
    "https://wa.me/settings/linked_devices#2@QrCaNaRyAbCdEf0123456789+/xyz,"
    "QrKeyOne0123456789abcdefgh=,QrKeyTwo98765432zyxw=,QrAdv"
)
CODE = "WXYZ1234"
ASKED, ANSWERED = "meet me under the old bridge", "rather at the old harbour"
PASSWORD = "pRoXyCaNaRy"
CANARIES = (
    *(f"{NUMBER}@s.whatsapp.net", f"{NUMBER}:12@s.whatsapp.net", f"{LID}@lid", f"+{NUMBER}"),
    *(QR, "2@QrCaNaRyAbCdEf0123456789+/xyz,QrKeyOne0123456789abcdefgh=,QrAdv"),
    *(f"pairing code: {CODE}", "WXYZ-1234"),
)
TRACES = re.compile(
    f"1555010007[789]|{LID}|WXYZ-?1234|QrCaNaRy|QrKey|old bridge|old harbour|{PASSWORD}|Nick Name"
)


@pytest.fixture
def told(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], str]:
    """Everything that was logged, at every level, and every record's body."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    for name in ("", "linewarden", "linewarden.worker", "linewarden.supervisor", "asyncio"):
        caplog.set_level(logging.DEBUG, name)

    def found() -> str:
        reader = open_reader(stage.path)
        try:
            bodies = [str(record.body) for record in reader.read_all()]
        finally:
            reader.close()
        lines = [f"{one.getMessage()} {one.exc_text} {one.__dict__}" for one in caplog.records]
        return "\n".join([*lines, *bodies])

    return found


def traces(text: str) -> list[str]:
    return [text[max(0, at.start() - 80) : at.end() + 20] for at in TRACES.finditer(text)]


def test_what_a_worker_says_is_harmless(
    stage: Stage, told: Callable[[], str], capfd: pytest.CaptureFixture[str]
) -> None:
    """What the library logs at any level, prints, or raises shows nobody in any log or record."""
    strings = stage.string()
    strings.at_connect = [device(NUMBER, LID), connected()]
    stage.open()
    stage.manage()
    puppet = stage.live()
    for number, canary in enumerate(CANARIES, 1):
        puppet.do("log", text=canary)
        puppet.do("print", text=f"it printed {canary}")
        wait_until(lambda number=number: len(puppet.named("logged")) == number)
    raw = {"Tag": "failure"}
    for number, canary in enumerate(CANARIES, 1):
        acts = [event("StreamError", Code=canary, Raw=raw), connected(), fails(f"failed: {canary}")]
        strings.puppets[-1].play(*acts)
        stage.wait_told("identity_observed", count=2 * number + 1)
    puppet.play(event("ConnectFailure", Reason=7, Message=" ".join(CANARIES), Raw=raw))
    stage.wait_state("closed")
    stage.end()
    text = told()
    assert min(text.count("it said"), text.count("it printed")) >= 2 * len(CANARIES)
    assert not traces(text)
    assert capfd.readouterr() == ("", ""), "a worker has no say on the service's terminal"


def test_a_conversation_is_in_no_log(stage: Stage, told: Callable[[], str]) -> None:
    """Messages, answers, senders and failed sends reach the bot and the chat, and no log."""
    heard: list[Any] = []

    def answer(given: Any) -> str:
        heard.append(given)
        assert repr(given) and not traces(repr(given))
        if len(heard) == 2:
            raise ValueError(ASKED)
        return ANSWERED

    strings = stage.string()
    strings.at_connect = [device(NUMBER, LID), connected()]
    stage.open()
    line = stage.manage(on_message=answer, allow=(f"+{OTHER}",))
    puppet = stage.live()
    puppet.play(message(ASKED, "3EB01", OTHER, Pushname="Nick Name"))
    wait_until(lambda: strings.written)
    puppet.play(message(ASKED, "3EB02", OTHER), message(ASKED, "3EB03", STRANGER))
    wait_until(lambda: len(heard) == 2 and line.inbox.ignored == 1)
    for error in (f"server returned error for {OTHER}@s.whatsapp.net", *CANARIES):
        strings.at_send = lambda _chat, _text, error=error: {"raise": error}
        assert stage.reply(ANSWERED, chat=OTHER).result(WAIT_S).outcome in ("uncertain", "rejected")
    assert strings.written[0] == (f"{OTHER}@s.whatsapp.net", ANSWERED)
    assert [given.text for given in heard] == [ASKED, ASKED]
    stage.end()
    assert not traces(told())


@pytest.mark.parametrize("shows", ["on_code", "nothing"])
@pytest.mark.parametrize("pairing", ["qr", "code"])
def test_a_code_to_pair_with_is_shown_and_nothing_else(
    stage: Stage, told: Callable[[], str], pairing: str, shows: str
) -> None:
    """The code reaches `on_code` alone; where there is none, a line says so without it."""
    shown: list[tuple[str, str]] = []
    strings = stage.string()
    strings.at_connect, strings.at_pair = [], {"code": CODE}
    stage.open()
    how: dict[str, Any] = (
        {"on_code": lambda *code: shown.append(code)} if shows == "on_code" else {}
    )
    phone = {"pair_phone": f"+{NUMBER}"} if pairing == "code" else {}
    line = stage.manage(pairing=pairing, **phone, **how)
    puppet = strings.puppet()
    puppet.private("Qr", QR)
    stage.wait_told("pairing_started")
    wait_until(lambda: shown or "waits to be paired" in told())
    puppet.private("LoginStatus", f"code for {NUMBER}: {CODE}")
    error = {"ID": jid(NUMBER), "BusinessName": "Nick Name", "Platform": "", "Status": 1}
    puppet.play(event("PairStatus", **error, Error=f"{NUMBER} says no, {QR}"))
    stage.wait_told("pairing_failed")
    values = [(kind, value.replace("-", "")) for kind, value in shown]
    assert values == ([(pairing, CODE if pairing == "code" else QR.replace("-", ""))] * len(values))
    assert len(values) == (shows == "on_code")
    assert not traces(f"{line!r} {line.settings!r}")
    stage.end()
    assert not traces(told())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="what others see is in /proc")
def test_settings_are_nobodys_to_read(
    stage: Stage, told: Callable[[], str], processes: Callable[[str], list[int]]
) -> None:
    """Proxy, session and list reach the worker by its pipe: not its command, nor a log."""
    session = stage.folder / f"{NUMBER}.db"
    proxy = f"socks5://{NUMBER}:{PASSWORD}@127.0.0.1:9"
    stage.open()
    stage.manage(session=str(session), proxy=proxy, allow=(f"{LID}@lid",))
    puppet = stage.live()
    assert puppet.named("connect")[0]["proxy"] == proxy
    assert processes(stage.string().path) == [puppet.pid]
    given = Path(f"/proc/{puppet.pid}")
    for name in ("cmdline", "environ"):
        assert not traces((given / name).read_bytes().decode("utf-8", "replace"))
    puppet.play(fails(f"failed to dial whatsapp web websocket: proxy {proxy} said no"))
    stage.live(number=0)
    stage.wait_told("identity_observed", count=2)
    stage.end()
    assert not traces(told())
