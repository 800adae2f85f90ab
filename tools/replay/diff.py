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
    """This code against another: the other's decisions stand as the recorded ones.

    `here` and `there` say which code each is: a folder, or a commit of a repository. `hint` says
    where that may not be what was meant.
    """

    here: str
    there: str
    code: trace.Code
    against: trace.Code
    replayed: Replayed
    hint: str | None = None


def diff(bundle: Bundle, against: str, closed: bool = False) -> Compared:
    """Compare what this code decides with what `against` does: a folder or a git ref.

    Code of the other side is run, so it has to be code that you would run.
    """
    with (
        tempfile.TemporaryDirectory(prefix="linewarden-") as folder,
        _package(_own_package()) as ours_at,
        _other_side(against) as (theirs_at, there),
    ):
        path = os.path.join(folder, "this.incident.jsonl.gz")
        write_bundle(path, bundle.header, bundle.records, bundle.trailer)
        asked = [path, *(["--closed"] if closed else [])]
        ours, our_decisions = trace.read(_printed("this side", ours_at, asked))
        theirs, their_decisions = trace.read(_printed("the other side", theirs_at, asked))
    found = compare_traces(their_decisions, our_decisions, len(bundle.records))
    here = str(_own_package())
    return Compared(here, there, ours, theirs, found, _hint(here, there))


def _hint(here: str, there: str) -> str | None:
    """What to know where the code that was compared may not be the code that was meant."""
    if here == there:
        return "both sides are the same folder"
    cwd = Path.cwd()
    around = next((str(one) for one in (cwd, *cwd.parents) if _is_package(one)), here)
    if around in (here, there):
        return None
    return f"the code in {around} was not compared; for that, give it to --against or install it"


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
def _other_side(against: str) -> Iterator[tuple[Path, str]]:
    """Where the other package can be imported from, and which code that is."""
    if not against.strip():
        raise InputError("--against is empty", hint="give a folder or a git ref")
    path = Path(against)
    if path.is_dir():
        name = __name__.split(".", 1)[0]
        for folder in (path, path / name):
            if _is_package(folder):
                with _package(folder.resolve()) as found:
                    yield found, str(folder.resolve())
                return
        raise InputError(
            "the folder holds no linewarden that can replay",
            hint="give a checkout, or a folder that linewarden is installed in",
        )
    with tempfile.TemporaryDirectory(prefix="linewarden-") as made:
        checkout, there = _checked_out(against, Path(made))
        with _package(checkout) as found:
            yield found, there


def _is_package(folder: Path) -> bool:
    return all((folder / part).exists() for part in _PARTS)


def _checked_out(ref: str, folder: Path) -> tuple[Path, str]:
    """Lay the tree of a git ref out below a folder; return where, and which commit that is.

    The working tree is not touched. What the repository around has by that name may be no
    linewarden: then it is one of linewarden's own.
    """
    known = False
    for number, around in enumerate((Path.cwd(), _own_package())):
        top = _git(around, "rev-parse", "--show-toplevel")
        commit = _git(around, "rev-parse", "--verify", "--end-of-options", ref + "^{commit}")
        if not (top and commit):
            continue
        known = True
        repository, checkout = os.fsdecode(top).rstrip("\n"), folder / str(number)
        tree = _git(Path(repository), "archive", "--format=tar", commit.decode().strip())
        try:
            with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
                archive.extractall(checkout, filter="data")
        except tarfile.TarError:  # an empty tree, or one that is no linewarden's for sure
            continue
        if _is_package(checkout):
            return checkout, f"{commit.decode()[:12]} of {repository}"
    if known:
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
