"""`mermaid-sequence` and `mermaid-state`: diagrams that mermaid can read, whatever is told."""

import re
from collections.abc import Callable

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import stimuli as st
from linewarden.tools.render.plain_text import plain
from linewarden.tools.render.sequence import MARKS_MAX

from ..replay.logs import at, claimed, closed, fired, incident_of, opened
from .pictures import EVIL, conflict, hostile, restarted, text_of

# As much of mermaid's grammar as these diagrams use: a line that is none of these is an escape.
TEXT = r"[^\n;:#%<>\"`$\\{}\[\]]*"
SEQUENCE = re.compile(
    rf"sequenceDiagram|    participant [SCL]\d* as {TEXT}"
    rf"|    [SCL]\d*-?->>[SCL]\d*: {TEXT}|    Note over L: {TEXT}"
    r"|    Note over L: from \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC"
)
STATE = r"(?:\[\*\]|[a-z_]+)"
STATES = re.compile(
    rf"stateDiagram-v2|    state \"[a-z-]+\" as [a-z_]+|    [a-z_]+ : {TEXT}"
    rf"|    {STATE} --> {STATE} : {TEXT}"
)


@pytest.mark.parametrize("incident", [restarted, conflict, hostile])
def test_every_line_is_of_the_grammar(incident: Callable[[], Bundle]) -> None:
    """No text can end its line, begin another or be anything but text."""
    bundle = incident()
    for form, grammar in (("mermaid-sequence", SEQUENCE), ("mermaid-state", STATES)):
        for line in text_of(bundle, form).rstrip("\n").split("\n"):
            assert grammar.fullmatch(line), line


@pytest.mark.parametrize("text", EVIL)
def test_what_could_be_grammar_is_not_shown(text: str) -> None:
    """Quotes, markup, line ends, comments and arrows become question marks; nothing is empty."""
    shown = plain(text * 3)
    assert re.fullmatch(TEXT, shown) and shown.strip() and "--" not in shown
    assert len(shown) <= 60 and shown.isprintable()


def test_who_told_what_and_what_came_of_it() -> None:
    """The sequence has the stimulus, the rule, the effect and the outcome of the reply."""
    drawn = text_of(restarted(), "mermaid-sequence")
    for line in (
        "S2->>L: 5 closed 408 (A)",
        "Note over L: close.transient.retry → reconnect-gap",
        "L->>C2: dial socket 1",
        "L->>C2: send text",
        "L-->>S1: reply text sent",
        "Note over L: 48 s later",
    ):
        assert f"    {line}\n" in drawn
    assert "L->>S3: notify conflict" in text_of(conflict(), "mermaid-sequence")


def test_signs_of_life_are_one_note() -> None:
    """A long stretch of signs of life is told by one line with counts."""
    signs = [st.Activity(at=at(2 + i), controller="A", source="baileys") for i in range(50)]
    drawn = text_of(incident_of(claimed(), opened(1), *signs, closed(60)), "mermaid-sequence")
    assert "50 records of no consequence in 49 s (activity.proof ×50)" in drawn
    assert drawn.count("activity") == 1


def test_a_storm_is_counted_by_stimuli() -> None:
    """What shares a record counts as often as it was observed."""
    bundle = incident_of(
        claimed(),
        opened(1),
        *(st.Closed(at=at(2 + i), controller="Z", source="baileys", times=500) for i in range(3)),
    )
    told = text_of(bundle, "mermaid-sequence")
    assert "3 records of no consequence in 2 s (late.close ×1500)" in told


def test_a_long_incident_stays_a_diagram() -> None:
    """The middle of a long one is cut with a note: mermaid refuses more than 50,000 characters."""
    loop = [
        step
        for i in range(400)
        for step in (opened(i * 100 + 1), closed(i * 100 + 70), fired(i * 100 + 72, "retry"))
    ]
    drawn = text_of(incident_of(claimed(), *loop), "mermaid-sequence")
    assert drawn.count("->>L:") <= MARKS_MAX
    assert len(drawn) < 50_000
    assert re.search(r"Note over L: \d+ records left out in ", drawn)


def test_states_have_counts_and_durations() -> None:
    """Each state that was passed says how often and for how long, each arrow by which rules."""
    drawn = text_of(restarted(), "mermaid-state")
    for line in (
        "connected : 2 times, 1 min 48 s in all",
        "reconnect_gap : 1 time, 0.114 s in all",
        "[*] --> connecting : claim.first ×1, claim.supersedes ×1",
        "connected --> reconnect_gap : close.transient.retry ×1",
        "reconnect_gap --> superseded : claim.supersedes ×1",
    ):
        assert f"    {line}\n" in drawn
    assert "logged_out" not in drawn
