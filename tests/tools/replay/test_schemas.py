"""Bundles of older schemas replay for ever."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from linewarden.eventstore import NewRecord, codec, upcast
from linewarden.eventstore.bundle_reading import read_bundle
from linewarden.tools.explore.causes import read
from linewarden.tools.replay import reading
from linewarden.tools.replay.fixture import differences
from linewarden.tools.replay.reading import Unreadable, content_of
from linewarden.tools.replay.replay import replay

from .logs import at, bundle_of, claimed, closed, fired, incident_of, opened, steps_of

FOLDER = Path(__file__).resolve().parents[2] / "incidents"

# These files are never changed and never let go: logs of that time are still in service.
SCHEMA_1 = {
    "au-021-pairing-failed-then-echo": "e9133e261c417131",
    "au-044-own-doing-third": "30e6cce31e1e04da",
    "au-047-503-then-own-replaced": "0c09783e9d16bdde",
    "au-077-order-over-expired-heads": "7a69ec5a9fd65113",
    "au-078-bound-and-other-reasons": "05d14ca81c4ada70",
    "au-080-worker-death-in-the-gap": "5e05a6960dcc32e4",
    "au-090-gap-notice-over-a-crash": "4488fd78497200da",
    "au-109-service-stop-asks-again": "5d1eb07d7ae7cde4",
    "au-140-ban-told-again-outage-not": "47c1e431cd7f57b6",
    "oc-032-owner-died-handover-timer": "52d4ae8e4c8140ec",
    "oc-038-515-then-401-after-pairing": "4181385ed77aad5b",
    "oc-078-unknown-code-is-bounded": "b403b5bc6e5a86d4",
    "tr-09-from-the-middle": "7a49c7fbf93e14d1",
    "tr-31-sleep-wake-listener-dead": "87987d52b997c0eb",
    "tr-59-logged-out-only-logged": "7f2e2d3568f82c79",
    "wm-009-keepalive-degraded-and-restored": "c29f79ad466f73e1",
    "wm-011-stream-error-516": "a561e969a5d69886",
    "wm-018-pn-and-lid-meet-through-the-map": "418ec6fbeb6c4cdb",
}
STIMULI_OF_SCHEMA_1 = 34
FIELDS_OF_SCHEMA_1 = 43


@pytest.mark.parametrize("name", SCHEMA_1)
def test_a_bundle_of_schema_1_replays(name: str) -> None:
    """A bundle as the first release wrote it is there, unchanged, and replays open and closed."""
    path = FOLDER / "schema-1" / f"{name}.incident.jsonl.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(SCHEMA_1[name])
    assert differences(path) == []
    bundle = read_bundle(path)
    assert bundle.header.schema == 1
    assert replay(bundle, closed=True).first is None


def test_the_bundles_of_schema_1_are_varied() -> None:
    """Together they hold every stimulus and every change of that time, and one has a snapshot."""
    bundles = [read_bundle(path) for path in sorted((FOLDER / "schema-1").iterdir())]
    assert len(bundles) == len(SCHEMA_1)
    types = {record.type for bundle in bundles for record in bundle.records}
    assert len(types) == STIMULI_OF_SCHEMA_1
    changed = {
        name for bundle in bundles for step in steps_of(bundle) for name in step.decided.changes
    }
    assert len(changed) == FIELDS_OF_SCHEMA_1
    assert any(bundle.header.snapshot for bundle in bundles)


def renamed(content: dict[str, Any]) -> dict[str, Any]:
    """What an upcast would do if a later schema had said `opened` for `socket_up`."""
    if content["stimulus"]["stimulus"] == "socket_up":
        content["stimulus"] = {**content["stimulus"], "stimulus": "opened"}
    return content


def test_an_older_record_is_read_as_todays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older schema called otherwise is lifted to today's names, and then replays."""
    bundle = incident_of(claimed(), opened(1), closed(2), fired(4, "retry"))
    news: list[NewRecord] = []
    for one in bundle.records:
        body = one.body.replace(b'"stimulus":"opened"', b'"stimulus":"socket_up"')
        news.append(NewRecord(one.id, one.at, one.type, one.state, one.reply, body))
    old = bundle_of(news)
    assert replay(old).first is not None
    monkeypatch.setattr(reading, "SCHEMA", 2)
    monkeypatch.setitem(upcast.RECORDS, 1, renamed)
    for loop in (False, True):
        assert replay(old, closed=loop).first is None
    monkeypatch.setitem(upcast.RECORDS, 1, lambda content: content["what was never there"])
    assert replay(old).divergences[0].kind == "schema"


def test_a_snapshot_is_lifted_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account of an older schema goes through each step between, and is not changed itself."""
    monkeypatch.setitem(upcast.STATES, 1, lambda plain: plain | {"b": plain.pop("a")})
    monkeypatch.setitem(upcast.STATES, 3, lambda plain: plain | {"c": plain["b"] + 1})
    given = {"a": 1}
    assert upcast.upcast_state(given, 1, 4) == {"b": 1, "c": 2}
    assert upcast.upcast_state(given, 4, 4) is given == {"a": 1}


def test_a_record_of_the_future_is_refused() -> None:
    """A record of a newer schema is told by its position, whether it could be parsed or not."""
    bundle = incident_of(claimed(), opened(1))
    content = codec.decode(bundle.records[1].body) | {"schema": 99}
    news = NewRecord(bytes(16), at(1), "opened", "connected", None, codec.encode(content))
    [record] = bundle_of([news]).records
    with pytest.raises(Unreadable, match="record 1 ") as raised:
        content_of(record)
    assert raised.value.position == 1


@pytest.mark.parametrize(
    "changes",
    [{"retry_at": "soon"}, {"stability_at": {}}, {"replies": {"r1": 1}}, {"lingering": [1]}],
    ids=str,
)
def test_an_outcome_of_wrong_types_is_told_where_it_stands(changes: dict[str, Any]) -> None:
    """Whoever forged a bundle gets no traceback, in either loop: the record can't be read."""
    bundle = incident_of(claimed(), opened(1), closed(2))
    news = []
    for record in bundle.records:
        content = codec.decode(record.body)
        if record.version == 2:
            content["outcome"]["changes"] |= changes
        head = (record.id, record.at, record.type, record.state, None)
        news.append(NewRecord(*head, codec.encode(content)))
    forged = bundle_of(news)
    for loop in (False, True):
        [told] = replay(forged, closed=loop).divergences
        assert (told.kind, told.position) == ("schema", 2)
    with pytest.raises(Unreadable, match="record 2 "):
        read(forged)
