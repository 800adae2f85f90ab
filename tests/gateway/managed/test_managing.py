"""`manage`: of one account once, in a service that runs already, and over a service that died."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from linewarden.eventstore import open_reader
from linewarden.gateway.commands import command_of, hand_over
from linewarden.gateway.supervisor.line_settings import LineSettings
from linewarden.gateway.supervisor.session import Session
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError, LinewardenError

from .conftest import Stage
from .strings import WAIT_S, Puppet, event, wait_until

SERVICE = """
import sys, threading
from linewarden.gateway.supervisor.session import Session
from linewarden.gateway.warden import Linewarden
path, session, *worker = sys.argv[1:]
Session.delete = lambda _: threading.Event().wait()  # as on a disk that hangs
with Linewarden.open(path, commands=True) as warden:
    warden.manage("main", session, worker=worker)
    sys.stdin.read()
"""


@pytest.fixture
def earlier(stage: Stage) -> Iterator["subprocess.Popen[bytes]"]:
    """A service in a process of its own, whose account is live."""
    stage.session().write_bytes(b"the credentials")
    given = [str(stage.path), str(stage.session()), *stage.string().command]
    command = [sys.executable, "-c", SERVICE, *given]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as service:
        try:
            stage.string().puppet()
            stage._reader = open_reader(stage.path)
            stage.wait_state("connected")
            yield service
        finally:
            service.kill()


def die(service: "subprocess.Popen[bytes]", puppet: Puppet) -> None:
    """The service and its worker, at the same moment."""
    service.kill()
    puppet.kill()
    service.wait(WAIT_S)
    assert puppet.gone.wait(WAIT_S)


def test_a_restart_that_a_death_cut_off_goes_on(
    stage: Stage, earlier: "subprocess.Popen[bytes]"
) -> None:
    """The next service, which manages the account when it runs already, claims the successor."""
    first = stage.string().puppet()
    first.kill(signal.SIGSTOP)  # its end takes its time
    assert hand_over(stage.path, command_of("main", "restart_requested")) is not None
    die(earlier, first)
    stage.open()
    stage.manage()
    assert stage.live(number=1).beside == []
    claims = [told.stimulus["controller"] for told in stage.told(name="claimed")]
    opened = [told.stimulus["controller"] for told in stage.told(name="opened")]
    assert opened == claims and len(set(claims)) == 2
    assert stage.reply("who is it now?").result(WAIT_S).via == claims[1]
    assert stage.session().read_bytes() == b"the credentials"


def test_a_purge_that_a_death_cut_off_goes_on(
    stage: Stage, earlier: "subprocess.Popen[bytes]"
) -> None:
    """The next service deletes the session, once, before the successor dials."""
    first = stage.string().puppet()
    first.play(event("LoggedOut", OnConnect=False, Reason=2))
    assert first.gone.wait(WAIT_S)
    stage.wait_told("socket_closed")
    assert hand_over(stage.path, command_of("main", "relink_requested")) is not None
    die(earlier, first)
    assert stage.session().read_bytes() == b"the credentials"
    stage.open()
    stage.manage()
    assert stage.live(number=1).beside == []
    assert stage.session().read_bytes() == b"", "it was prepared anew"
    assert len(stage.told(name="session_purged")) == 1
    names = [told.name for told in stage.told()]
    assert names.index("session_purged") < len(names) - names[::-1].index("opened")


def test_a_connection_that_a_death_cut_off_goes_on(
    stage: Stage, earlier: "subprocess.Popen[bytes]"
) -> None:
    """The controller of the log stays the account's, with another socket and worker."""
    die(earlier, stage.string().puppet())
    stage.open()
    stage.manage()
    assert stage.live(number=1).beside == []
    assert len(stage.told(name="claimed")) == 1
    assert len({told.stimulus["controller"] for told in stage.told(name="opened")}) == 1
    assert stage.reply("still me?").result(WAIT_S).outcome == "sent"
    assert stage.session().read_bytes() == b"the credentials"


@pytest.mark.parametrize("moment", ["before", "inside"])
def test_an_account_is_managed_once(stage: Stage, moment: str) -> None:
    """A second `manage` is refused and changes nothing of the first, neither worker nor policy."""
    warden = Linewarden.open(stage.path, policy={"resend_s": 9})
    session, other = str(stage.session()), str(stage.session("other"))
    worker = stage.string().command

    def manage_twice() -> None:
        settings = LineSettings(session=session, policy={"silence_s": 70})
        line = warden.manage("main", settings, worker=worker)
        again = LineSettings(session=other, policy={"silence_s": 80, "relink": "auto"})
        with pytest.raises(InputError, match="managed already") as caught:
            warden.manage("main", again, worker=worker)
        assert caught.value.hint
        assert line.settings.session == session

    if moment == "before":
        manage_twice()
    with warden:
        if moment == "inside":
            manage_twice()
        puppet = stage.string().puppet()
        if moment == "inside":
            # A policy counts from a claim on.
            operator = {"by": "operator", "source": "operator"}
            warden.observe("main", "restart_requested", **operator).result(WAIT_S)
            puppet = stage.string().puppet(1)
        policy = warden.machine("main").policy
    assert (policy.silence_s, policy.relink, policy.resend_s) == (70, "operator", 9)
    assert puppet.named("connect")[0]["session"] == Session(session).name
    assert puppet.beside == []
    assert not Path(other).exists()


def test_a_command_for_nobody_is_refused(stage: Stage) -> None:
    """A name that no account has makes none: the channel says so and records nothing."""
    with Linewarden.open(stage.path, commands=True) as warden:
        warden.manage("main", str(stage.session()), worker=stage.string().command)
        wait_until(lambda: warden.projections.live("main"))
        for stimulus in ("stop_requested", "relink_requested"):
            with pytest.raises(LinewardenError, match="no such account") as caught:
                hand_over(stage.path, command_of("mian", stimulus))
            assert caught.value.hint
        assert warden.projections.account("mian") is None
        assert not list(warden.projections.reader.read_stream("mian"))
        assert hand_over(stage.path, command_of("main", "restart_requested")) is not None
        stage.string().puppet(1)
