"""The socket beside the log: who may use it, how it comes and goes, and clients that hang."""

import asyncio
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway import commands
from linewarden.gateway.commands import CommandServer, command_of, hand_over
from linewarden.gateway.receipt import Receipt
from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import LinewardenError

from .commanding import RESTART, connected, line_up, types
from .scripted import Scripted, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def warden(path: Path) -> Iterator[Linewarden]:
    with line_up(path) as made:
        yield made


def test_only_the_user_may_open_the_socket(warden: Linewarden, path: Path) -> None:
    """The socket is a file that its user alone may use."""
    found = os.stat(f"{path}.control")
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_another_user_is_not_heard(
    warden: Linewarden, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gets to the socket as another user is told so, and nothing is recorded."""
    before = types(warden)
    monkeypatch.setattr(commands, "_peer_uid", lambda _channel: 4242)
    with pytest.raises(LinewardenError, match="user"):
        hand_over(path, command_of("main", "stop_requested"))
    assert types(warden) == before


def test_the_peer_is_who_the_kernel_says() -> None:
    """The user at the other end is this one, where this one connects."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert commands._peer_uid(ours) == os.geteuid()


def test_a_client_that_says_nothing_is_dropped(
    warden: Linewarden, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is closed after a while, and the others are served meanwhile."""
    monkeypatch.setattr(commands, "SPEAK_S", 0.05)
    with connected(path) as silent, connected(path) as slow:
        slow.sendall(b'{"account"')
        assert hand_over(path, command_of("main", "restart_requested")) is not None
        assert (silent.recv(100), slow.recv(100)) == (b"", b"")


def test_there_are_only_so_many_clients(warden: Linewarden, path: Path) -> None:
    """One more than eight is told to come again; when they are gone it is served."""
    with ExitStack() as crowd:
        many = [crowd.enter_context(connected(path)) for _ in range(commands.CLIENTS_MAX)]
        with pytest.raises(LinewardenError, match="too many") as caught:
            hand_over(path, command_of("main", "restart_requested"))
        assert caught.value.hint
        many[0].sendall(b"\n")
        assert many[0].recv(1000)
        assert many[0].recv(1000) == b""
        assert hand_over(path, command_of("main", "restart_requested")) is not None


@pytest.mark.parametrize("ends", [True, False])
def test_a_process_that_gives_no_answer(
    path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """A gateway that ends or hangs over a command is said to have done so, with what to do."""
    monkeypatch.setattr(commands, "SPEAK_S", 0.05)
    monkeypatch.setattr(commands, "ANSWER_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{path}.control")
        listener.listen()

        def over() -> None:
            listener.accept()[0].close()

        with ThreadPoolExecutor(1) as pool:
            if ends:
                pool.submit(over)
            with pytest.raises(LinewardenError, match="no answer") as caught:
                hand_over(path, command_of("main", "stop_requested"))
    assert "linewarden timeline" in caught.value.hint


def test_without_being_told_to_a_gateway_takes_no_commands(path: Path) -> None:
    """A gateway makes no socket beside its log where it was not opened with `commands`."""
    with opened(path, Scripted()):
        assert not os.path.lexists(f"{path}.control")


def test_nobody_listens(path: Path) -> None:
    """Without a socket, or with that of a dead process, there is nobody to hand a command to."""
    assert hand_over(path, command_of("main", "stop_requested")) is None
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{path}.control")
    assert hand_over(path, command_of("main", "stop_requested")) is None
    assert hand_over(path / "nowhere" / "log.db", command_of("main", "stop_requested")) is None


def test_the_socket_of_a_dead_process_is_replaced(path: Path) -> None:
    """What a kill has left is taken over, and an end leaves nothing beside the log."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{path}.control")
    with line_up(path):
        assert hand_over(path, command_of("main", "stop_requested")) is not None
    assert not os.path.lexists(f"{path}.control")
    assert hand_over(path, command_of("main", "stop_requested")) is None


def test_a_file_of_somebody_else_is_left_alone(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where something else bears the socket's name it stays, a warning says so, all else runs."""
    other = path.with_name("log.db.control")
    other.write_text("dear diary")
    with line_up(path):
        assert hand_over(path, command_of("main", "stop_requested")) is None
    assert other.read_text() == "dear diary"
    assert [one.levelname for one in caplog.records if "no commands" in one.message] == ["WARNING"]


def folders_held(folder: Path) -> int:
    """How many descriptors of this process are of a folder."""
    links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return sum(os.path.lexists(link) and os.readlink(link) == str(folder) for link in links)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no way to shorten a path")
def test_a_long_path_and_a_link_lead_to_the_same_socket(tmp_path: Path) -> None:
    """A path that no socket's address can hold is no hindrance, nor is a link to the log."""
    folder = tmp_path / ("f" * 120) / ("g" * 120)
    folder.mkdir(parents=True)
    path, link = folder / "log.db", tmp_path / "link.db"
    link.symlink_to(path)
    with line_up(path):
        assert hand_over(path, command_of("main", "relink_requested")) is not None
        assert hand_over(link, command_of("main", "stop_requested")) is not None
        assert folders_held(folder) == 1
    assert not os.path.lexists(f"{path}.control")
    assert folders_held(folder) == 0


def test_a_name_that_no_address_can_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One warning says that no commands are taken and what to do; everything else runs."""
    path = tmp_path / ("n" * 150 + ".db")
    with line_up(path):
        assert hand_over(path, command_of("main", "stop_requested")) is None
    (warning,) = [one.message for one in caplog.records if "no commands" in one.message]
    assert "shorter name" in warning


def test_an_end_does_not_wait_for_the_silent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that says nothing is dropped by an end, and one under way is still answered."""
    monkeypatch.setattr(commands, "END_S", 0.05)
    receipt, asked = Receipt(), asyncio.Event()

    def take(_account: str, _name: str, _fields: dict[str, Any]) -> Receipt:
        asked.set()
        return receipt

    async def run() -> None:
        server = CommandServer(path, take)
        await server.start()
        with connected(path) as silent, connected(path) as speaking:
            speaking.sendall(json.dumps(RESTART).encode() + b"\n")
            await asked.wait()
            loop = asyncio.get_running_loop()
            loop.call_soon(partial(receipt.tell, LinewardenError("it is ending", hint="wait")))
            await server.end()
            assert await asyncio.to_thread(silent.recv, 100) == b""
            assert b"it is ending" in await asyncio.to_thread(speaking.recv, 1000)
        await server.end()

    asyncio.run(run())
