"""The operator's reading commands: data and tables from a real log."""

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from linewarden.eventstore import Store
from linewarden.projections.why import NothingKnown
from linewarden.statemachine.errors import InputError
from linewarden.statemachine.lifecycle import TABLE
from linewarden.statemachine.policy import NS
from linewarden.tools import reading, tables
from linewarden.tools.chart import chart, words_of
from linewarden.tools.moments import Moment, clock, instant, moment, plain, relative, span

Lines = Callable[[str], Any]


@pytest.fixture
def lines_of_a_gateway(lines: Lines) -> dict[str, Any]:
    """One line is live, one waits in a gap with a held reply, one was logged out."""
    live, waiting, ended = lines("live"), lines("waiting"), lines("ended")
    for line in (live, waiting, ended):
        line.connect(f"{line.name}-1")
    live.submit("r-live", chat="chat_7")
    live.tell("send_acked", reply="r-live", message_id="m1")
    waiting.tell("closed", code=408, source="baileys")
    waiting.submit("r-held", captured_on="waiting-1")
    ended.tell("closed", code=401, source="baileys")
    ended.at += 2 * NS
    ended.submit("r-late", captured_on="ended-1")
    return {"live": live, "waiting": waiting, "ended": ended}


def test_status_tells_how_every_account_stands(
    store: Store, lines_of_a_gateway: dict[str, Any]
) -> None:
    """State, owner, cause, next timer, proof and held replies, by account."""
    rows = {row.account: row for row in reading.status(store)}
    assert list(rows) == ["ended", "live", "waiting"]
    live, waiting, ended = rows["live"], rows["waiting"], rows["ended"]
    assert (live.state, live.live, live.proof) == ("connected", True, "send_acked")
    assert live.identity == ["idn_pn_1", "idn_lid_1"]
    at = lines_of_a_gateway["waiting"].at
    assert (waiting.state, waiting.timer, waiting.due) == ("reconnect-gap", "retry", at + NS)
    assert (waiting.held, waiting.attempt, waiting.gap_since) == (1, 1, at - NS)
    assert (ended.state, ended.cause, ended.timer) == ("logged-out", "logged_out", None)
    table = tables.status(list(rows.values()), at)
    assert re.search(r"waiting +reconnect-gap +1 s ago .* retry in 1 s", table)
    assert "send_acked" in table


def test_status_of_one_account_is_told_in_full(
    store: Store, lines_of_a_gateway: dict[str, Any]
) -> None:
    """Every fact has a line; as of a moment it is how it was."""
    at = lines_of_a_gateway["waiting"].at
    told = tables.status(reading.status(store, "waiting"), at)
    assert re.search(r"next +retry in 1 s", told) and re.search(r"replies +1 held", told)
    [before] = reading.status(store, "waiting", Moment(at=at - 2 * NS))
    assert before.state == "connected" and before.held == 0
    assert tables.status([], at) == "The log has no account yet."


def test_an_unknown_account_is_a_clear_error(store: Store) -> None:
    """Every command says so, without repeating the name."""
    for ask in (reading.status, reading.replies, reading.timeline):
        with pytest.raises(NothingKnown):
            ask(store, "nobody")
    with pytest.raises(NothingKnown):
        reading.gaps(store, 0, "nobody")
    with pytest.raises(NothingKnown):
        reading.why(store)


def test_the_timeline_is_a_table(store: Store, lines_of_a_gateway: dict[str, Any]) -> None:
    """A row a record with rule, state and effects; the account where there are several."""
    table = tables.timeline(reading.timeline(store, "waiting"))
    assert re.search(r"closed 408 +close\.transient\.retry +→ reconnect-gap", table)
    assert "account" not in table.splitlines()[0]
    several = tables.timeline(reading.timeline(store, limit=4))
    assert "account" in several.splitlines()[0] and len(several.splitlines()) == 6
    assert "r-late refused (logged_out)" in several
    positions = [e.position for e in reading.timeline(store, start=Moment(position=3))]
    assert positions[0] == 3
    assert tables.timeline([]) == "There is no record between these moments."


def test_why_finds_the_account_by_itself(store: Store, lines_of_a_gateway: dict[str, Any]) -> None:
    """A reply or a controller names its account; of several accounts one must be named."""
    told = tables.why(reading.why(store, reply="r-late"))
    assert told.startswith("The reply is refused. It was not sent: the account was logged out.")
    assert "It was never written." in told and "r-late refused (logged_out)" in told
    told = tables.why(reading.why(store, reply="r-live"))
    assert "Written once, the last time through live-1." in told
    assert reading.why(store, controller="ended-1").account == "ended"
    with pytest.raises(InputError, match="3 accounts"):
        reading.why(store)
    told = tables.why(reading.why(store, "live"))
    assert "Newest proof: send_acked" in told and "opened.connected" in told


