"""The least of an incident: it shows what is kept, nothing more can go, and it is a bundle."""

import json
import random
import time
from itertools import combinations

import msgspec
import pytest
from msgspec.structs import replace

from linewarden.eventstore.anchor import Point
from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import closing
from linewarden.statemachine import stimuli as st
from linewarden.statemachine.errors import InputError
from linewarden.statemachine.invariants import Past
from linewarden.tools.explore.causes import caused_by, closed, read
from linewarden.tools.explore.minimise import judge_of, minimise
from linewarden.tools.explore.thinned import MARK, thinned
from linewarden.tools.replay.replay import replay

from ..incidents import RESTART, bundles_of_scenario
from ..replay import logs
from ..replay.logs import at, claimed, fired, incident_of, opened, steps_of
from ..replay.test_mutations import retried
from .conftest import acked, proven, submitted


def positions(bundle: Bundle, keep: str) -> list[int]:
    return [step.position for step in minimise(bundle, keep).steps]


def only(bundle: Bundle, places: list[int]) -> Bundle:
    """A bundle of some of the records of another, by their places, as a log would have it."""
    stimuli, _ = read(bundle)
    return incident_of(*(stimuli[place].stimulus for place in places))


def conflicts(bundle: Bundle) -> bool:
    return any(step.after.state is not None and step.after.state.value == "conflict"
               for step in steps_of(bundle))  # fmt: skip


def test_what_is_kept_is_still_so_with_the_fewest(bundle: Bundle) -> None:
    """The least row for a conflict is a claim and the 440, whatever happened between."""
    assert positions(bundle, "state == 'conflict'") == [1, 13]
    assert positions(bundle, "reply('r2').outcome == 'sent'") == [1, 8, 10, 11, 12]
    assert positions(bundle, "stimulus == 'timer_fired' and rule == 'retry.dial'") == [1, 7, 9]


def test_nothing_more_can_be_left_out(bundle: Bundle) -> None:
    """No part of what is left, as long as its causes are in it, still shows what is kept."""
    _, causes = read(bundle)
    least = [step.version - 1 for step in minimise(bundle, "state == 'conflict'").steps]
    assert conflicts(only(bundle, least))
    for count in range(1, len(least)):
        for fewer in combinations(least, count):
            assert not conflicts(only(bundle, closed(fewer, causes)))


def test_what_a_stimulus_caused_goes_with_it(bundle: Bundle) -> None:
    """A timer goes with what set it, the words about a reply with its submission."""
    _, causes = read(bundle)
    assert caused_by({6}, causes) == {6, 8}  # the close, its retry
    assert caused_by({3}, causes) == {3, 4}
    assert caused_by({7}, causes) == {7, 11}
    assert caused_by({1}, causes) == {1, 5}  # the opening, its stability
    assert closed([0, 4, 8, 12], causes) == [0, 12]


def test_what_the_service_recorded_as_a_cause_counts() -> None:
    """The answers of a driver go with the record that asked for them."""
    bundle = bundles_of_scenario(RESTART)[0]
    stimuli, causes = read(bundle)
    for record, needed in zip(bundle.records, causes, strict=True):
        cause = json.loads(record.body).get("causation")
        assert cause is None or cause - 1 in needed
    answers = [place for place, fed in enumerate(stimuli) if isinstance(fed.stimulus, st.SendAcked)]
    assert answers and all(causes[place] for place in answers)


def test_a_minimised_bundle_is_a_bundle_of_its_own(bundle: Bundle) -> None:
    """Another log, a mark in the header, versions in a row, positions and times as they were."""
    made = thinned(bundle, minimise(bundle, "reply('r2').outcome == 'sent'"))
    assert [one.header.build.endswith(MARK) for one in (made, bundle)] == [True, False]
    assert made.header.log != bundle.header.log
    assert [record.version for record in made.records] == [1, 2, 3, 4, 5]
    assert [record.position for record in made.records] == [1, 8, 10, 11, 12]
    times = {record.position: record.at for record in bundle.records}
    assert all(record.at == times[record.position] for record in made.records)
    for loop in (False, True):
        assert replay(made, closed=loop).first is None


def test_a_minimised_bundle_can_be_minimised_again(bundle: Bundle) -> None:
    """Nothing is left to leave out."""
    keep = "reply('r2').outcome == 'sent'"
    made = thinned(bundle, minimise(bundle, keep))
    assert positions(made, keep) == [1, 8, 10, 11, 12]


