"""The same code never diverges, open or closed, whatever process it runs in."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from msgspec.structs import replace

from linewarden.eventstore import NewRecord, codec
from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.bundle_writing import write_bundle
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.machine import step
from linewarden.tools.replay import trace
from linewarden.tools.replay.divergence import Divergence, Replayed
from linewarden.tools.replay.reading import stimuli_of
from linewarden.tools.replay.replay import compare, replay, run_closed

from ...statemachine.sequences import LIVES, Life, Move
from .logs import at, bundle_of, claimed, closed, fired, incident_of, opened, steps_of

TRACES = """
import hashlib, locale, pathlib, sys, time
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.tools.replay import sealed, trace
sealed.seal()
locale.setlocale(locale.LC_ALL, "")
digest = hashlib.sha256()
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    bundle = read_bundle(path)
    for closed in (False, True):
        for line in trace.lines(bundle, closed):
            digest.update(line)
print(digest.hexdigest(), hash("linewarden"), time.timezone, locale.localeconv()["decimal_point"])
"""


def test_every_scenario_replays_without_divergence(incidents: dict[str, Bundle]) -> None:
    """What the service decided in a scenario is decided again, open and closed."""
    assert len(incidents) >= 276
    differing = {
        (name, loop): found.first
        for name, bundle in incidents.items()
        for loop in ("open", "closed")
        if (found := replay(bundle, closed=loop == "closed")).first is not None
    }
    assert not differing


def test_both_readers_of_the_table_replay_alike(incidents: dict[str, Bundle]) -> None:
    """The machine of transitions decides what the compiled table decides."""
    names = list(incidents)[::7]
    assert not [name for name in names if replay(incidents[name], step=step).first]


def decimal_comma(folder: Path) -> dict[str, str]:
    """Variables for a locale with a decimal comma, made here; none where it can't be made."""
    asked = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    if shutil.which(asked[0]) is None:
        return {}
    made = subprocess.run(asked, capture_output=True, check=False).returncode == 0
    return {"LOCPATH": str(folder), "LC_ALL": "de_DE.UTF-8"} if made else {}


