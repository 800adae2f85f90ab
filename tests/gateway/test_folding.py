"""Storms: identical stimuli that change nothing share a record, and nothing else is different."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linewarden.eventstore.sqlite_reader import SQLiteReader
from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.receipt import Decided
from linewarden.projections.timeline import timeline
from linewarden.statemachine.account import Account
from linewarden.statemachine.decision import decide
from linewarden.statemachine.policy import NS
from linewarden.statemachine.stimuli import KINDS, Stimulus
from linewarden.tools.incident import incident_of
from linewarden.tools.replay.replay import replay
from linewarden.tools.wording import observed

from .scripted import Bench, content
from .storms import LATE, audited, storm, superseded, times


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    """An account whose second controller is live, and a first late close of the one before."""
    with Bench(tmp_path / "log.db") as made:
        superseded(made)
        yield made


def test_a_storm_of_a_second_is_two_records(bench: Bench) -> None:
    """10,000 identical late closes within a second: the first has a record, the rest another."""
    before = bench.records()
    start = bench.clock.now()
    answers = storm(bench, 10_000, NS)
    bench.service.flush()
    first, rest = bench.records()[len(before) :]
    assert "times" not in content(first)["stimulus"]
    folded = content(rest)["stimulus"]
    assert folded == LATE | {
        "at": start + NS // 10_000, "times": 9_999, "last_at": start + NS * 9_999 // 10_000
    }  # fmt: skip
    assert content(rest)["outcome"] == content(first)["outcome"] == {"rule": "late.close"}
    assert len(first.body) + len(rest.body) < 1_000
    assert len(answers) == 10_000
    assert all(isinstance(answer, Decided) for answer in answers)
    assert Counter(answer.record.version for answer in answers) == {
        first.version: 1, rest.version: 9_999
    }  # fmt: skip
    audited(bench)


def test_a_long_storm_is_a_record_a_second(bench: Bench) -> None:
    """A storm of a minute leaves about a record for each second of it, and every one is counted."""
    answers = storm(bench, 6_000, 60 * NS)
    bench.service.flush()
    found = times(bench)
    assert len(found) == 61
    assert sum(found) == len(answers) == 6_000
    closed = [content(one)["stimulus"] for one in bench.records() if one.type == "closed"]
    assert all(one.get("last_at", 0) - one["at"] < NS for one in closed)
    assert all(one.get("last_at", one["at"]) < two["at"] for one, two in pairwise(closed))
    audited(bench)


def test_a_lone_stimulus_waits_for_nothing(bench: Bench) -> None:
    """One that is ignored, and one a second later, are queued at once and have no count."""
    for _ in range(3):
        bench.observe(**LATE)
        assert bench.service.unflushed
        assert not bench.service.folding
        bench.clock.advance_to(bench.clock.now() + NS)
    bench.service.flush()
    assert times(bench) == [1, 1, 1]


def test_what_is_committed_at_once_is_not_folded(bench: Bench) -> None:
    """Two fed one after the other are two records, as in every scenario, byte for byte."""
    bodies = {bench.service.feed("main", LATE).record.body for _ in range(3)}
    assert times(bench) == [1, 1, 1]
    assert len(bodies) == 1
    assert b"times" not in bodies.pop()


def test_a_clock_that_stands_folds_as_well(bench: Bench) -> None:
    """Stimuli of one instant share a record too."""
    answers = storm(bench, 100, 0)
    bench.service.flush()
    assert times(bench) == [1, 99]
    assert len(answers) == 100


def test_a_receipt_is_given_when_its_record_is_on_disk(bench: Bench) -> None:
    """Nobody hears of a stimulus that is held back; when they do, another reader finds it."""
    seen: list[bool] = []

    def look(answer: Decided | Exception) -> None:
        assert isinstance(answer, Decided)
        with SQLiteReader.open(bench.path) as reader:
            seen.append(reader.get(answer.record.id) is not None)

    for _ in range(3):
        clean = bench.service.check("main", {"at": bench.service.now(), **LATE})
        bench.service.observe("main", bench.service.admit(clean), look)
    bench.service.store.flush()
    assert bench.service.answer() == 1
    assert len(seen) == 1
    bench.service.flush()
    assert seen == [True] * 3


def test_something_else_first_writes_what_is_held(bench: Bench) -> None:
    """The stream keeps its order: another stimulus of the account stands behind those before it."""
    storm(bench, 5, NS // 10)
    bench.observe(**{**LATE, "code": 440})
    storm(bench, 5, NS // 10)
    bench.observe("keepalive_timeout", controller="B")
    storm(bench, 3, NS // 10)
    bench.service.flush()
    found = [
        (record.type, content(record)["stimulus"].get("code"), one)
        for record in bench.records()[7:]
        for one in [content(record)["stimulus"].get("times", 1)]
    ]
    assert found == [
        ("closed", 428, 1), ("closed", 428, 4), ("closed", 440, 1),
        ("closed", 428, 1), ("closed", 428, 4), ("keepalive_timeout", None, 1),
        ("closed", 428, 1), ("closed", 428, 2),
    ]  # fmt: skip
    audited(bench)


def test_accounts_do_not_disturb_each_other(bench: Bench) -> None:
    """Storms of two accounts at once are two records each, in streams without a hole."""
    superseded(bench, "other")
    answers: list[Any] = []
    for _ in range(50):
        for account in ("main", "other"):
            bench.observe(answers=answers, account=account, **LATE)
        bench.clock.advance_to(bench.clock.now() + NS // 100)
    bench.service.flush()
    assert times(bench) == times(bench, "other") == [1, 49]
    assert Counter(answer.account for answer in answers) == {"main": 50, "other": 50}
    audited(bench)


def test_only_what_is_the_same_at_its_own_time_is_folded(bench: Bench) -> None:
    """A silence that becomes long enough in the middle of a storm ends the connection there."""
    start = bench.clock.now() + 399 * NS
    for number in range(14):
        bench.clock.advance_to(start + number * NS // 10)
        bench.observe("silence", controller="B", kind="transport", seconds=400)
    bench.service.flush()
    found = [
        (content(record)["outcome"]["rule"], one)
        for record, one in zip(bench.records()[7:], times(bench, kind="silence"), strict=True)
    ]
    assert found == [
        ("silence.evidence", 1), ("silence.evidence", 9), ("silence.close", 1),
        ("silence.unopened", 1), ("silence.unopened", 2),
    ]  # fmt: skip
    audited(bench)


def test_an_erasure_is_never_folded(bench: Bench) -> None:
    """A record that does more than it says is written each time."""
    for _ in range(3):
        bench.observe("subject_erased", tokens=["idn_0a"], source="operator")
    bench.service.flush()
    assert times(bench, kind="subject_erased") == [1, 1, 1]


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_replay_of_a_storm_is_the_storm(bench: Bench, closed: bool) -> None:
    """Today's code decides the log of a storm with timers in it as it stands, each record once."""
    for code in (428, 440):
        storm(bench, 100, 2 * NS, code=code)
        bench.observe("closed", controller="B", source="baileys", code=408)
        storm(bench, 100, NS, code=code)
        bench.go(20)
        bench.up("B")
    assert sum(times(bench)) == 402
    replayed = replay(incident_of(bench.path, "main"), closed=closed)
    assert not replayed.divergences
    assert replayed.records == len(bench.records()) < 60


