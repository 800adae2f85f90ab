"""`perfetto`, `otlp` and `cloudevents`: what other tools read, as their formats say."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from linewarden.eventstore import NewRecord, encode
from linewarden.eventstore.bundle_format import Bundle

from ..incidents import FILES, bundle_of_scenario
from ..replay.logs import at, bundle_of
from .pictures import conflict, hostile, restarted, text_of

SAMPLE = FILES[::9]


@pytest.fixture(params=[restarted, conflict, hostile])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    made: Bundle = request.param()
    return made


def check_trace(trace: dict[str, Any]) -> None:
    named, spans = set(), {}
    for event in trace["traceEvents"]:
        assert event["ph"] in {"M", "X", "i", "C"} and event["pid"] == 1
        assert type(event["tid"]) is int and type(event["name"]) is str
        if event["ph"] == "M":
            named.add(event["tid"])
            continue
        assert event["ts"] >= 0 and event["tid"] in named
        if event["ph"] == "X":
            assert event["dur"] >= 0 and type(event["cat"]) is str
            spans.setdefault(event["tid"], []).append((event["ts"], event["dur"]))
        if event["ph"] == "i":
            assert event["s"] == "t"
    drawn: dict[int, float] = {}
    for event in trace["traceEvents"]:
        if event["ph"] != "M":
            assert event["ts"] >= drawn.get(event["tid"], 0), "a track goes back"
            drawn[event["tid"]] = event["ts"]
    # Where slices of one track overlap without nesting, an importer drops one of them.
    for track in spans.values():
        for (start, length), (following, _) in pairwise(sorted(track)):
            assert start + length <= following + 0.001


def test_perfetto_is_valid(bundle: Bundle) -> None:
    """Every event has its phase, its track and its times, and on no track spans overlap."""
    trace = json.loads(text_of(bundle, "perfetto"))
    check_trace(trace)
    assert trace["displayTimeUnit"] == "ms"
    assert trace["otherData"]["log"] == bundle.header.log


def test_perfetto_has_a_track_for_everything() -> None:
    """State, sockets, timers, replies, gaps and records each have tracks, in this order."""
    events = json.loads(text_of(restarted(), "perfetto"))["traceEvents"]
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert names[:3] == ["state of A (epoch 1)", "state of B (epoch 2)", "sockets"]
    assert {"timer retry", "replies 1", "replies 2", "gaps", "records"} <= set(names)
    gap = next(event for event in events if event.get("cat") == "gap")
    assert (gap["ts"], gap["dur"]) == (108_578_000.0, 7_622_000.0)


def check_value(value: dict[str, Any]) -> None:
    [(kind, inner)] = value.items()
    kinds = {"stringValue": str, "intValue": str, "boolValue": bool}
    assert type(inner) is kinds[kind]
    if kind == "intValue":
        assert re.fullmatch(r"-?\d+", inner)


def check_attributes(attributes: list[dict[str, Any]]) -> None:
    assert len({one["key"] for one in attributes}) == len(attributes)
    for one in attributes:
        assert set(one) == {"key", "value"}
        check_value(one["value"])


def check_span(span: dict[str, Any]) -> None:
    assert set(span) <= {
        "traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano",
        "endTimeUnixNano", "attributes", "events", "links", "status",
    }  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{32}", span["traceId"]) and int(span["traceId"], 16)
    assert re.fullmatch(r"[0-9a-f]{16}", span["spanId"]) and int(span["spanId"], 16)
    assert span["kind"] in range(1, 6) and span["name"]
    for name in ("startTimeUnixNano", "endTimeUnixNano"):
        assert re.fullmatch(r"\d+", span[name]) and type(span[name]) is str
    assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"])
    check_attributes(span["attributes"])
    for event in span.get("events", ()):
        assert set(event) == {"timeUnixNano", "name", "attributes"}
        check_attributes(event["attributes"])
    assert span.get("status", {}).get("code", 0) in range(3)


def test_otlp_is_valid(bundle: Bundle) -> None:
    """Names, hex ids, 64-bit numbers as text and enums as numbers, as OTLP's JSON asks."""
    request = json.loads(text_of(bundle, "otlp"))
    [resource] = request["resourceSpans"]
    check_attributes(resource["resource"]["attributes"])
    [scope] = resource["scopeSpans"]
    assert set(scope["scope"]) == {"name", "version"}
    check_spans(scope["spans"])


