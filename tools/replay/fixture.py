"""Incidents kept as tests: a bundle, what was accepted of it, and how both are judged.

A fixture is a file `NAME.incident.jsonl.gz`. It holds when today's code decides every record as it
was decided then. Where a difference was reviewed and is intended, `accept` writes it down in
`NAME.accepted.json` beside it, and then exactly these differences are expected, no more, no fewer.
A later review is written below the earlier ones, which stay; the last one is what is expected.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from ...eventstore.bundle_format import Bundle, FutureSchema
from ...eventstore.bundle_reading import read_bundle
from ...eventstore.bundle_writing import write_bundle
from ...statemachine.errors import InputError, LinewardenError
from .divergence import Divergence, Replayed, differ
from .replay import replay
from .telling import harmless, tell_one

SUFFIX = ".incident.jsonl.gz"

DIFFERENCES_MAX = 1_000
"""What one review may hold: more can't be reviewed, and is more to keep than the bundle itself."""


class Accepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Differences that were reviewed: by whom, when (UTC) and why, of which bundle (its chain)."""

    reason: str
    by: str
    at: str
    build: str
    chain: str
    divergences: list[Divergence]

    def __str__(self) -> str:
        return f"{self.by} on {self.at}: {self.reason}"


class Judged(msgspec.Struct, frozen=True):
    """What became of a fixture; `verdict` is the exit code of `linewarden replay` for it alone.

    Its path and what was found are as a terminal, JSON and XML can take them.
    """

    path: str
    verdict: int
    found: list[str]
    replayed: Replayed | None = None


def accepted_beside(path: str | os.PathLike[str]) -> Path:
    """Where the accepted differences of a fixture stand."""
    name = os.path.basename(path).removesuffix(".gz").removesuffix(".jsonl")
    return Path(path).with_name(name.removesuffix(".incident") + ".accepted.json")


def reviews_of(path: str | os.PathLike[str]) -> list[Accepted]:
    """What was accepted of a fixture, the last review last; nothing where there is no such file."""
    beside = accepted_beside(path)
    try:
        return msgspec.json.decode(beside.read_bytes(), type=list[Accepted])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError):
        raise InputError(
            f"{beside} can't be read", hint="take it from version control, or delete it"
        ) from None


def _expected(path: str | os.PathLike[str], chain: str) -> list[Divergence]:
    reviews = reviews_of(path)
    if reviews and reviews[-1].chain != chain:
        raise InputError(
            f"{accepted_beside(path)} was written for another bundle",
            hint="accept this one, or delete that file",
        )
    accepted = reviews[-1].divergences if reviews else []
    if any(one.decided is None for one in accepted):
        raise InputError(
            f"{accepted_beside(path)} is of an older form, without the decisions themselves "
            f"(accepted by {reviews[-1]})",
            hint="accept it anew",
        )
    return accepted


def differences(path: str | os.PathLike[str]) -> list[str]:
    """Where today's code decides otherwise than the fixture expects, in words for people."""
    return judge(path).found


def judge(path: str | os.PathLike[str]) -> Judged:
    """Replay a fixture and compare with what is accepted of it; raises for a bad bundle."""
    bundle = read_bundle(path)
    replayed = replay(bundle)
    accepted = _expected(path, bundle.trailer.head.chain)
    # As they would be read back: a divergence holds plain data, with tuples nowhere.
    left = {one.version: one for one in accepted if one not in replayed.divergences}
    found = [
        _tell(one, left.pop(one.version, None))
        for one in replayed.divergences
        if one not in accepted
    ]
    found += [
        "accepted, but it does not happen any more: " + tell_one(one) for one in left.values()
    ]
    verdict = (replayed.verdict or 1) if found else 0
    return Judged(harmless(os.fspath(path)), verdict, found, replayed)


def _tell(found: Divergence, accepted: Divergence | None) -> str:
    """A difference, or what of it is other than what was accepted of the same record."""
    if accepted is None or accepted.decided is None or found.decided is None:
        return tell_one(found)
    other = differ(accepted.decided, found.decided)
    return "not as accepted: " + tell_one(other or found)


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
        return Judged(harmless(str(path)), 3, [harmless(str(error))])
    except LinewardenError as error:
        return Judged(harmless(str(path)), 2, [harmless(str(error))])


def accept(path: str | os.PathLike[str], reason: str, by: str, at: str, build: str) -> Accepted:
    """Write down that the differences of a fixture are intended.

    Returns the review that holds now: the one before, where it is of just these differences.
    """
    if not reason.strip():
        raise InputError("a change is accepted for a reason", hint="--reason 'why it is right now'")
    bundle = read_bundle(path)
    divergences = replay(bundle).divergences
    reviews, chain = reviews_of(path), bundle.trailer.head.chain
    if not divergences and not reviews:
        raise InputError(
            "there is nothing to accept", hint="the incident replays as it was recorded"
        )
    _check_decided(divergences)
    if reviews and (reviews[-1].chain, reviews[-1].divergences) == (chain, divergences):
        return reviews[-1]
    reviews.append(Accepted(reason, by, at, build, chain, divergences))
    _write(accepted_beside(path), msgspec.json.format(msgspec.json.encode(reviews), indent=1))
    return reviews[-1]


def _check_decided(divergences: list[Divergence]) -> None:
    """Refuse what no review can call intended, and more than one can hold."""
    if any(one.kind in ("schema", "self") or one.raises for one in divergences):
        raise InputError(
            "no decision to hold: the code raises, or a record can't be read or contradicts itself",
            hint="`linewarden replay` tells which",
        )
    if len(divergences) > DIFFERENCES_MAX:
        raise InputError(
            f"{len(divergences)} differences are too many to review: at most {DIFFERENCES_MAX}",
            hint="`linewarden minimise --keep diverges` leaves the fewest records that show it",
        )


def make_test(bundle: Bundle, folder: Path, name: str, written: tuple[str, str, str]) -> list[Path]:
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
    divergences = replay(bundle).divergences
    _check_decided(divergences)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    write_bundle(data, bundle.header, bundle.records, bundle.trailer)
    files = [test, data]
    if divergences:
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
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: {error.strerror}", hint="choose another folder")
