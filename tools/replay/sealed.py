"""The seal of a replay: while it holds, no effect can be performed.

What could perform one, the gateway with its drivers and the WhatsApp library, can't be imported;
no socket can be made or used, and no process started. While a decision runs, nothing can be written
to a file, deleted or killed either. The seal is the process's own promise against mistakes, not a
prison: nothing of a bundle is ever executed, so there is nobody to lock up.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import click

PACKAGE = __name__.split(".tools.", maxsplit=1)[0]
_GATEWAY = f"{PACKAGE}.gateway"
FORBIDDEN = (_GATEWAY, "neonize")
"""Packages that a replay must not hold: those that can reach the world of WhatsApp."""

_ACTS = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "pty.spawn",
)  # fmt: skip
"""Beginnings of the audit events (PEP 578) by which a process reaches others."""

_DEEDS = (
    "os.chmod", "os.chown", "os.kill", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
    "os.symlink", "os.truncate", "os.utime", "shutil.", "sqlite3.connect",
)  # fmt: skip
"""Beginnings of those by which it changes files or ends processes; commands write what they found,
so these are refused in decisions only."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

deciding = False
"""Whether code under trial decides just now."""


class Sealed(ImportError):
    """A replay performs no effects, so what performs them can't be imported in it."""


class EffectRefused(PermissionError):
    """A replay performs no effects: it reaches nobody, and while it decides it changes no file.

    As an error of the system it does not disturb an import, which goes on where it can't cache.
    """


class _Finder(MetaPathFinder):
    """Stands before all other finders and refuses what a replay must not hold."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _is_forbidden(name):
            raise Sealed(f"{name}: {Sealed.__doc__}", name=name)
        return None


_FINDER = _Finder()
_watched = False


def _is_forbidden(name: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in FORBIDDEN)


def is_sealed() -> bool:
    """Whether the seal holds in this process."""
    return _FINDER in sys.meta_path


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    acts = event.startswith(_ACTS) or (deciding and _changes(event, arguments))
    if acts and is_sealed():
        raise EffectRefused(f"{event}: a replay performs no effects")


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a process changes a file by this, or ends another."""
    if event == "open":  # its arguments are the path, the mode and the flags
        return bool(arguments[2] & _WRITING)
    return event.startswith(_DEEDS)


@contextmanager
def sealed() -> Iterator[None]:
    """Hold the seal; afterwards everything is as it was, for tests that share a process."""
    if is_sealed():
        yield
        return
    removed = _close()
    try:
        yield
    finally:
        sys.meta_path.remove(_FINDER)
        sys.modules.update(removed)
        if _GATEWAY in removed:
            sys.modules[PACKAGE].__dict__["gateway"] = removed[_GATEWAY]


def seal() -> None:
    """Hold the seal until the end of the command, or of the process where there is none."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.with_resource(sealed())
    elif not is_sealed():
        _close()


def _close() -> dict[str, ModuleType]:
    """Close the doors; what had been let in before is forgotten, and given back."""
    global _watched  # noqa: PLW0603 - an audit hook can't be taken away, so it is added once
    if not _watched:
        sys.addaudithook(_watch)
        _watched = True
    removed = {name: module for name, module in sys.modules.items() if _is_forbidden(name)}
    for name in removed:
        del sys.modules[name]
    sys.modules[PACKAGE].__dict__.pop("gateway", None)
    sys.meta_path.insert(0, _FINDER)
    return removed
