"""The glossary has every word of the code that can stand in a record."""

import re
from typing import get_args, get_type_hints

import pytest

from linewarden.statemachine.closes import CloseClass
from linewarden.statemachine.lifecycle import TABLE, UNCLAIMED, Phase, State
from linewarden.statemachine.outcome import Effect, ReplyOutcome
from linewarden.statemachine.stimuli import KINDS, Activity, SendFailed, TimerName

from .pages import text_of, without_blocks

RULES = {row.rule for row in TABLE} | {"claim.first", UNCLAIMED}
WORDS = {
    "states": {state.value for state in State},
    "phases": {phase.value for phase in Phase},
    "classes of closing": {kind.value for kind in CloseClass},
    "stimuli": set(KINDS),
    "timers": set(get_args(TimerName)),
    "effects": {str(kind.__struct_config__.tag) for kind in get_args(Effect)},
    "reply outcomes": {*get_args(ReplyOutcome), "held", "sending"},
    "rules": RULES,
    "evidence": set(get_args(get_type_hints(Activity)["evidence"])),
    "kinds of failure": set(get_args(get_type_hints(SendFailed)["kind"])),
}
SECTIONS = {
    "states": "States",
    "classes of closing": "Classes of closing",
    "stimuli": "Stimuli",
    "timers": "Timers",
    "effects": "Effects",
    "reply outcomes": "Replies",
    "rules": "Rules",
}


def section(title: str) -> str:
    """The text of a section of the glossary."""
    text = text_of("docs/glossary.md")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", without_blocks(text)))


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_the_glossary_has_every_word(kind: str) -> None:
    """Every word of the code that a record can hold stands in its section of the glossary."""
    text = section(SECTIONS[kind]) if kind in SECTIONS else text_of("docs/glossary.md")
    assert not WORDS[kind] - quoted(text)


def test_the_glossary_has_no_rule_of_the_past() -> None:
    """Every rule in the glossary is a rule of the table."""
    rows = [line.split("|")[1] for line in section("Rules").splitlines() if line.startswith("| `")]
    assert not quoted("\n".join(rows)) - RULES


@pytest.mark.parametrize("title", ["Stimuli", "Effects", "Timers"])
def test_rows_of_the_glossary_are_words_of_the_code(title: str) -> None:
    """What a table of the glossary lists first exists in the code."""
    known = set().union(*WORDS.values())
    rows = [line for line in section(title).splitlines() if line.startswith("| `")]
    assert not {row.split("`")[1] for row in rows} - known
