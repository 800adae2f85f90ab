"""Incidents: what is cut out of a log is all that a replay needs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from linewarden.eventstore import NewRecord, codec, open_reader, open_store
from linewarden.eventstore.anchor import Anchor, Point
from linewarden.eventstore.anchors import AnchorFile, anchors_path
from linewarden.eventstore.archived import archive_of
from linewarden.eventstore.bundle_format import BadBundle, Bundle
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.eventstore.verify_bundle import verify_bundle
from linewarden.projections.archived import BeforeTheArchive
from linewarden.projections.projections import Projections
from linewarden.statemachine.account import Account, evolve
from linewarden.statemachine.errors import InputError
from linewarden.tools.incident import cut, incident_of
from linewarden.tools.moments import Moment, instant

from ..eventstore.archives import lived, moved
from ..gateway.scripted import Bench
from .incidents import FILES, RESTART, TWO, bundle_of_scenario, bundles_of_scenario, played, saved


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one account."""
    return played(RESTART, tmp_path_factory.mktemp("one") / "log.db")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two accounts."""
    return played(TWO, tmp_path_factory.mktemp("two") / "log.db")


def states(bundle: Bundle) -> Iterator[Account]:
    """The account after each record, folded from the state before."""
    account = bundle.before
    for record in bundle.records:
        outcome = codec.decode(record.body).get("outcome", {})
        account = evolve(account, outcome.get("changes", {}))
        yield account


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_becomes_a_bundle(file: Path, tmp_path: Path) -> None:
    """The bundle of each account of a scenario reads back, and its fold has every state."""
    bundles = bundles_of_scenario(file)
    assert bundles
    for bundle in bundles:
        account = bundle.header.account
        opened = read_bundle(saved(bundle, tmp_path / f"{account}.gz"))
        assert opened == bundle
        folded = [state.state and state.state.value for state in states(opened)]
        assert folded == [record.state for record in opened.records]


def test_a_scenario_of_two_accounts_has_two_bundles() -> None:
    """They are told apart by name; the first is taken where none is given."""
    first, second = (bundle.header.account for bundle in bundles_of_scenario(TWO))
    assert bundle_of_scenario(TWO).header.account == first
    assert bundle_of_scenario(TWO, second).header.account == second


def test_an_incident_holds_the_records_of_its_range(log: Path) -> None:
    """Any range of positions is cut out with the state and the chain before it."""
    with open_reader(log) as reader:
        records = list(reader.read_stream("main"))
        projections = Projections(reader)
        for first in range(0, len(records), 3):
            start, end = records[first], records[min(first + 4, len(records) - 1)]
            cut = incident_of(log, "main", str(start.position), str(end.position))
            assert cut.records == records[first : first + 5]
            before = projections.as_of("main", position=start.position - 1)
            assert cut.before == before.machine
            assert (cut.header.before.version, cut.header.first) == (first, first + 1)
            *_, last = states(cut)
            assert last == projections.as_of("main", position=end.position).machine


def test_a_range_can_be_given_in_time(log: Path) -> None:
    """Both ends belong to the range; a time between two records takes the next, or the last."""
    records = incident_of(log).records
    start, end = records[3], records[9]
    cut = incident_of(log, start=instant(start.at)[:26], end=instant(end.at + 1_000)[:26])
    times = [record.at for record in cut.records]
    assert start.at in times and end.at in times
    assert min(times) >= start.at and max(times) <= end.at + 1_000


def test_an_incident_opens_straight_from_a_log(log: Path, tmp_path: Path) -> None:
    """What is opened from the log is what its bundle holds."""
    straight = incident_of(log, "main", "3", "12")
    bundle = incident_of(saved(straight, tmp_path / "x.gz"), "main")
    assert bundle == straight


def test_a_log_that_is_being_written_can_be_cut(tmp_path: Path) -> None:
    """The writer need not stop for an export."""
    path = tmp_path / "log.db"
    content = {"schema": 1, "stimulus": {"at": 1, "stimulus": "closed"}, "outcome": {"rule": "x"}}
    record = NewRecord(bytes(16), 1, "closed", None, None, codec.encode(content))
    with open_store(path) as store:
        store.append("main", [record])
        assert len(incident_of(path).records) == 1


@pytest.mark.parametrize(
    ("given", "why", "hint"),
    [
        ({"account": "nobody"}, "no account of this name", "status"),
        ({"start": "9999"}, "no record in this range", "timeline"),
        ({"start": "9", "end": "5"}, "no record in this range", "timeline"),
        ({"end": "2020-01-01"}, "no record in this range", "timeline"),
        ({"start": "yesterday"}, "neither a position nor a time", "15m"),
        ({"start": "1m", "end": "2m"}, "ends before it begins", "the day"),
    ],
)
def test_a_range_without_records_is_refused(
    log: Path, given: dict[str, Any], why: str, hint: str
) -> None:
    """The error says what is missing and how to find what there is."""
    with pytest.raises(InputError, match=why) as caught:
        incident_of(log, **given)
    assert hint in caught.value.hint


def test_an_account_must_be_named_where_there_are_several(two: Path) -> None:
    """A log of two accounts does not guess."""
    with pytest.raises(InputError, match="2 accounts") as caught:
        incident_of(two)
    assert "--account" in caught.value.hint


def test_a_bundle_is_taken_whole(log: Path, tmp_path: Path) -> None:
    """A range of a bundle, or another account than its own, is refused."""
    path = saved(incident_of(log), tmp_path / "x.gz")
    with pytest.raises(InputError, match="cut out of a log only"):
        incident_of(path, start="3")
    with pytest.raises(InputError, match="of the account main"):
        incident_of(path, "other")


def test_what_is_neither_log_nor_bundle_is_refused(tmp_path: Path) -> None:
    """A path that is nothing of the two, or nothing at all, is a clear error."""
    (tmp_path / "x.txt").write_text("hello")
    for path in (tmp_path / "x.txt", tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadBundle) as caught:
            incident_of(path)
        assert str(path) in caught.value.message and caught.value.hint


def anchored(log: Path, position: int, **others: Point) -> Anchor:
    """An anchor of a log at a position, with these heads of other accounts."""
    with open_reader(log) as reader:
        view = Projections(reader).as_of("main", position=position)
        heads = {"main": Point(view.version, view.chain.hex()), **others}
        count = sum(head.version for head in heads.values())
        return Anchor(at=1, heads=heads, log=reader.log_id.hex(), position=count, previous=None)


def test_an_anchor_goes_with_the_range_it_covers(log: Path, tmp_path: Path) -> None:
    """The first anchor at or after the end is taken, with the leaves that lead to it."""
    early, next_one, late = anchors = [anchored(log, position) for position in (5, 9, 12)]
    with open_reader(log) as reader:
        for end, anchor, leaves in ((7, next_one, 2), (9, next_one, 0), (10, late, 2)):
            cut_at = Moment(position=end)
            bundle = cut(reader, end=cut_at, at=1, anchors=anchors)
            assert bundle.trailer.anchor == anchor
            assert len(bundle.trailer.onward) == leaves
            assert read_bundle(saved(bundle, tmp_path / f"{end}.gz")) == bundle
        assert cut(reader, at=1, anchors=anchors).trailer.anchor is None
        wrong = replace(late, heads={"main": Point(late.position, "0" * 64)})
        with pytest.raises(BadBundle, match="anchor is not of these records"):
            saved(cut(reader, end=Moment(position=9), at=1, anchors=[early, wrong]), tmp_path / "x")


def test_an_anchor_of_too_many_accounts_stays_behind(log: Path, tmp_path: Path) -> None:
    """The leaves go without it: beside the bundle it still proves each of its records."""
    anchor = anchored(
        log, 9, **{f"support-{number:05}": Point(1, "0" * 64) for number in range(10_000)}
    )
    with open_reader(log) as reader:
        bundle = cut(reader, end=Moment(position=7), at=1, anchors=[anchor])
    assert bundle.trailer.anchor is None and len(bundle.trailer.onward) == 2
    path = saved(bundle, tmp_path / "x.gz")
    assert read_bundle(path) == bundle
    assert verify_bundle(path).last_good_anchor is None
    assert verify_bundle(path, anchors=[anchor]).last_good_anchor is not None
    assert not verify_bundle(path, anchors=[replace(anchor, heads={"main": Point(9, "0" * 64)})]).ok


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A log whose older records are in two bundles, and the last position of `main` in them."""
    folder = tmp_path_factory.mktemp("archived")
    ends = lived(folder / "log.db")
    moved(folder / "log.db", ends[2] + 1, folder / "archive")
    moved(folder / "log.db", ends[6] + 1, folder / "archive")
    with open_reader(folder / "log.db") as reader:
        record = reader.archived("main")
        assert record is not None
        return folder / "log.db", archive_of(record).position


