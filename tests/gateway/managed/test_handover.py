"""One worker after another: who dials when, and what is deleted when."""

import signal
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.supervisor import process
from linewarden.gateway.supervisor.session import Session

from .conftest import Stage
from .strings import WAIT_S, Strings, connected, device, event, fails, wait_until

LOGGED_OUT = event("LoggedOut", OnConnect=False, Reason=2)
OPERATOR = {"by": "operator", "source": "operator"}


@pytest.mark.parametrize("state", ["well", "frozen"])
def test_a_successor_dials_when_the_old_worker_is_over(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """A restart by an operator: never two processes on one session, even if the old one hangs."""
    monkeypatch.setattr(process, "END_S", 1.0)
    stage.open()
    stage.manage()
    first = stage.live()
    if state == "frozen":
        first.kill(signal.SIGSTOP)
    stage.observe("restart_requested", **OPERATOR)
    held = stage.reply("through whom?")
    second = stage.live(number=1)
    assert second.beside == [] and first.gone.is_set()
    assert held.result(WAIT_S).outcome == "sent"
    claims = [told.stimulus["controller"] for told in stage.told(name="claimed")]
    assert held.result(0).via == claims[1] != claims[0]
    names = [told.name for told in stage.told()]
    closed, dialed = names.index("socket_closed"), len(names) - names[::-1].index("opened")
    assert closed < dialed
    assert not stage.told(name="worker_died"), "its end was asked for"


def test_a_successor_takes_over_a_gap(stage: Stage) -> None:
    """A restart while the ladder waits begins anew, with another controller and worker."""
    strings = stage.string()
    strings.at_connect = [fails("connection refused")]
    stage.open(initial_s=20, max_s=20)
    stage.manage()
    first = strings.puppet()
    stage.wait_state("reconnect_gap")
    strings.at_connect = [device(), connected()]
    stage.observe("restart_requested", **OPERATOR)
    assert stage.live(number=1).beside == [] and first.gone.is_set()
    [opened] = stage.told(name="opened")
    assert opened.stimulus["controller"] != first_controller(stage)


def test_a_restart_of_the_service_keeps_controller_and_session(stage: Stage) -> None:
    """The next service goes on with the controller of the log, in a worker of its own."""
    stage.session().write_bytes(b"the credentials")
    stage.open()
    stage.manage()
    first = stage.live()
    stage.end()
    assert first.gone.wait(1)
    assert first.named("stop"), "the client was stopped, and not only killed"
    stage.open()
    stage.manage()
    stage.live(number=1)
    assert len(stage.told(name="claimed")) == 1
    assert stage.session().read_bytes() == b"the credentials"
    sessions = {seen["session"] for puppet in stage.string().puppets for seen in puppet.seen[1:2]}
    assert sessions == {Session(str(stage.session())).name}


def test_a_stop_ends_the_worker_for_good(stage: Stage) -> None:
    """After a stop nothing dials, until an operator begins again; then another controller does."""
    stage.open()
    stage.manage()
    first = stage.live()
    stage.observe("stop_requested", **OPERATOR)
    assert first.gone.wait(10)
    stage.end()
    stage.open()
    stage.manage()
    stage.observe("service_started", holder="another")
    assert (stage.state(), len(stage.string().puppets)) == ("closed", 1)
    stage.observe("relink_requested", **OPERATOR)
    stage.live(number=1)


@pytest.mark.parametrize("end", ["rejected", "logged out", "pairing failed"])
def test_an_account_that_ended_has_no_worker(stage: Stage, end: str) -> None:
    """Whatever it ended by, nothing holds the session, and no client can wake up by itself."""
    raw = {"Tag": "failure"}
    stage.open()
    stage.manage(on_code=lambda *_: None)
    if end == "pairing failed":
        stage.string().at_connect = []
        puppet = stage.string().puppet()
        puppet.private("Qr", "https://wa.me/settings/linked_devices#one")
        puppet.private("LoginStatus", "timeout")
    else:
        puppet = stage.live()
        rejected = event("ConnectFailure", Reason=7, Message="", Raw=raw)
        puppet.play(rejected if end == "rejected" else LOGGED_OUT)
    assert puppet.gone.wait(5)
    assert stage.state() == ("logged_out" if end == "logged out" else "closed")


class Deletion:
    """Notes who lived when the session was deleted, and what was there before and after."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, strings: Strings, session: Path) -> None:
        self.alive: list[int] = []
        self.left: list[str] = []
        self.times = 0
        delete = Session.delete

        def noted(own: Session) -> Any:
            self.times += 1
            self.alive += [puppet.pid for puppet in strings.alive if not puppet.gone.wait(1)]
            failures = delete(own)
            self.left = [path.name for path in session.parent.glob(f"{session.name}*")]
            return failures

        monkeypatch.setattr(Session, "delete", noted)


@pytest.fixture
def deletion(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Deletion:
    for suffix in ("", "-wal", "-shm"):
        stage.session().with_name(stage.session().name + suffix).write_bytes(b"a secret")
    return Deletion(monkeypatch, stage.string(), stage.session())


def test_an_operator_relinks_after_a_logout(stage: Stage, deletion: Deletion) -> None:
    """A logout leaves the files; a relink deletes them, once, when the worker is over."""
    stage.open()
    stage.manage()
    first = stage.live()
    first.play(LOGGED_OUT)
    assert first.gone.wait(10)
    stage.wait_told("socket_closed")
    assert (stage.state(), deletion.times) == ("logged_out", 0)
    assert stage.session().read_bytes() == b"a secret"
    stage.observe("relink_requested", **OPERATOR)
    second = stage.live(number=1)
    assert (deletion.times, deletion.alive, deletion.left) == (1, [], [])
    assert second.beside == []
    names = [told.name for told in stage.told()]
    relinked = names[names.index("relink_requested") :]
    assert {"session_purged", "claimed"} <= set(relinked[: relinked.index("opened")])
    assert [told.stimulus["controller"] for told in stage.told(name="session_purged")] == [
        first_controller(stage)
    ]


def first_controller(stage: Stage) -> Any:
    return stage.told(name="claimed")[0].stimulus["controller"]


def test_a_policy_relinks_by_itself(stage: Stage, deletion: Deletion) -> None:
    """With `relink = auto` a logout deletes the session and the successor pairs anew."""
    stage.open(relink="auto")
    stage.manage()
    stage.live().play(LOGGED_OUT)
    stage.string().at_connect = []
    second = stage.string().puppet(1)
    second.private("Qr", "https://wa.me/settings/linked_devices#again")
    assert stage.wait_told("pairing_started")[0].state == "connecting"
    assert (deletion.times, deletion.alive, deletion.left) == (1, [], [])
    assert second.beside == []
    assert len(stage.told(name="claimed")) == 2


def test_what_cannot_be_deleted_does_not_stop_the_rest(stage: Stage, deletion: Deletion) -> None:
    """A file that can't be deleted is told of; the others go, and the account begins again."""
    wal = stage.session().with_name(stage.session().name + "-wal")
    wal.unlink()
    wal.mkdir()
    stage.open()
    stage.manage()
    stage.live().play(LOGGED_OUT)
    stage.wait_state("logged_out")
    stage.observe("relink_requested", **OPERATOR)
    stage.live(number=1)
    assert deletion.left == [wal.name]
    assert "-wal" in stage.wait_told("session_purged")[0].stimulus["detail"]


def test_a_session_that_stays_is_not_purged(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A database that can't be deleted is told of in words, and is not recorded as purged."""
    stage.session().write_bytes(b"a secret")
    monkeypatch.setattr(Session, "delete", lambda _: ["the session's database: PermissionError"])
    stage.open()
    stage.manage()
    stage.live().play(LOGGED_OUT)
    stage.wait_state("logged_out")
    stage.observe("relink_requested", **OPERATOR)
    wait_until(lambda: "could not be deleted: the session's database" in caplog.text)
    stage.end()
    assert not stage.told(name="session_purged")
    assert str(stage.folder) not in caplog.text


@pytest.mark.parametrize("cause", ["conflict", "death"])
def test_nothing_else_deletes_a_session(stage: Stage, deletion: Deletion, cause: str) -> None:
    """A conflict that an operator releases, or a death, is followed by the same session."""
    stage.open()
    stage.manage()
    first = stage.live()
    if cause == "conflict":
        first.play(event("StreamReplaced"))
        stage.wait_state("conflict")
        assert first.gone.wait(10)
        stage.observe("release_requested", **OPERATOR)
    else:
        first.kill()
    assert stage.live(number=1).beside == []
    wait_until(lambda: len(stage.told(name="identity_observed")) == 2)
    assert deletion.times == 0
    assert stage.session().read_bytes() == b"a secret"
