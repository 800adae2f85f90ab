"""`python -m linewarden.gateway.worker`: a process of its own for one account's connection.

The bound Go library can abort a process, and a client that pairs can't be stopped. So the service
keeps each connection in a process that it can kill. The worker reads orders from one pipe and
tells what it sees on another; when the pipe ends, so does the worker.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import traceback
from typing import BinaryIO

from ...statemachine.errors import LinewardenError
from ..clock import SystemClock
from .check import check
from .client import EXIT_FAULT, Client, Make
from .protocol import Ask, Begin, Dial, End, Recorded, Show, Write, order_of
from .voice import Voice

PR_SET_PDEATHSIG = 1

END_S = 1.0
"""How long an end waits for the client to stop; the process ends in any case."""


def main(argv: list[str], make_client: Make | None = None) -> None:
    """Serve the service at the other end of the pipes `argv`, or with `--check` only look."""
    if argv == ["--check"]:
        sys.exit(_look())
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A terminal and a service manager signal every process; the service ends its workers.
        signal.signal(stop, signal.SIG_IGN)
    _die_with_the_service()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the keys of the session
    os.umask(0o077)  # the session is nobody else's to read
    orders, voice = int(argv[0]), Voice(int(argv[1]), SystemClock())
    code = EXIT_FAULT
    try:
        with os.fdopen(orders, "rb") as lines:
            _serve(lines, voice, make_client)
        code = 0
    except Exception:  # noqa: BLE001 - whatever it was: it is printed, and ends the process
        traceback.print_exc()
    finally:
        os._exit(code)  # a client that is alive lets no interpreter end


def _die_with_the_service() -> None:
    """Have Linux kill this process when the service's loop ends; the pipe's end does it elsewhere.

    A worker that hangs in the library doesn't read its pipe, and would keep the session open.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _look() -> int:
    try:
        check()
    except LinewardenError as error:
        sys.stderr.write(f"{error.message}\n")
        if error.hint:
            sys.stderr.write(f"{error.hint}\n")
        return 1
    return 0


def _serve(lines: BinaryIO, voice: Voice, make: Make | None) -> None:
    first = lines.readline()
    if not first:
        return
    begin = order_of(first)
    assert isinstance(begin, Begin)
    client = Client(begin, voice, make)
    for line in lines:
        match order_of(line):
            case Dial() as dial:
                client.dial(dial)
            case Recorded() as recorded:
                voice.recorded(recorded)
            case Write() as write:
                client.write(write)
            case Show() as show:
                client.show(show)
            case Ask() as ask:
                client.ask(ask)
            case End():
                _end(client, voice)
                return


def _end(client: Client, voice: Voice) -> None:
    stopping = threading.Thread(target=client.stop, name="linewarden-stop", daemon=True)
    stopping.start()
    stopping.join(END_S)
    voice.finish(END_S)


if __name__ == "__main__":
    main(sys.argv[1:])
