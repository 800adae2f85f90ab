"""Every command that opens an incident, on every kind of incident that a log can give."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore.bundle_format import Bundle
from linewarden.gateway.clock import VirtualClock
from linewarden.statemachine.policy import NS
from linewarden.tools import cli_verify, erasing
from linewarden.tools.cli_incident import export, inspect
from linewarden.tools.explore import cli as exploring
from linewarden.tools.incident import incident_of
from linewarden.tools.render.cli import FORMS, render
from linewarden.tools.render.following import course_of
from linewarden.tools.replay import cli as replaying

from ..eventstore.archives import again, lived, moved
from ..gateway.scripted import BERT, Bench
from ..gateway.storms import LATE, storm, times
from .incidents import saved

ROUNDS = 8
PERSON = BERT["pn"]


def _whole(folder: Path) -> list[str]:
    lived(folder / "log.db", ROUNDS)
    return [str(folder / "log.db"), "--account", "main"]


def _middle(folder: Path) -> list[str]:
    ends = lived(folder / "log.db", ROUNDS)
    within = ["--from", str(ends[1] + 2), "--to", str(ends[5] + 3)]
    return [str(folder / "log.db"), "--account", "main", *within]


def _archived(folder: Path, *upto: int) -> list[str]:
    ends = lived(folder / "log.db", ROUNDS, pending=True)
    for each in upto or (4,):
        moved(folder / "log.db", ends[each] + 1, folder / "archive", "main")
    return [str(folder / "log.db"), "--account", "main"]


def _stretch(folder: Path) -> list[str]:
    _archived(folder, 2, 5)
    [later] = [
        found for found in (folder / "archive").iterdir() if incident_of(found).header.snapshot
    ]
    return [str(later)]


def _first_stretch(folder: Path) -> list[str]:
    _archived(folder)
    return [str(found) for found in (folder / "archive").iterdir()]


def _holding_archived(folder: Path) -> list[str]:
    bundle = incident_of(*_archived(folder)[::2])
    assert "archived" in [record.type for record in bundle.records]
    return [str(saved(bundle, folder / "x.incident.jsonl.gz"))]


def _archived_again(folder: Path) -> list[str]:
    """An archived stretch in which the record of the stretch before it lies."""
    path = folder / "log.db"
    ends = lived(path, ROUNDS)
    moved(path, ends[2] + 1, folder / "archive", "main")
    clock = VirtualClock(_newest(path) + NS)
    with Bench(path, clock=clock, seed=2) as bench:
        for number in range(3):
            again(bench, 100 + number)
    moved(path, 100_000, folder / "archive", "main")
    [newest] = [
        found
        for found in (folder / "archive").iterdir()
        if "archived" in [record.type for record in incident_of(found).records]
    ]
    return [str(newest)]


def _newest(path: Path) -> int:
    return max(incident_of(path, name).records[-1].at for name in ("main", "second"))


def _storm(folder: Path) -> list[str]:
    with Bench(folder / "log.db") as bench:
        for name in ("main-1", "main-2"):
            bench.claim(name)
            bench.up(name)
        bench.feed("socket_closed", controller="main-1")
        storm(bench, 3_000, 3 * NS, **{**LATE, "controller": "main-1"})
        bench.service.flush()
        bench.go(5)
        bench.feed("closed", controller="main-2", code=408)
        bench.go(1)
        assert max(times(bench)) > 900
    return [str(folder / "log.db")]


def _erased(folder: Path) -> list[str]:
    words = _whole(folder)
    found = erasing.find(words[0], "15550101003@s.whatsapp.net")
    assert "main" in found.held
    erasing.erase(words[0], found)
    with Bench(folder / "log.db", clock=VirtualClock(_newest(folder / "log.db") + NS)) as bench:
        again(bench, 200)
    return words


KINDS: dict[str, Callable[[Path], list[str]]] = {
    "a whole log": _whole,
    "a range in the middle": _middle,
    "an archived log": _archived,
    "the first archived stretch": _first_stretch,
    "a later archived stretch": _stretch,
    "a bundle with an archived record": _holding_archived,
    "a stretch with an archived record": _archived_again,
    "folded records": _storm,
    "an erased subject": _erased,
}


@pytest.fixture(scope="module", params=KINDS, ids=lambda name: name.replace(" ", "-"))
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An incident as the command line names it."""
    return KINDS[request.param](tmp_path_factory.mktemp("kind"))


@pytest.fixture
def bundle(source: list[str]) -> Bundle:
    """The same incident, opened."""
    named = dict(zip(source[1::2], source[2::2], strict=True))
    return incident_of(source[0], named.get("--account"), named.get("--from"), named.get("--to"))