def test_a_range_begins_with_the_first_record_that_is_left(archived: tuple[Path, int]) -> None:
    """Without a start nothing is promised of what was archived; the header says what is before."""
    log, last = archived
    bundle = incident_of(log, "main")
    assert bundle.records[0].position > last
    assert bundle.header.before.version == bundle.header.first - 1 > 0
    again = incident_of(log, "main", str(last + 1))
    assert again.records == bundle.records and again.header.snapshot == bundle.header.snapshot


@pytest.mark.parametrize("given", ["start 1", "start last", "start at", "end last", "end 1"])
def test_a_range_from_before_the_archive_is_refused(archived: tuple[Path, int], given: str) -> None:
    """Nothing is left out silently: the error names the bundle to look in."""
    log, last = archived
    side, what = given.split()
    moments = {"1": "1", "last": str(last), "at": "2020-01-01"}
    with pytest.raises(BeforeTheArchive, match=f"up to position {last} are archived") as caught:
        incident_of(log, "main", **{side: moments[what]})
    [name] = [
        found for found in (log.parent / "archive").iterdir() if found.name in caught.value.hint
    ]
    assert read_bundle(name).records[-1].position == last


def test_an_anchor_from_before_the_archive_is_passed_over(tmp_path: Path) -> None:
    """A range of what is left goes with the next anchor, though older ones are of the archive."""
    path = tmp_path / "log.db"
    for seed in range(4):
        with Bench(path, seed=seed) as bench:
            if not seed:
                bench.claim("A")
                bench.up()
            bench.feed("activity", controller="A")
            AnchorFile(bench.store, anchors_path(path)).add(seed)
    moved(path, 5, tmp_path / "archive")
    assert incident_of(path, "main").records[0].version == 5
    bundle = incident_of(path, end="5")
    assert bundle.trailer.anchor is not None and bundle.trailer.anchor.position == 5
    assert incident_of(saved(bundle, tmp_path / "x.gz")) == bundle
