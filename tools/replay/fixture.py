"""Incidents kept as tests: a bundle, what was accepted of it, and how both are judged.

A fixture is a file `NAME.incident.jsonl.gz`. It holds when today's code decides every record as it
was decided then. Where a difference was reviewed and is intended, `accept` writes it down in
`NAME.accepted.json` beside it, and then exactly these differences are expected, no more, no fewer.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec

from ...eventstore.bundle import BadBundle, FutureSchema, read_bundle, write_bundle
from ...statemachine.errors import InputError, LinewardenError
from .divergence import Divergence, Replayed
from .replay import replay
from .telling import tell_one

SUFFIX = ".incident.jsonl.gz"


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reviewed difference: who accepted it, when (UTC) and why, of which bundle (its chain)."""

    reason: str
    by: str
    at: str
    build: str
    chain: str
    divergences: list[Divergence]


class Judged(msgspec.Struct, frozen=True):
    """What became of a fixture; `verdict` is the exit code of `linewarden replay` for it alone."""

    path: str
    verdict: int
    found: list[str]
    replayed: Replayed | None = None


def accepted_beside(path: str | os.PathLike[str]) -> Path:
    """Where the accepted differences of a fixture stand."""
    name = os.path.basename(path).removesuffix(".gz").removesuffix(".jsonl")
    return Path(path).with_name(name.removesuffix(".incident") + ".accepted.json")


def read_accepted(path: str | os.PathLike[str], chain: str) -> list[Divergence]:
    """What was accepted of a fixture, nothing where there is no such file."""
    beside = accepted_beside(path)
    try:
        accepted = msgspec.json.decode(beside.read_bytes(), type=Accepted)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError):
        raise InputError(
            f"{beside} can't be read", hint="write it anew with `linewarden accept`"
        ) from None
    if accepted.chain != chain:
        raise InputError(
            f"{beside} was written for another bundle", hint="accept this one, or delete that file"
        )
    return accepted.divergences


def differences(path: str | os.PathLike[str]) -> list[str]:
    """Where today's code decides otherwise than the fixture expects, in words for people."""
    return judge(path).found


def judge(path: str | os.PathLike[str]) -> Judged:
    """Replay a fixture and compare with what is accepted of it; raises for a bad bundle."""
    bundle = read_bundle(path)
    replayed = replay(bundle)
    accepted = read_accepted(path, bundle.trailer.head.chain)
    # As they would be read back: a divergence holds plain data, with tuples nowhere.
    found = [tell_one(one) for one in replayed.divergences if one not in accepted]
    found += [
        "accepted, but it does not happen any more: " + tell_one(one)
        for one in accepted
        if one not in replayed.divergences
    ]
    schema = any(one.kind == "schema" for one in replayed.divergences)
    return Judged(os.fspath(path), (3 if schema else 1) if found else 0, found, replayed)


def judge_all(folder: str | os.PathLike[str]) -> list[Judged]:
    """Judge every fixture below a folder, in the order of their paths."""
    paths = sorted(Path(folder).rglob("*" + SUFFIX))
    if not paths:
        raise InputError("there is no incident in that folder", hint=f"their names end in {SUFFIX}")
    return [_judged(path) for path in paths]


def _judged(path: Path) -> Judged:
    try:
        return judge(path)
    except FutureSchema as error:
        return Judged(str(path), 3, [str(error)])
    except (BadBundle, LinewardenError) as error:
        return Judged(str(path), 2, [str(error)])


def accept(path: str | os.PathLike[str], reason: str, by: str, at: str, build: str) -> Accepted:
    """Write down that the differences of a fixture are intended; returns what was written."""
    if not reason.strip():
        raise InputError("a change is accepted for a reason", hint="--reason 'why it is right now'")
    bundle = read_bundle(path)
    divergences = replay(bundle).divergences
    if not divergences:
        raise InputError(
            "there is nothing to accept: the incident replays as it was recorded",
            hint=f"delete {accepted_beside(path).name} if there is one",
        )
    if any(one.kind in ("schema", "self") for one in divergences):
        raise InputError(
            "a record that can't be read or contradicts itself is no intended change",
            hint="`linewarden replay` tells which",
        )
    written = Accepted(reason, by, at, build, bundle.trailer.head.chain, divergences)
    _write(accepted_beside(path), msgspec.json.format(msgspec.json.encode(written), indent=1))
    return written


def make_test(source: Any, folder: Path, name: str, written: tuple[str, str, str]) -> list[Path]:
    """Write a test that holds today's decisions on a bundle, and its data; return the files.

    Where today's code already decides otherwise than the record, that is accepted with the test:
    it passes now, and fails when a decision changes. `written` is by whom, when, by which build.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise InputError(
            "the name of a test is a lower-case word", hint="letters, digits and _, at most 64"
        )
    test, data = folder / f"test_{name}.py", folder / (name + SUFFIX)
    for path in (test, data, accepted_beside(data)):
        if path.exists():
            raise InputError(f"there is a file at {path}", hint="choose another --name")
    folder.mkdir(parents=True, exist_ok=True)
    write_bundle(data, source.header, source.records, source.trailer)
    files = [test, data]
    if differences(data):
        accept(data, "as decided when the test was made", *written)
        files.append(accepted_beside(data))
    _write(test, _TEST.format(name=name, suffix=SUFFIX).encode())
    return files


_TEST = '''\
"""What is decided of the incident beside this file. Made by `linewarden mktest`."""

from pathlib import Path

from linewarden.tools.replay.fixture import differences


def test_{name}() -> None:
    """Every record of the incident is decided as it was when this test was made."""
    assert not differences(Path(__file__).with_name("{name}{suffix}"))
'''


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="choose another folder") from None