def call(command: click.Command, words: list[str], given: str | None = None) -> Result:
    result = CliRunner().invoke(command, words, given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


COMMANDS: list[tuple[click.Command, list[str]]] = [
    (render, ["--as", "html"]),
    (replaying.replay, []),
    (replaying.mktest, []),
    (exploring.step, []),
    (exploring.what_if, ["--drop", "1"]),
    (exploring.minimise, ["--keep", "diverges"]),
    (export, []),
]


@pytest.mark.parametrize(("command", "more"), COMMANDS, ids=lambda one: getattr(one, "name", ""))
def test_a_range_from_before_the_archive_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: click.Command, more: list[str]
) -> None:
    """No command begins later than it was told to: exit code 2, and the bundle to look in."""
    monkeypatch.chdir(tmp_path)
    log, *account = _archived(tmp_path)
    named = ["--file", log] if command is export else [log]
    result = call(command, [*named, *account, "--from", "1", *more])
    assert result.exit_code == 2
    [bundle] = (tmp_path / "archive").iterdir()
    assert bundle.name in result.stderr


@pytest.mark.parametrize("form", FORMS)
def test_it_is_drawn(source: list[str], form: str, bundle: Bundle) -> None:
    """Each form draws it, and names what is in it."""
    result = call(render, [*source, "--as", form])
    assert result.exit_code == 0, result.output
    if form in {"perfetto", "otlp", "cloudevents"}:
        assert json.loads(result.output)
    else:
        assert "connected" in result.output


def test_its_course_is_what_was_so(bundle: Bundle) -> None:
    """Each stay is of a state that the records tell, and nothing is left out or told twice."""
    course = course_of(bundle)
    assert [mark.body for mark in course.marks] == [record.body for record in bundle.records]
    told = [record.state for record in bundle.records]
    for stay in course.lane("state"):
        begun = stay.first - bundle.header.first
        assert stay.fact.name == (told[begun] if begun >= 0 else bundle.header.snapshot["state"])
    numbers = range(bundle.header.first, bundle.header.last + 1)
    assert all(each.first in numbers for each in course.stretches if each.first)
    stays = [(stay.owner, stay.first) for stay in course.lane("state")]
    assert len(set(stays)) == len(stays)
    known = {life.controller for life in course.lives}
    assert {span.owner for span in course.lane("state")} <= known


@pytest.mark.parametrize("loop", [[], ["--closed"]], ids=["open", "closed"])
def test_it_replays(source: list[str], loop: list[str]) -> None:
    """Today's code decides all of it as then, with the recorded timers and with its own."""
    result = call(replaying.replay, [*source, *loop])
    assert result.exit_code == 0, result.output


def test_it_is_stepped_through(source: list[str], bundle: Bundle) -> None:
    """The stepper goes to both ends and tells at each record where it is, and why."""
    first, last = (record.position for record in (bundle.records[0], bundle.records[-1]))
    each = "why\nstate\nnext\n" * len(bundle.records)
    lines = f"{each}go last\nstate\nlist 5\ndiff {first} {last}\nback\ngo v{bundle.header.last}\n"
    result = call(exploring.step, source, lines + 'break state == "conflict"\ncontinue\nquit\n')
    assert result.exit_code == 0, result.output
    assert "connected" in result.output


def test_it_is_forked(source: list[str], bundle: Bundle) -> None:
    """A close may have another code, be late, or not happen at all; the rest is decided anew."""
    closes = [record.position for record in bundle.records if record.type == "closed"]
    for words in (["--set", "{}.code=440"], ["--drop", "{}"], ["--delay", "{}=+3s"]):
        edit = [words[0], words[1].format(closes[0])]
        result = call(exploring.what_if, [*source, *edit, "--json"])
        assert result.exit_code in {0, 1}, result.output
        assert json.loads(result.output)


def test_its_least_is_found(source: list[str], tmp_path: Path) -> None:
    """What is left of it shows the same, reads back and replays."""
    out = str(tmp_path / "least.incident.jsonl.gz")
    keep = ["--keep", 'stimulus == "closed"', "--out", out]
    result = call(exploring.minimise, [*source, *keep])
    assert result.exit_code == 0, result.output
    assert call(replaying.replay, [out]).exit_code == 0
    assert call(render, [out, "--as", "html"]).exit_code == 0


def test_it_becomes_a_test(source: list[str], tmp_path: Path) -> None:
    """The data of the test replays, so the test passes."""
    words = ["--out", str(tmp_path), "--name", "kind", "--by", "somebody"]
    result = call(replaying.mktest, [*source, *words])
    assert result.exit_code == 0, result.output
    judged = call(replaying.replay_all, [str(tmp_path)])
    assert judged.exit_code == 0 and "1 of 1 incidents hold" in judged.output


def test_it_goes_through_a_file(bundle: Bundle, tmp_path: Path) -> None:
    """Written as a bundle it is the same incident, is inspected and verifies."""
    path = saved(bundle, tmp_path / "x.incident.jsonl.gz")
    assert incident_of(path) == bundle
    assert call(inspect, [str(path)]).exit_code == 0
    result: Any = call(cli_verify.verify, [str(path)])
    assert result.exit_code == 0, result.output
