"""Writes that wait for a thread: they are looked at again when they get one."""

import threading
from pathlib import Path

from linewarden import Driver, Linewarden, Outgoing
from linewarden.gateway.hands import ACCOUNT_SENDS_MAX

ANNA = {"pn": "15550100001@s.whatsapp.net"}
BERT = {"pn": "15550100002@s.whatsapp.net"}
WAIT_S = 10


class Stuck(Driver):
    """Sends that block until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.written: list[str] = []
        self.full = threading.Event()

    def send(self, outgoing: Outgoing) -> str:
        self.written.append(outgoing.reply)
        if len(self.written) == ACCOUNT_SENDS_MAX:
            self.full.set()
        self.go.wait(WAIT_S)
        return "m1"


def come_up(warden: Linewarden, account: str, forms: dict[str, str]) -> None:
    warden.observe(account, "opened", controller=account)
    warden.observe(account, "identity_observed", controller=account, forms=forms).result(WAIT_S)


def test_a_write_that_waited_does_not_leave_as_somebody_else(tmp_path: Path) -> None:
    """A write in the queue of a stuck line is refused once the line is logged in as another."""
    driver = Stuck()
    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("line", "line", driver=driver).result(WAIT_S)
        come_up(warden, "line", ANNA)
        handles = [
            warden.router.reply("line", f"1555010{number:04d}@s.whatsapp.net", "hello")
            for number in range(ACCOUNT_SENDS_MAX)
        ]
        assert driver.full.wait(WAIT_S)
        last = warden.router.reply("line", "15550109999@s.whatsapp.net", "for Anna", id="last")
        warden.observe("line", "closed", controller="line", code=408).result(WAIT_S)
        come_up(warden, "line", BERT)
        driver.go.set()
        assert {handle.result(WAIT_S).outcome for handle in handles} == {"sent"}
        result = last.result(WAIT_S)
        assert (result.outcome, result.reason) == ("refused", "identity_mismatch")
    assert "last" not in driver.written


def test_a_stuck_line_does_not_stop_the_others(tmp_path: Path) -> None:
    """One account whose sends hang takes its own threads only."""
    stuck, free = Stuck(), Stuck()
    free.go.set()
    with Linewarden.open(tmp_path / "log.db") as warden:
        for account, driver in (("stuck", stuck), ("free", free)):
            warden.claim(account, account, driver=driver).result(WAIT_S)
            come_up(warden, account, ANNA)
        for number in range(60):
            warden.router.reply("stuck", f"1555010{number:04d}@s.whatsapp.net", "hello")
        assert stuck.full.wait(WAIT_S)
        result = warden.router.reply_sync("free", "15550109999@s.whatsapp.net", "hello")
        assert result.sent
        stuck.go.set()


def test_a_callable_message_is_checked_at_the_write(tmp_path: Path) -> None:
    """The driver's last look comes before a callable message too, plain or coroutine."""
    written: list[str] = []

    class Looking(Driver):
        def check(self, outgoing: Outgoing) -> None:
            written.append("looked")

    async def coroutine(_target: Driver) -> str:
        written.append("coroutine")
        return "m1"

    def plain(_target: Driver) -> str:
        written.append("plain")
        return "m2"

    with Linewarden.open(tmp_path / "log.db") as warden:
        warden.claim("line", "line", driver=Looking()).result(WAIT_S)
        come_up(warden, "line", ANNA)
        for message in (coroutine, plain):
            assert warden.router.reply_sync("line", "15550109999@s.whatsapp.net", message).sent
    assert written == ["looked", "coroutine", "looked", "plain"]