def check_spans(spans: list[dict[str, Any]]) -> None:
    for span in spans:
        check_span(span)
    ids = [span["spanId"] for span in spans]
    assert len(set(ids)) == len(ids)
    assert len({span["traceId"] for span in spans}) == 1
    assert [span["spanId"] for span in spans if "parentSpanId" not in span] == ids[:1]
    for span in spans:
        assert span.get("parentSpanId", ids[0]) in ids
        assert all(link["spanId"] in ids for link in span.get("links", ()))


def spans_of(bundle: Bundle) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = json.loads(text_of(bundle, "otlp"))["resourceSpans"][0][
        "scopeSpans"
    ][0]["spans"]
    return spans


def test_no_two_spans_have_one_id() -> None:
    """Not even where a bundle from elsewhere tells of two controllers in one epoch."""
    said = [
        NewRecord(
            bytes([n] * 16), at(n), "claimed", "connecting", None,
            encode({
                "stimulus": {"stimulus": "claimed", "at": at(n), "controller": name},
                "outcome": {"rule": "claim.first", "changes": {
                    "controller": name, "epoch": 1, "state": "connecting", "since": at(n)}},
                "schema": 1,
            }),
        )
        for n, name in enumerate("ABC")
    ]  # fmt: skip
    spans = spans_of(bundle_of(said))
    check_spans(spans)
    assert len(spans) == 4


def test_perfetto_counts_microseconds() -> None:
    """A record is where its time is, to the nanosecond, in microseconds since the first one."""
    bundle = restarted()
    events = json.loads(text_of(bundle, "perfetto"))["traceEvents"]
    records = [event["ts"] for event in events if event.get("cat") == "record"]
    start = bundle.records[0].at
    assert [round(ts * 1_000) for ts in records] == [one.at - start for one in bundle.records]


def test_otlp_has_lives_dials_stretches_and_replies() -> None:
    """A dial that opened and a reply that was sent are well; a controller that was lost is not."""
    spans = spans_of(restarted())
    names = [span["name"] for span in spans]
    assert names == [
        "incident main", "controller A", "controller B", "dial 1", "dial 1", "connected",
        "connected", "reply sent", "reply sent",
    ]  # fmt: skip
    assert [span["status"]["code"] for span in spans if span["name"] == "dial 1"] == [1, 1]
    lost = spans_of(conflict())
    assert lost[1]["status"] == {"code": 2, "message": "conflict"}
    assert lost[-1]["status"] == {"code": 2, "message": "conflict"}


def test_cloudevents_are_the_exact_records(bundle: Bundle) -> None:
    """The batch is JSON, each event has what CloudEvents 1.0 asks, and the hashed bytes."""
    events = json.loads(text_of(bundle, "cloudevents"))
    assert len(events) == len(bundle.records)
    for event, record in zip(events, bundle.records, strict=True):
        assert event["specversion"] == "1.0"
        assert event["source"] == f"urn:linewarden:{bundle.header.log}"
        assert event["type"].startswith("linewarden.") and event["id"]
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
        assert encode(event["data"]) == record.body


@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.stem)
def test_every_scenario_can_be_drawn(path: Any) -> None:
    """Whatever the scenarios play, every form can draw it, and twice the same."""
    bundle = bundle_of_scenario(path)
    check_trace(json.loads(text_of(bundle, "perfetto")))
    check_spans(spans_of(bundle))
    for form in ("mermaid-sequence", "mermaid-state", "html"):
        assert text_of(bundle, form) == text_of(bundle, form)
