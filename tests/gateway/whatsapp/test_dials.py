"""Real dials of the real library that fail: in a process of their own, because Go may end it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.whatsapp.events import dial_failure

WITHIN_S = 60

PRELUDE = """
import asyncio, json, os, socket, sys, threading, warnings
warnings.simplefilter("ignore")
from linewarden.gateway.whatsapp.adapter import attach, load_neonize
load_neonize()
from neonize._binder import ProxySettings
from neonize.aioze.client import NewAClient
from neonize.client import NewClient
from neonize.exc import NeonizeError

class Recorder:
    projections = None
    seen = []
    def observe(self, account, name, **fields):
        self.seen.append([name, fields])
    def claim(self, account, controller=None, **how):
        return type("Receipt", (), {"controller": "A"})

def proxy(answer):
    server = socket.create_server(("127.0.0.1", 0))
    def serve():
        while True:
            caller, _ = server.accept()
            caller.recv(4096)
            caller.sendall(answer)
            caller.close()
    if answer is None:
        server.close()
    else:
        threading.Thread(target=serve, daemon=True).start()
    return ProxySettings("http://127.0.0.1:%d" % server.getsockname()[1])

def refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return ProxySettings("http://127.0.0.1:%d" % taken.getsockname()[1])

def report(raised, client):
    # A client that is alive never lets the interpreter end.
    print(json.dumps({"raised": raised, "seen": Recorder.seen}), flush=True)
    os._exit(0)
"""

SYNC = """
client = NewClient("session.db")
attachment = attach(Recorder(), client, "main")
raised = []
unwilling = b"HTTP/1.1 407 Proxy Authentication Required\\r\\n\\r\\n"
for settings in (refused(), proxy(unwilling), ProxySettings("ftp://127.0.0.1")):
    try:
        client.connect(settings)
    except NeonizeError as error:
        raised.append(str(error))
report(raised, client)
"""

ASYNC = """
async def main():
    client = NewAClient("session.db")
    attachment = attach(Recorder(), client, "main")
    before = dict(client.event.list_func)
    task = await client.connect(refused())
    assert client.event.list_func == before
    try:
        await task
    except NeonizeError as error:
        report([str(error)], client)
asyncio.run(main())
"""


def run(script: str, folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_real_dial_that_fails_is_recorded(tmp_path: Path) -> None:
    """A refused, an unwilling and an impossible proxy: each is raised as ever, and told why."""
    result = run(SYNC, tmp_path)
    assert [name for name, _ in result["seen"]] == ["dial_failed"] * 3
    fields = [fields for _, fields in result["seen"]]
    assert [one["code"] for one in fields] == ["ECONNREFUSED", "PROXY", "PROXY"]
    assert "connection refused" in fields[0]["detail"]
    assert "connection refused" in result["raised"][0] and len(result["raised"]) == 3
    assert all(one["source"] == "whatsmeow" and one["controller"] == "A" for one in fields)


def test_a_real_dial_of_an_async_client_that_fails_is_recorded(tmp_path: Path) -> None:
    """The failure that surfaces in the task of `connect()` is recorded and still surfaces there."""
    result = run(ASYNC, tmp_path)
    assert [(name, fields["code"]) for name, fields in result["seen"]] == [
        ("dial_failed", "ECONNREFUSED")
    ]
    assert "connection refused" in result["raised"][0]


DIAL = "failed to dial whatsapp web websocket: failed to WebSocket dial: "


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (DIAL + "expected handshake response status code 101 but got 503", "HTTP_503"),
        (DIAL + "expected handshake response status code 101 but got 403", "HTTP_403"),
        (DIAL + "dial tcp: lookup web.whatsapp.com on 127.0.0.53:53: no such host", "ENOTFOUND"),
        (DIAL + "dial tcp: lookup x: Temporary failure in name resolution", "ENOTFOUND"),
        (DIAL + "read tcp 10.0.0.2:1->10.0.0.3:443: connection reset by peer", "ECONNRESET"),
        (DIAL + "dial tcp 10.0.0.3:443: connect: network is unreachable", "ENETUNREACH"),
        (DIAL + "context deadline exceeded", "ETIMEDOUT"),
        ("timed out waiting for handshake response", "ETIMEDOUT"),
        (DIAL + "tls: failed to verify certificate: x509: unknown authority", "TLS"),
        (DIAL + "EOF", "EOF"),
        ("something new", "UNKNOWN"),
    ],
)
def test_why_a_dial_failed_is_told_by_its_text(text: str, code: str) -> None:
    """The code is a word and never a number: an HTTP status is no failure of WhatsApp's."""
    name, fields = dial_failure(RuntimeError(text), opened=False)
    assert (name, fields["code"]) == ("dial_failed", code)
    assert "failed to dial" not in fields["detail"]


def test_a_failure_that_the_library_cannot_express_is_a_close() -> None:
    """An unmapped code ends the library's pump: that is a close whose code nobody knows."""
    error = RuntimeError("proto: required field neonize.ConnectFailure.Reason not set")
    for opened in (False, True):
        name, fields = dial_failure(error, opened=opened)
        assert (name, fields["code"]) == ("closed", "UNMAPPED")


def test_an_end_after_an_opening_is_a_close() -> None:
    """A `connect()` that raises after it was connected lost a connection and dialed none."""
    assert dial_failure(RuntimeError("it broke"), opened=True) == ("closed", {"detail": "it broke"})