def test_a_divergence_is_kept_as_it_is(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same record diverges in the same rules, and nowhere else; without the bug it agrees."""
    monkeypatch.setattr(closing, "classify", retried)
    before = replay(bundle).first
    found = minimise(bundle, "diverges")
    assert found.told == "rule close.replaced.conflict -> close.transient.retry"
    made = thinned(bundle, found)
    after = replay(made)
    assert before is not None and after.first is not None
    assert (after.first.position, after.first.kind) == (before.position, before.kind)
    assert (after.first.rule, after.first.rule_now) == (before.rule, before.rule_now)
    assert len(after.divergences) == 1
    # The attempt and the notice of the gap are part of the difference: what led to them stays.
    assert [record.position for record in made.records] == [1, 7, 10, 11, 13]
    monkeypatch.undo()
    assert replay(made).first is None


def test_a_count_that_is_part_of_the_difference_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where older code gave up at the third close, all three stay, and nothing else that can go."""
    life: list[st.Stimulus] = [claimed(), opened(1), proven(2), submitted(3, "r1"), acked(4, "r1")]
    for second in (5, 10, 20):
        life += [logs.closed(second, 599), opened(second + 1), proven(second + 2)]
    monkeypatch.setattr(closing, "UNKNOWN_CLOSES_MAX", 2)
    bundle = incident_of(*life[:-2])
    monkeypatch.undo()
    found = minimise(bundle, "diverges")
    assert found.told == "rule close.gave_up -> close.unknown.retry"
    closes = [step.position for step in found.steps if isinstance(step.stimulus, st.Closed)]
    assert closes == [6, 9, 12]
    assert not any(isinstance(step.stimulus, st.ReplySubmitted) for step in found.steps)
    for step in found.steps:
        rest = [one.version - 1 for one in found.steps if one is not step]
        fewer = closed(rest, read(bundle)[1])
        steps = steps_of(only(bundle, fewer))
        assert not steps or steps[-1].decided != found.steps[-1].decided


def test_an_invariant_that_todays_code_breaks_is_kept(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name or its number; what is left breaks it too, at its last record."""
    monkeypatch.setattr(closing, "classify", retried)
    found = minimise(bundle, "invariant:replaced-no-retry")
    assert found.told == "`replaced` set a retry"
    assert [step.position for step in found.steps] == [1, 13]
    assert positions(bundle, "invariant:7") == [1, 13]
    made = thinned(bundle, found)
    assert replay(made).first is None
    judge, past = judge_of("7"), Past(made.before)
    assert [judge(step, past) for step in steps_of(made)] == [None, "`replaced` set a retry"]


def test_what_is_not_so_can_not_be_kept(bundle: Bundle) -> None:
    """It is said before anything is written, with what to do."""
    wrong = {
        "diverges": "replays as it was recorded",
        "invariant:7": "it is not so, with this code",
        "invariant:nothing": "no invariant of this name",
        "state == 'logged_out'": "it is not so",
        "recorded.rule == 'claim.first'": "what was recorded",
        "diverges and live": "what was recorded",
        "stat == 'closed'": "no name",
        "": "empty",
    }
    for keep, message in wrong.items():
        with pytest.raises(InputError, match=message) as caught:
            minimise(bundle, keep)
        assert caught.value.hint or keep == ""


def test_the_first_submission_of_a_repeated_reply_is_named_anew() -> None:
    """What names another record by its version names it by the new one."""
    life = [claimed(), opened(1), proven(2), logs.closed(3), fired(5, "retry"), opened(6)]
    life += [proven(7), submitted(8, "r1"), acked(9, "r1"), submitted(10, "r1", earlier=8)]
    bundle = incident_of(*life)
    made = thinned(bundle, minimise(bundle, "rule == 'reply.repeated'"))
    assert [record.position for record in made.records] == [1, 8, 10]
    assert json.loads(made.records[-1].body)["stimulus"]["earlier"] == 2
    assert replay(made).first is None


def test_an_incident_that_begins_in_mid_life_keeps_the_state_before_it() -> None:
    """The snapshot stays, and so may a row that holds no claim; versions go on from it."""
    whole = incident_of(claimed(), opened(1), proven(2), logs.closed(3), logs.closed(9, 440))
    steps, header = steps_of(whole), whole.header
    head = whole.records[2].chain.hex()
    later = replace(
        header,
        first=4,
        before=Point(3, head),
        snapshot=(snapshot := msgspec.to_builtins(steps[2].after)),
        policy=snapshot["overrides"],
    )
    bundle = replace(whole, header=later, records=whole.records[3:])
    made = thinned(bundle, minimise(bundle, "state == 'reconnect_gap'"))
    assert (made.header.first, made.header.last) == (4, 4)
    assert replay(made).first is None


def test_two_hundred_records_are_minimised_in_five_seconds() -> None:
    """Where little can go too: here every second record has to stay."""
    life: list[st.Stimulus] = [claimed(), opened(1), proven(2)]
    for number in range(98):
        life.append(submitted(10 + number, f"r{number}"))
        life.append(acked(10.5 + number, f"r{number}"))
    life.append(logs.closed(500, 440))
    bundle = incident_of(*life)
    assert len(bundle.records) == 200
    begun = time.perf_counter()
    all_sent = " and ".join(f"reply('r{number}').outcome == 'sent'" for number in range(24))
    found = minimise(bundle, f"stimulus == 'closed' and {all_sent}")
    assert len(found.steps) == 3 + 48 + 1
    assert time.perf_counter() - begun < 5


def test_the_same_is_left_whatever_came_between() -> None:
    """Rows of any order and length end at a least row, the same in every run."""
    chance = random.Random(7)
    for _ in range(20):
        life: list[st.Stimulus] = [claimed()]
        for number in range(chance.randrange(5, 40)):
            second = 1 + number * 7
            life.append(
                chance.choice([opened, logs.closed, proven])(second)
                if chance.random() < 0.8
                else submitted(second, f"r{number}")
            )
        life.append(st.LoggedOut(at=at(1000), controller="A", source="whatsmeow"))
        bundle = incident_of(*life)
        once, again = (minimise(bundle, "state == 'logged_out'") for _ in range(2))
        assert [step.version for step in once.steps] == [step.version for step in again.steps]
        assert [step.stimulus for step in once.steps] == [life[0], life[-1]]
        assert thinned(bundle, once) == thinned(bundle, again)
