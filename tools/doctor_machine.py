"""What `linewarden doctor` looks at on this machine: all that a worker needs, and SQLite."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Literal

import msgspec

from ..eventstore.sqlite_connection import connect_reading
from ..gateway.redaction import redact
from ..gateway.supervisor.line import WORKER
from ..gateway.worker.check import GLIBC_MIN, IMAGE, glibc, trusted_roots, worker_environment

CHECK_S = 60.0
"""How long neonize may take to be imported, which is done in 0.4 s on a machine at rest."""

SQLITE_MIN = (3, 38)
"""The first that has what the log's schema is written in: strict tables, and `->>`."""

Level = Literal["ok", "warn", "bad"]


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was found, and what to do about it."""

    name: str
    level: Level
    found: str
    advice: str = ""


def look_at_system() -> Finding:
    """Python, the machine and its C library."""
    version = glibc()
    library = "glibc " + ".".join(map(str, version)) if version else "no glibc"
    found = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Finding("system", "ok", found)
    if version is None or version < GLIBC_MIN:
        return Finding(
            "system",
            "bad",
            f"{found}, {library}",
            f"neonize needs glibc {'.'.join(map(str, GLIBC_MIN))}: Debian 12, Ubuntu 24.04 or "
            f"later, or the image {IMAGE}",
        )
    return Finding("system", "ok", f"{found}, {library}")


def look_at_libmagic() -> Finding:
    """The library that neonize needs at import: the system's, or the one that pip brought."""
    if ctypes.util.find_library("magic"):
        return Finding("libmagic", "ok", "the system's")
    if importlib.util.find_spec("pylibmagic"):
        return Finding("libmagic", "ok", "pylibmagic's")
    return Finding("libmagic", "bad", "missing", "apt-get install libmagic1")


def look_at_neonize(environ: Mapping[str, str]) -> Finding:
    """Whether a worker can import neonize; tried in a process of its own, which it may end."""
    try:
        done = subprocess.run(
            [*WORKER, "--check"],
            env=worker_environment(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHECK_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding("neonize", "bad", f"not imported within {CHECK_S:.0f} s", "free the machine")
    except OSError as error:
        found = f"no process can be started: {error.strerror}"
        return Finding("neonize", "bad", found, "look at this user's limits and at /dev/null")
    if done.returncode == 0:
        return Finding("neonize", "ok", importlib.metadata.version("neonize"))
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return Finding("neonize", "bad", f"its import ends the process by {name}", "free memory")
    # What the library prints by itself stands above the message and the hint.
    *_, message, hint = ["", "", *done.stderr.splitlines()]
    if done.returncode != 1 or "Traceback" in done.stderr:
        hint = "run " + shlex.join([*WORKER, "--check"])
        return Finding("neonize", "bad", "a worker can't start", hint)
    return Finding("neonize", "bad", redact(message), hint)


def look_at_certificates(environ: Mapping[str, str]) -> Finding:
    """Without roots of trust every dial fails, because no server can prove who it is."""
    roots = trusted_roots(environ)
    if roots is not None:
        return Finding("certificates", "ok", roots)
    if "SSL_CERT_FILE" in worker_environment(environ):
        return Finding("certificates", "ok", "the system has none: workers use certifi's")
    return Finding(
        "certificates", "bad", "the system trusts nobody", "apt-get install ca-certificates"
    )


def look_at_ffmpeg() -> Finding:
    """Only what neonize converts needs it, and text is not converted."""
    if shutil.which("ffmpeg") and shutil.which("ffprobe"):
        return Finding("ffmpeg", "ok", "on the path")
    found = "not on the path: stickers, voice notes and videos can't be made, text needs none"
    return Finding("ffmpeg", "ok", found, "apt-get install ffmpeg, where a bot sends such")


def look_at_sqlite() -> Finding:
    """SQLite as Python has it, and whether it has the race of 3.7.0 to 3.51.2."""
    # The log may not exist yet; an empty one tells the version as well.
    connection = connect_reading(os.devnull, immutable=True)
    try:
        (text,) = connection.execute("SELECT sqlite_version()").fetchone()
    finally:
        connection.close()
    version = tuple(map(int, text.split(".")))
    if version < SQLITE_MIN:
        return Finding("sqlite", "bad", f"{text} is too old", f"use the image {IMAGE}")
    if has_reset_race(version):
        return Finding(
            "sqlite",
            "ok",
            f"{text}: a checkpoint and a writer at once can damage a file; linewarden never does "
            "both",
            "let no other program write to the log: sqlite3 -readonly to look at it",
        )
    return Finding("sqlite", "ok", text)


def has_reset_race(version: tuple[int, ...]) -> bool:
    """Whether a reset of the write-ahead log can lose a commit; fixed in three branches."""
    return not (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )
