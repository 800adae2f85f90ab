"""What `linewarden doctor` looks at: this machine, the log and the sessions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .doctor_log import (
    look_at_clock,
    look_at_disks,
    look_at_files,
    look_at_log,
    look_at_owner,
    synchronised,
)
from .doctor_machine import (
    Finding,
    look_at_certificates,
    look_at_ffmpeg,
    look_at_libmagic,
    look_at_neonize,
    look_at_sqlite,
    look_at_system,
)


def examine(
    log: str, sessions: Sequence[str], now: int, environ: Mapping[str, str]
) -> list[Finding]:
    """Look at everything; `log` and `sessions` are paths from the root, `now` is UTC in ns."""
    found, newest = look_at_log(log)
    return [
        look_at_system(),
        look_at_libmagic(),
        look_at_neonize(environ),
        look_at_certificates(environ),
        look_at_ffmpeg(),
        look_at_sqlite(),
        found,
        look_at_owner(log),
        *look_at_files(log, sessions),
        look_at_clock(now, newest, synchronised()),
        look_at_disks({os.path.dirname(path) for path in (log, *sessions)}),
    ]
