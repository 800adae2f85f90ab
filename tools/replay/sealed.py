"""The seal of a replay: while it holds, no effect can be performed.

What could perform one, the gateway with its drivers and the WhatsApp library, can't be imported;
no socket can be made or used, and no process started. The seal is the process's own promise against
mistakes, not a prison: nothing of a bundle is ever executed, so there is nobody to lock up.
"""

from __future__ import annotations

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


class Sealed(ImportError):
    """A replay performs no effects, so what performs them can't be imported in it."""


class EffectRefused(RuntimeError):
    """A replay performs no effects: it opens no sockets and starts no processes."""


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


def _watch(event: str, _arguments: tuple[Any, ...]) -> None:
    if event.startswith(_ACTS) and is_sealed():
        raise EffectRefused(f"{event}: {EffectRefused.__doc__}")


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