def test_gaps_are_told_with_what_they_cost(
    store: Store, lines_of_a_gateway: dict[str, Any]
) -> None:
    """Length, cause, held replies and the interval in which inbound is uncertain."""
    now = lines_of_a_gateway["waiting"].at + 4 * NS
    rows = {row.account: row for row in reading.gaps(store, now)}
    assert set(rows) == {"waiting", "ended"}
    assert (rows["waiting"].seconds, rows["waiting"].held, rows["ended"].refused) == (5.0, 1, 1)
    table = tables.gaps(list(rows.values()), now)
    assert re.search(r"waiting .* 5 s +transient +waiting-1 +still open", table)
    assert table.endswith("2 gaps, 10 s in all")
    assert tables.gaps([], now) == "There was no gap."


def test_replies_are_told_with_their_outcome(
    store: Store, lines_of_a_gateway: dict[str, Any]
) -> None:
    """By submission, of one outcome or all, the last ones first to stay."""
    assert [row.reply for row in reading.replies(store)] == ["r-live", "r-held", "r-late"]
    assert [row.reply for row in reading.replies(store, outcome="held")] == ["r-held"]
    [last] = reading.replies(store, limit=1)
    assert (last.reply, last.outcome, last.reason) == ("r-late", "refused", "logged_out")
    table = tables.replies(reading.replies(store), lines_of_a_gateway["ended"].at)
    assert re.search(r"live +r-live +sent +live-1 +1 .* chat_7", table)
    assert tables.replies([], 0) == "There is no reply, or none with this outcome."


def test_answers_are_plain_json(store: Store, lines_of_a_gateway: dict[str, Any]) -> None:
    """Every answer can be written as JSON, instants as text, because numbers would be rounded."""
    answers = [
        reading.status(store),
        reading.timeline(store),
        reading.why(store, "live"),
        reading.why(store, reply="r-held"),
        reading.why(store, controller="ended-1"),
        reading.gaps(store, lines_of_a_gateway["live"].at),
        reading.replies(store),
    ]
    written = orjson.dumps([plain(answer) for answer in answers]).decode()
    assert not re.search(r"\d{19}", re.sub(r'"id":"[^"]*"', "", written))
    [standing] = plain(reading.status(store, "waiting"))
    assert standing["due"] == instant(lines_of_a_gateway["waiting"].at + NS)
    assert standing["hold_until"] is None
    why = plain(reading.why(store, reply="r-held"))
    assert why["connection"]["next_timer"]["timer"] == "retry"
    assert why["reply"]["submitted_at"].endswith("Z")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", Moment(position=1234)),
        ("15m", Moment(at=100 * NS)),
        ("-15 min", Moment(at=100 * NS)),
        ("1s ago", Moment(at=999 * NS)),
        ("1970-01-01T00:00:01.5", Moment(at=1_500_000_000)),
        ("1970-01-01T01:00:01+01:00", Moment(at=NS)),
    ],
)
def test_a_moment_is_read_as_operators_write_it(text: str, expected: Moment) -> None:
    """A position, a span back from now, or a time, UTC where it names no zone."""
    assert moment(text, 1_000 * NS) == expected


@pytest.mark.parametrize("text", ["", "soon", "5 weeks", "2026-13-01", "12:99"])
def test_what_is_no_moment_is_a_clear_error(text: str) -> None:
    """The error shows how to write one."""
    with pytest.raises(InputError) as raised:
        moment(text, 0)
    assert "15m" in raised.value.hint


def test_spans_and_instants_read_well() -> None:
    """Two units at most, and the milliseconds where they matter."""
    spans = {0: "0 s", 350_000_000: "0.35 s", 42 * NS: "42 s", 185 * NS: "3 min 5 s",
             7_800 * NS: "2 h 10 min", 86_400 * NS: "1 d", 97_200 * NS: "1 d 3 h"}  # fmt: skip
    assert {ns: span(ns) for ns in spans} == spans
    assert (relative(5 * NS, 10 * NS), relative(10 * NS, 5 * NS)) == ("5 s ago", "in 5 s")
    assert instant(1_500_000_001) == "1970-01-01T00:00:01.500000001Z"
    assert clock(1_500_000_001) == "1970-01-01 00:00:01.500"


def test_the_chart_shows_every_row_that_moves() -> None:
    """Each has its words on an arrow that leads where the table leads."""
    drawn = chart()
    assert drawn == chart() and drawn.startswith("stateDiagram-v2\n")
    arrows = dict(re.findall(r"^ +(\w+ --> \w+) : (.+)$", drawn, flags=re.MULTILINE))
    for row in TABLE:
        for source in row.sources:
            if row.target is None or row.target is source:
                continue
            direct = arrows.get(f"{source.value} --> {row.target.value}", "")
            together = arrows.get(f"alive --> {row.target.value}", "")
            assert words_of(row.trigger) in f"{direct}, {together}", row