@pytest.fixture(scope="module")
def traces(
    incidents: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory
) -> list[list[str]]:
    """Of two unlike processes: the hash of all traces, that of a word, time zone, decimal point."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, bundle in incidents.items():
        write_bundle(folder / name, bundle.header, bundle.records, bundle.trailer)
    plain = {"PYTHONHASHSEED": "1", "TZ": "Pacific/Apia", "LC_ALL": "C"}
    other = {"PYTHONHASHSEED": "2", "TZ": "UTC+3"}
    other |= decimal_comma(tmp_path_factory.mktemp("locale"))
    return [
        subprocess.run(
            [sys.executable, "-c", TRACES, str(folder)],
            env={**os.environ, "LC_ALL": "POSIX", **variables},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for variables in (plain, other)
    ]


def test_two_processes_give_identical_traces(
    incidents: dict[str, Bundle], traces: list[list[str]]
) -> None:
    """Hash seed and time zone of a process change no byte of any trace."""
    (one, seed_1, zone_1, _), (two, seed_2, zone_2, _) = traces
    assert seed_1 != seed_2 and zone_1 != zone_2
    assert one == two
    digest = hashlib.sha256()
    for name in sorted(incidents):
        for loop in (False, True):
            for line in trace.lines(incidents[name], loop):
                digest.update(line)
    assert digest.hexdigest() == one


def test_a_locale_changes_no_trace(traces: list[list[str]]) -> None:
    """Nor does a locale that writes numbers with a comma."""
    (one, *_, point), (two, *_, comma) = traces
    if comma == point:
        pytest.skip("no localedef with its sources here, so no locale with a decimal comma")
    assert (point, comma) == (".", ",")
    assert one == two


@given(LIVES)
def test_no_life_diverges(life: tuple[dict[str, Any], list[Move]]) -> None:
    """Whatever happens to an account, late timers and outrun ones too: it replays as it was."""
    stimuli = [
        replace(lived.stimulus, jitter=number * 7919 % 250_000)
        for number, lived in enumerate(Life(life[0]).live(life[1]))
    ]
    bundle = incident_of(*stimuli)
    assert replay(bundle).first is None
    assert replay(bundle, closed=True).first is None
    half = steps_of(bundle)[len(stimuli) // 2 :]
    header = replace(bundle.header, snapshot=msgspec.to_builtins(half[0].before))
    rest = Bundle(header, bundle.records[len(stimuli) // 2 :], bundle.trailer)
    assert replay(rest, closed=True).first is None


def test_an_incident_may_begin_in_the_middle(incidents: dict[str, Bundle]) -> None:
    """A bundle that begins with a snapshot replays from there, open and closed."""
    bundle = incidents["tr-05-440-every-5s-main"]
    steps = steps_of(bundle)
    middle = len(steps) // 2
    header = replace(bundle.header, snapshot=msgspec.to_builtins(steps[middle].before))
    rest = Bundle(header, bundle.records[middle:], bundle.trailer)
    assert replay(rest).records == len(steps) - middle
    assert replay(rest).first is replay(rest, closed=True).first is None


def test_what_is_kept_of_the_log_is_decided_like_all_else() -> None:
    """An erasure and an archived stretch are records that change nothing, open and closed."""
    before = incident_of(claimed(), opened(1)).trailer.head
    archived = st.Archived(
        at=at(3), first=1, last=2, position=2, chain=before.chain, bundle=before.chain
    )
    erased = st.SubjectErased(at=at(2), tokens=["idn_" + "a" * 26])
    bundle = incident_of(claimed(), opened(1), erased, archived, closed(4), fired(6, "retry"))
    assert replay(bundle) == replay(bundle, closed=True) == Replayed(6, [])
    told = [(step.decided.rule, step.after == step.before) for step in steps_of(bundle)[2:4]]
    assert told == [("subject_erased", True), ("archived", True)]


def test_a_record_that_contradicts_itself_is_told() -> None:
    """A record whose state is not what its outcome leads to is a divergence of its own kind."""
    bundle = incident_of(claimed(), opened(1), closed(2))
    second = bundle.records[1]
    news = [
        NewRecord(one.id, one.at, one.type, one.state, one.reply, one.body)
        for one in bundle.records
    ]
    news[1] = NewRecord(second.id, second.at, second.type, "conflict", None, second.body)
    found = replay(bundle_of(news))
    expected = Divergence("self", 2, 2, "opened.connected", None, "state", "conflict", "connected")
    assert found.divergences == [expected]


@pytest.mark.parametrize("changed", ["stimulus", "outcome", "no stimulus", "no outcome"])
def test_what_cant_be_read_ends_the_replay(changed: str) -> None:
    """A record that this code can't read is a divergence of schema, and all after it is unread."""
    bundle = incident_of(claimed(), opened(1), closed(2), fired(4, "retry"))
    content = codec.decode(bundle.records[1].body)
    if changed == "stimulus":
        content["stimulus"]["unheard_of"] = 1
    elif changed.startswith("no "):
        del content[changed.removeprefix("no ")]
    else:
        content["outcome"]["changes"]["unheard_of"] = 1
    news = [
        NewRecord(one.id, one.at, one.type, one.state, one.reply, one.body)
        for one in bundle.records
    ]
    news[1] = NewRecord(bytes(16), at(1), "opened", "connected", None, codec.encode(content))
    for loop in (False, True):
        found = replay(bundle_of(news), closed=loop)
        assert found.first is not None
        assert (found.first.kind, found.first.position) == ("schema", 2)
        assert found.downstream == 2


def test_a_run_can_be_compared_with_a_fork() -> None:
    """Without its close a connection lasts: the retry is missing, and the stability timer extra."""
    bundle = incident_of(claimed(), opened(1), closed(30), fired(32, "retry"), opened(33))
    stimuli = list(stimuli_of(bundle))
    fork = run_closed([*stimuli[:2], *stimuli[3:]], bundle.before, until=at(61))
    found = compare(steps_of(bundle), fork)
    told = [(one.kind, one.version, one.rule, one.rule_now) for one in found.divergences]
    assert told == [
        ("missing", 3, "close.transient.retry", None),
        ("missing", 4, "retry.dial", None),
        ("decision", 5, "opened.connected", "opened.again"),
        ("extra", None, None, "stability.reset"),
    ]
