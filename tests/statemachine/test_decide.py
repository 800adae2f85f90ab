"""`decide` is pure, and the recorded changes lead to the very state that was decided."""

import copy
import json
from typing import Any

import msgspec
from hypothesis import given

from linewarden.statemachine.account import (
    FIELDS,
    LINKS_MAX,
    Account,
    evolve,
    pending_timers,
)
from linewarden.statemachine.decision import HANDLERS, decide
from linewarden.statemachine.stimuli import KINDS

from .sequences import LIVES, Life, Move
from .situations import STORIES, feed, line, play

LifeGiven = tuple[dict[str, Any], list[Move]]


def recorded(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes as they come back from a record: canonical JSON with sorted keys."""
    read: dict[str, Any] = json.loads(msgspec.json.encode(changes, order="deterministic"))
    return read


@given(LIVES)
def test_decide_touches_nothing_that_it_is_given(given_life: LifeGiven) -> None:
    """The account and the stimulus are the same after a decision as before it."""
    life = Life(given_life[0])
    before = copy.deepcopy(life.account)
    for step in life.live(given_life[1]):
        stimulus = copy.deepcopy(step.stimulus)
        assert step.before == before
        decide(step.before, step.stimulus)
        assert (step.before, step.stimulus) == (before, stimulus)
        before = copy.deepcopy(step.after)


@given(LIVES)
def test_the_same_input_gives_the_same_outcome(given_life: LifeGiven) -> None:
    """Deciding twice on equal copies gives equal outcomes, down to the recorded bytes."""
    for step in Life(given_life[0]).live(given_life[1]):
        outcome, after = decide(copy.deepcopy(step.before), copy.deepcopy(step.stimulus))
        assert (outcome, after) == (step.decided, step.after)
        assert msgspec.json.encode(outcome) == msgspec.json.encode(step.decided)


@given(LIVES)
def test_the_record_leads_to_the_decided_state(given_life: LifeGiven) -> None:
    """Folding the changes as read from a record gives the decided account, in the same order."""
    folded = Account()
    for step in Life(given_life[0]).live(given_life[1]):
        folded = evolve(folded, recorded(step.decided.changes))
        assert folded == step.after
        assert evolve(step.before, step.decided.changes) == step.after
        for name in ("replies", "retired", "links"):
            assert list(getattr(folded, name) or ()) == list(getattr(step.after, name) or ())


@given(LIVES)
def test_changes_are_minimal(given_life: LifeGiven) -> None:
    """What stays as it was is in no change, and an ignored stimulus has no changes at all."""
    for step in Life(given_life[0]).live(given_life[1]):
        for name, value in step.decided.changes.items():
            assert name in FIELDS
            assert getattr(step.before, name) != getattr(step.after, name)
            assert value == {} or value is None or value != getattr(step.before, name)
        if step.decided.rule in {"late", "timer.stale", "claim.reused", "reply.repeated"}:
            assert not step.decided.changes
            assert not step.decided.effects


def test_every_stimulus_has_one_that_decides_on_it() -> None:
    """Each kind of stimulus has its handler."""
    assert set(HANDLERS) == set(KINDS.values())


def test_evolve_leaves_the_given_account_alone() -> None:
    """`evolve` returns a new account, and the old one keeps even its maps."""
    before = play(*STORIES["live"])
    kept = copy.deepcopy(before)
    after = evolve(before, {"state": "closed", "replies": {"r1": None}, "silence_at": None})
    assert before == kept
    assert after.replies == {}
    assert after.state is not before.state


def test_a_long_map_of_links_folds_to_the_same_entries() -> None:
    """More links than are remembered, some repeated, are forgotten alike by decision and fold."""
    decided = folded = play(line(0, "claimed"))
    for number in range(LINKS_MAX + 20):
        for again in (number, number // 2, number // 7):
            link = {"pn": f"pn-{again}", "lid": f"lid-{again + number % 2}"}
            outcome, decided = feed(decided, number, "identity_linked", **link)
            folded = evolve(folded, recorded(outcome.changes))
            assert folded.links is not None
            assert list(folded.links.items()) == list((decided.links or {}).items())
            assert len(folded.links) <= LINKS_MAX
            assert folded.links[link["pn"]] == link["lid"]


def test_pending_timers_name_what_is_due() -> None:
    """A live account with a send in flight waits for stability and for the answer, no more."""
    account = play(*STORIES["live"])
    assert pending_timers(account) == {
        ("stability", None): 64 * 10**9,
        ("send_deadline", "r1"): 94 * 10**9,
    }
