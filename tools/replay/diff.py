"""Two versions of the code on the same stimuli, each in a process of its own."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ...eventstore.bundle_format import Bundle
from ...eventstore.bundle_writing import write_bundle
from ...statemachine.errors import InputError, LinewardenError
from . import trace
from .divergence import Replayed, compare_traces
from .telling import harmless

TRACE_S_MAX = 600
"""A side that has printed no whole trace by then is ended."""

_PARTS = ("statemachine/lifecycle.py", "eventstore", "tools/replay/trace.py")


class Compared(msgspec.Struct, frozen=True):
    """This code against another: the other's decisions stand as the recorded ones."""

    code: trace.Code
    against: trace.Code
    replayed: Replayed


def diff(bundle: Bundle, against: str, closed: bool = False) -> Compared:
    """Compare what this code decides with what `against` does: a folder or a git ref.

    Code of the other side is run, so it has to be code that you would run.
    """
    with (
        tempfile.TemporaryDirectory(prefix="linewarden-") as folder,
        _package(_own_package()) as here,
        _other_side(against) as there,
    ):
        path = os.path.join(folder, "this.incident.jsonl.gz")
        write_bundle(path, bundle.header, bundle.records, bundle.trailer)
        asked = [path, *(["--closed"] if closed else [])]
        ours, our_decisions = trace.read(_printed("this side", here, asked))
        theirs, their_decisions = trace.read(_printed("the other side", there, asked))
    found = compare_traces(their_decisions, our_decisions, len(bundle.records))
    return Compared(ours, theirs, found)


def _printed(side: str, importable: Path, asked: list[str]) -> list[bytes]:
    """The lines that a side prints; `importable` is the folder that its package lies in."""
    module = f"{__name__.split('.', 1)[0]}.tools.replay.trace"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *asked],
            env={
                **os.environ,
                "PYTHONPATH": str(importable),
                "PYTHONDONTWRITEBYTECODE": "1",  # the other side's folder stays as it is
            },
            capture_output=True,
            timeout=TRACE_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LinewardenError(
            f"{side} printed no whole trace within {TRACE_S_MAX} s",
            hint="take a shorter range of the incident",
        ) from None
    if done.returncode != 0:
        raise LinewardenError(
            f"{side} can't replay: " + (_fault(done.stderr) or f"exit code {done.returncode}"),
            hint="the other version must have `linewarden replay` and read this bundle",
        )
    return done.stdout.splitlines()


def _fault(told: bytes) -> str:
    """The error that a side ended with, and where in the package that was."""
    text = told.decode(errors="replace")
    rows = [row for row in text.splitlines() if row.strip() and not row.startswith("  hint: ")]
    places = re.findall(r'File ".*linewarden/(.+\.py)", line (\d+)', text)
    where = f" ({':'.join(places[-1])})" if places else ""
    return harmless(rows[-1].removeprefix("linewarden: ")) + where if rows else ""


def _own_package() -> Path:
    return Path(__file__).resolve().parents[2]


@contextmanager
def _package(folder: Path) -> Iterator[Path]:
    """A folder in which a checkout is importable, whatever the checkout is called."""
    name = __name__.split(".", 1)[0]
    with tempfile.TemporaryDirectory(prefix="linewarden-") as made:
        (Path(made) / name).symlink_to(folder, target_is_directory=True)
        yield Path(made)


@contextmanager
def _other_side(against: str) -> Iterator[Path]:
    """Where the other package can be imported from."""
    if not against.strip():
        raise InputError("--against is empty", hint="give a folder or a git ref")
    path = Path(against)
    if path.is_dir():
        name = __name__.split(".", 1)[0]
        for folder in (path, path / name):
            if _is_package(folder):
                with _package(folder.resolve()) as found:
                    yield found
                return
        raise InputError(
            "the folder holds no linewarden that can replay",
            hint="give a checkout, or a folder that linewarden is installed in",
        )
    with tempfile.TemporaryDirectory(prefix="linewarden-") as made:
        _check_out(against, Path(made))
        with _package(Path(made)) as found:
            yield found


def _is_package(folder: Path) -> bool:
    return all((folder / part).exists() for part in _PARTS)


def _check_out(ref: str, folder: Path) -> None:
    """Lay the tree of a git ref into a folder; the working tree is not touched."""
    for around in (Path.cwd(), _own_package()):
        top = _git(around, "rev-parse", "--show-toplevel").decode().strip()
        commit = _git(around, "rev-parse", "--verify", "--end-of-options", ref + "^{commit}")
        if top and commit:
            tree = _git(Path(top), "archive", "--format=tar", commit.decode().strip())
            with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
                archive.extractall(folder, filter="data")
            if _is_package(folder):
                return
            raise InputError(
                "at that ref there is no linewarden that can replay",
                hint="take a ref since `linewarden replay` exists",
            )
    raise InputError(
        "that is neither a folder nor a git ref of the repository around",
        hint="give the path of a checkout, or a branch, a tag or a commit",
    )


def _git(folder: Path, *asked: str) -> bytes:
    """What git prints, nothing where it fails or is missing."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *asked], capture_output=True, check=False)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""