def test_a_timeline_says_how_often(bench: Bench) -> None:
    """A folded record is one line, which tells how many stimuli it stands for."""
    storm(bench, 30, NS // 2)
    bench.service.flush()
    lines = [observed(entry.stimulus, entry.told) for entry in timeline(bench.store, "main")]
    assert lines[-2:] == ["closed 428 socket 1", "closed ×29 428 socket 1"]


SEEN: list[dict[str, Any]] = [
    LATE,
    {"stimulus": "closed", "controller": "B", "source": "baileys", "code": 408},
    {"stimulus": "closed", "controller": "B", "source": "baileys", "code": 428, "socket": 1},
    {"stimulus": "keepalive_timeout", "controller": "B"},
    {"stimulus": "keepalive_restored", "controller": "B"},
    {"stimulus": "activity", "controller": "B"},
    {"stimulus": "opened", "controller": "B"},
    {"stimulus": "restart_requested", "by": "monitor"},
    {"stimulus": "reply_cancelled", "reply": "r1"},
    {"stimulus": "replaced", "controller": "B"},
]
programs = st.lists(
    st.tuples(st.sampled_from(SEEN), st.integers(1, 5), st.sampled_from((0, 1, 300, 900, 2_000))),
    max_size=12,
)


def told_of(path: Path, program: list[Any], fold: bool) -> tuple[Counter[Any], Account]:
    """What a program leaves: how often each stimulus met each rule, and the state."""
    clock = VirtualClock()
    with Bench(path, clock=clock) as bench:
        superseded(bench)
        for fields, count, pause_ms in program:
            for _ in range(count):
                bench.clock.advance_to(bench.clock.now() + pause_ms * NS // 1_000)
                bench.observe(**fields)
                if not fold:
                    bench.service.flush()
        bench.service.flush()
        audit = audited(bench)
        left: Counter[Any] = Counter()
        for record in bench.records():
            written = content(record)
            left[record.type, written["outcome"]["rule"]] += written["stimulus"].get("times", 1)
        return left, audit.accounts["main"]


@settings(max_examples=60)
@given(program=programs)
def test_folded_or_not_it_is_the_same_story(
    program: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every stimulus meets the same rule as without folding, and the state is the same."""
    folder = tmp_path_factory.mktemp("story")
    folded = told_of(folder / "folded.db", program, fold=True)
    assert folded == told_of(folder / "plain.db", program, fold=False)


@pytest.mark.parametrize("fields", SEEN, ids=lambda fields: str(fields["stimulus"]))
def test_no_decision_looks_at_the_count(bench: Bench, fields: dict[str, Any]) -> None:
    """How often a stimulus was seen, and when the last time was, decides nothing."""
    once: Stimulus = msgspec.convert({"at": bench.clock.now(), **fields}, KINDS[fields["stimulus"]])
    often = msgspec.structs.replace(once, times=7, last_at=once.at + NS)
    state = bench.service.account("main")
    assert decide(state, often) == decide(state, once)
