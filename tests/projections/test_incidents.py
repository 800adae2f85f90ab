"""Incidents: what is one, where it begins and ends, and what is none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linewarden.projections import checkpoints
from linewarden.projections.archived import snapshot_of
from linewarden.projections.incidents import INCIDENTS_MAX, KINDS, Incident
from linewarden.projections.projections import Projections
from linewarden.projections.view import AccountView
from linewarden.statemachine.policy import NS

from ..gateway.scripted import BERT, Bench
from ..tools.incidents import played_out

SCENARIOS = Path(__file__).resolve().parents[1] / "scenarios"

REAL = {
    "oc-008": "refused_replies",
    "oc-022": "refused_replies",
    "oc-023": "refused_replies",
    "oc-028": "long_gap",
    "oc-040": "long_gap",
    "oc-043": "long_gap refused_replies",
    "oc-062": "refused_replies",
    "oc-066": "long_gap refused_replies",
    "oc-071": "refused_replies",
    "oc-072": "long_gap refused_replies",
    "oc-075": "refused_replies",
    "oc-077": "restart_fight",
    "oc-078": "long_gap",
    "oc-079": "long_gap",
    "tr-02": "long_gap",
    "tr-05": "long_gap refused_replies",
    "tr-06": "refused_replies",
    "tr-08": "restart_fight",
    "tr-22": "long_gap",
    "tr-25": "long_gap",
    "tr-29": "long_gap restart_fight",
    "tr-32": "flap_storm long_gap",
    "tr-44": "refused_replies",
    "tr-50": "flap_storm",
    "tr-51": "refused_replies",
    "tr-57": "refused_replies",
    "wm-004": "refused_replies",
    "wm-007": "long_gap",
    "wm-015": "refused_replies",
    "wm-016": "refused_replies",
    "wm-018": "refused_replies",
    "zc-001": "refused_replies",
    "zc-002": "refused_replies",
}
"""What every real incident on file gives; those that are not named ended well, and give none."""

ON_FILE = sorted(path for kind in ("oc", "tr", "wm", "zc") for path in SCENARIOS.glob(f"{kind}-*"))


@pytest.mark.parametrize("path", ON_FILE, ids=lambda path: path.stem)
def test_the_real_incidents_are_found_and_the_calm_ones_are_not(path: Path) -> None:
    """Every scenario from the field gives the kinds of its row, and no others."""
    with played_out(path) as run:
        views = Projections(run.service.store).rebuild_all().values()
        kinds = {found.kind for view in views for found in told(view, run.clock.now())}
    expected = next((REAL[name] for name in REAL if path.stem.startswith(name + "-")), "")
    assert " ".join(sorted(kinds)) == expected


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(tmp_path / "log.db") as opened:
        opened.claim()
        opened.up()
        opened.go(100)
        yield opened


def told(view: AccountView, now: int) -> list[Incident]:
    """The incidents of a view, at an instant."""
    return view.incidents.all(view.gaps.open, now, view.version, view.position)


def found(bench: Bench, kind: str) -> list[Incident]:
    """The incidents of a kind up to now; what a checkpoint and an archive carry is the same."""
    view = Projections(bench.store).rebuild("main")
    resumed = checkpoints.read(checkpoints.write(view), "main", view.version)
    assert resumed == view
    assert snapshot_of(view)["incidents"]["count"] == view.incidents.count
    return [each for each in told(view, bench.clock.now()) if each.kind == kind]


def lose(bench: Bench, apart_s: float) -> None:
    """The live controller is lost, comes back after 10 s, and so much passes since its loss."""
    bench.feed("closed", controller="A", code=408)
    bench.go(10)
    bench.up()
    bench.go(apart_s - 10)


def conflict(bench: Bench, number: int, apart_s: float) -> None:
    """Somebody takes the session; an operator releases it, and it is claimed anew."""
    name = "A" if number == 1 else f"A{number}"
    bench.feed("replaced", controller=name, source="whatsmeow")
    bench.go(apart_s)
    bench.feed("release_requested", controller=name, by="operator")
    bench.claim(f"A{number + 1}")
    bench.up(f"A{number + 1}")


@pytest.mark.parametrize(("times", "apart_s", "loops"), [(3, 600, 1), (3, 601, 0), (2, 5, 0)])
def test_a_conflict_loop(bench: Bench, times: int, apart_s: int, loops: int) -> None:
    """Three entries into conflict, each at most ten minutes after the last, are a loop."""
    for number in range(1, times + 1):
        conflict(bench, number, apart_s)
    assert len(found(bench, "conflict_loop")) == loops
    for loop in found(bench, "conflict_loop"):
        assert (loop.count, loop.cause) == (3, "close.replaced.conflict")
        assert loop.length(0) == 2 * apart_s * NS


@pytest.mark.parametrize(("times", "apart_s", "storms"), [(5, 600, 1), (5, 601, 0), (4, 20, 0)])
def test_a_flap_storm(bench: Bench, times: int, apart_s: int, storms: int) -> None:
    """Five losses of a live controller, each at most ten minutes after the last, are a storm."""
    for _ in range(times):
        lose(bench, apart_s)
    assert len(found(bench, "flap_storm")) == storms
    for storm in found(bench, "flap_storm"):
        records = bench.records()
        first, last = records[storm.first_version - 1], records[storm.last_version - 1]
        assert (storm.count, storm.cause) == (5, "transient")
        assert (first.type, last.type) == ("closed", "closed")
        assert (storm.first_position, storm.last_position) == (first.position, last.position)
        assert (storm.started_at, storm.ended_at) == (first.at, last.at)


def test_a_socket_that_was_replaced_unseen_is_a_loss(bench: Bench) -> None:
    """A library that opens new sockets by itself flaps too, once with each."""
    for socket in range(2, 7):
        bench.feed("opened", controller="A", socket=socket)
        bench.feed("identity_observed", controller="A", forms=BERT)
    [storm] = found(bench, "flap_storm")
    assert (storm.count, storm.cause) == (5, "new_socket")


@pytest.mark.parametrize(("seconds", "gaps"), [(300, 0), (300.001, 1)])
def test_a_long_gap(bench: Bench, seconds: float, gaps: int) -> None:
    """A gap longer than a reply waits is one, while it is open and when it has ended."""
    bench.feed("stop_requested", controller="A", by="operator")
    begun = bench.records()[-1]
    bench.go(seconds)
    assert [gap.goes_on(bench.clock.now()) for gap in found(bench, "long_gap")] == [True] * gaps
    bench.claim("B")
    bench.up("B")
    assert len(found(bench, "long_gap")) == gaps
    for gap in found(bench, "long_gap"):
        assert not gap.goes_on(bench.clock.now())
        assert (gap.cause, gap.first_position) == ("stopped", begun.position)
        assert gap.last_version == bench.records()[-1].version


def test_failed_replies_are_told_together(bench: Bench) -> None:
    """What ended refused, expired or uncertain belongs together for ten minutes; what went, not."""
    bench.submit("sent", captured_on="A")
    bench.feed("send_acked", controller="A", reply="sent")
    bench.submit("r1", captured_on="A")
    bench.feed("send_failed", controller="A", reply="r1", kind="unknown")
    bench.go(600)
    bench.feed("stop_requested", controller="A", by="operator")
    bench.submit("r2", captured_on="A")
    bench.go(601)
    bench.submit("r3", captured_on="A")
    first, second = found(bench, "refused_replies")
    assert (first.count, first.cause, first.length(0)) == (2, "closed", 600 * NS)
    assert (second.count, second.length(0)) == (1, 0)


def test_replies_that_fail_at_once_count_one_by_one(bench: Bench) -> None:
    """One record can end many replies, and an expired one is one that failed too."""
    bench.feed("closed", controller="A", code=408)
    for number in range(3):
        bench.submit(f"r{number}", chat=f"1555010123{number}@s.whatsapp.net", captured_on="A")
    bench.feed("stop_requested", controller="A", by="operator")
    [refused] = found(bench, "refused_replies")
    assert (refused.count, refused.first_version) == (3, refused.last_version)


@pytest.mark.parametrize(("times", "apart_s", "fights"), [(3, 120, 1), (3, 121, 0), (2, 1, 0)])
def test_a_restart_fight(bench: Bench, times: int, apart_s: int, fights: int) -> None:
    """Three restarts asked for, granted or not, each two minutes after the last at most."""
    for _ in range(times):
        bench.feed("activity", controller="A")
        bench.feed("restart_requested", by="monitor")
        bench.go(apart_s)
    assert len(found(bench, "restart_fight")) == fights
    for fight in found(bench, "restart_fight"):
        assert (fight.count, fight.cause) == (3, "restart.refused.healthy")


def test_a_hand_over_is_no_fight(bench: Bench) -> None:
    """A request and the claim that answers it are one; claims that nobody asked for count."""
    for name in ("B", "C"):
        bench.feed("restart_requested", by="operator")
        bench.claim(name)
        bench.up(name)
    assert not found(bench, "restart_fight")
    bench.claim("D")
    [fight] = found(bench, "restart_fight")
    assert (fight.count, fight.cause) == (3, "claim.supersedes")


def test_a_storm_goes_on_until_its_span_has_passed(bench: Bench) -> None:
    """It is told as going on while a next loss would be part of it."""
    for _ in range(5):
        lose(bench, 60)
    bench.go(540)
    [storm] = found(bench, "flap_storm")
    assert storm.goes_on(bench.clock.now())
    assert not storm.goes_on(bench.clock.now() + 1)
    lose(bench, 60)
    assert [each.count for each in found(bench, "flap_storm")] == [6]
    bench.go(601)
    lose(bench, 60)
    assert [each.count for each in found(bench, "flap_storm")] == [6]


def test_as_of_a_moment_is_what_was_known_then(bench: Bench) -> None:
    """Before the fifth loss there was no storm."""
    for _ in range(5):
        lose(bench, 60)
    [storm] = found(bench, "flap_storm")
    projections = Projections(bench.store)
    for position, storms in ((storm.last_position - 1, 0), (storm.last_position, 1)):
        view = projections.as_of("main", position=position)
        assert [each.kind for each in told(view, view.at)].count("flap_storm") == storms
    assert not told(projections.as_of("main", at=storm.started_at), storm.started_at)


def test_only_the_newest_are_kept_and_all_are_counted(
    in_memory: Callable[[str], Any],
) -> None:
    """However many there were, a view holds so many of them; the count goes on."""
    line = in_memory("main")
    for number in range(INCIDENTS_MAX + 12):
        line.submit(f"r{number}", after_s=601, controller=None)
    view = AccountView("main")
    view.fold(line.records)
    assert view.incidents.count == INCIDENTS_MAX + 11  # the newest may go on
    assert len(view.incidents.ended) == INCIDENTS_MAX
    assert view.incidents.ended[-1].first_version == INCIDENTS_MAX + 11
    assert len(snapshot_of(view)["incidents"]["ended"]) == INCIDENTS_MAX


@pytest.mark.parametrize(("jump_s", "storms"), [(-30, 1), (-604, 0)])
def test_a_clock_that_is_set_back(
    in_memory: Callable[[str], Any], jump_s: float, storms: int
) -> None:
    """A small step parts nothing; one that is longer than the span begins anew."""
    line = in_memory("main")
    line.connect()
    for number in range(5):
        line.tell("closed", code=408, source="baileys", after_s=jump_s if number == 3 else 1)
        line.tell("opened", source="baileys")
        line.prove()
    view = AccountView("main")
    view.fold(line.records)
    kinds = [each.kind for each in told(view, line.at)]
    assert kinds.count("flap_storm") == storms
    assert all(each.length(line.at) >= 0 for each in told(view, line.at))


def test_every_conflict_and_every_restart_has_a_kind() -> None:
    """The rules that are events by themselves come from the table, so none is forgotten."""
    assert {rule for rule in KINDS if KINDS[rule] == "conflict_loop"} == {
        "close.replaced.conflict",
        "close.upgrade.conflict",
    }
    assert {"restart.granted", "restart.refused.ended"} <= KINDS.keys()


def test_a_forged_incident_is_no_checkpoint_of_the_log(bench: Bench) -> None:
    """What a rebuild compares includes incidents: one that was changed is another view."""
    for _ in range(5):
        lose(bench, 60)
    view = Projections(bench.store).rebuild("main")
    body = checkpoints.write(view)
    assert b'"flap_storm"' in body
    forged = checkpoints.read(
        body.replace(b'"flap_storm","cause":"t', b'"flap_storm","cause":"x'), "main", view.version
    )
    assert forged is not None and forged != view
