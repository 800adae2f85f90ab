"""The invariants by name: no scenario breaks one, and a step that does is found."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import closes, closing
from linewarden.statemachine import outcome as out
from linewarden.statemachine.account import Account
from linewarden.statemachine.closes import CloseClass
from linewarden.statemachine.decision import decide
from linewarden.statemachine.errors import InputError
from linewarden.statemachine.identity import Identity
from linewarden.statemachine.invariants import INVARIANTS, Past
from linewarden.statemachine.lifecycle import State
from linewarden.statemachine.parsing import parse
from linewarden.statemachine.policy import NS
from linewarden.statemachine.stimuli import Claimed
from linewarden.tools.explore.minimise import judge_of
from linewarden.tools.replay.replay import Step

from ..replay.logs import steps_of


def test_no_scenario_breaks_an_invariant(incidents: dict[str, Bundle]) -> None:
    """Every record of every scenario holds all fourteen, also where one begins in mid-life."""
    broken = []
    for incident, bundle in incidents.items():
        past = Past(bundle.before)
        for place, step in enumerate(steps_of(bundle)):
            # What was before is taken from the state alone at every tenth record.
            past = Past(step.before) if place % 10 == 9 else past
            broken += [
                (incident, step.version, name, told)
                for name, judge in INVARIANTS.items()
                if (told := judge(step, past)) is not None
            ]
            past.take(step)
    assert not broken


def effect(step: Step, *effects: Any) -> Step:
    return replace(step, decided=replace(step.decided, effects=list(effects)))


def after(step: Step, **fields: Any) -> Step:
    return replace(step, after=replace(step.after, **fields))


def settled(step: Step, name: str, outcome: Any) -> Step:
    return replace(step, decided=replace(step.decided, settled={name: out.Settled(outcome)}))


BROKEN: list[tuple[str, int, Callable[[Step], Step]]] = [
    ("one-live", 13, lambda step: after(step, identity=Identity(pn="idn_1"))),
    ("epochs-rise", 7, lambda step: after(step, epoch=0)),
    ("epochs-rise", 7, lambda step: after(step, epoch=2)),
    ("epochs-rise", 7, lambda step: after(step, controller="B")),
    ("epochs-rise", 1, lambda step: after(step, controller="Z")),
    ("superseded-only-closes", 7, lambda step: effect(step, out.Dial("Z", 1))),
    ("ends-absorb", 14, lambda step: effect(step, out.Dial("A", 1))),
    ("ends-absorb", 14, lambda step: after(step, state=State.CONNECTED)),
    ("always-pending", 7, lambda step: after(step, retry_at=None)),
    ("always-pending", 13, lambda step: after(step, retry_at=1)),
    ("always-pending", 10, lambda step: after(step, socket_state="closed")),
    ("always-pending", 9, lambda step: after(step, connect_deadline_at=None)),
    ("purge-once", 7, lambda step: effect(step, out.Purge("A"))),
    ("replaced-no-retry", 13, lambda step: after(step, retry_at=step.stimulus.at)),
    ("replaced-no-retry", 13, lambda step: effect(step, out.Dial("A", 2))),
    ("attempts-bounded", 7, lambda step: after(step, attempt=5)),
    ("attempts-bounded", 8, lambda step: after(step, attempt=0)),
    ("attempts-bounded", 7, lambda step: after(step, retry_at=step.stimulus.at + 10**13)),
    ("identity-overlaps", 7, lambda step: effect(step, out.Send("r1", "A", "chat_r1"))),
    ("identity-overlaps", 4, lambda step: after(step, identity=Identity(pn="idn_2"))),
    ("intent-first", 8, lambda step: settled(step, "r2", "sent")),
    ("one-outcome", 12, lambda step: settled(step, "r1", "sent")),
    ("one-outcome", 8, lambda step: settled(step, "r2", "refused")),
    ("one-outcome", 9, lambda step: after(step, replies=None)),
    ("one-write", 7, lambda step: settled(step, "r1", "sent")),
    ("one-write", 5, lambda step: effect(step, out.Send("r1", "A", "chat_r1"))),
    ("held-bounded", 8, lambda step: after(step, overrides={"held_max_account": 1,
        "held_max_total": 1}, replies={**step.after.replies, "r3": step.after.replies["r2"]})),
    ("order-in-chat", 11, lambda step: after(step, replies={
        "r0": replace(step.after.replies["r2"], send_deadline_at=None), **step.after.replies})),
    ("order-in-chat", 9, lambda step: after(step, replies={
        "r0": step.after.replies["r2"], **step.after.replies})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "version", "change"), BROKEN, ids=range(len(BROKEN)))
def test_a_step_that_breaks_an_invariant_is_found(
    bundle: Bundle, name: str, version: int, change: Callable[[Step], Step]
) -> None:
    """Each judge finds a step that breaks its invariant, and nothing in the steps before it."""
    judge, past = judge_of(name), Past(bundle.before)
    steps = steps_of(bundle)
    last = steps[-1]
    steps.append(replace(last, version=14, before=last.after))
    for step in steps[: version - 1]:
        assert judge(step, past) is None
        past.take(step)
    assert judge(steps[version - 1], past) is None
    assert judge(change(steps[version - 1]), past)


FORMS = [
    {"stimulus": "replaced", "source": "whatsmeow"},
    *(
        {"stimulus": name, "source": source, **fields}
        for name in ("closed", "dial_failed", "stream_error")
        for source in ("whatsmeow", "baileys")
        for fields in ({"code": 440}, {"code": "440"}, {"code": 503, "tag": "replaced"})
    ),
]


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_the_code_under_trial_is_not_asked_what_is_replaced(
    monkeypatch: pytest.MonkeyPatch, form: dict[str, Any]
) -> None:
    """A code that takes every form of `replaced` for a lost network is found by its retry."""
    judge = judge_of("replaced-no-retry")
    stimulus = parse({"at": NS, "controller": "A", **form})
    dialing = decide(Account(), Claimed(at=0, controller="A", holder="host"))[1]
    decided, ended = decide(dialing, stimulus)
    step = Step(2, 2, stimulus, None, decided, dialing, ended)
    assert judge(step, Past(dialing)) is None
    monkeypatch.setattr(closing, "classify", lambda _: CloseClass.TRANSIENT)
    monkeypatch.setattr(closes, "classify", lambda _: CloseClass.TRANSIENT)
    decided, waits = decide(dialing, stimulus)
    assert waits.retry_at is not None
    assert judge(replace(step, decided=decided, after=waits), Past(dialing))


def test_every_invariant_is_put_to_the_test() -> None:
    """There is a broken step for each of the fourteen."""
    assert {name for name, *_ in BROKEN} == set(INVARIANTS)
    assert len(INVARIANTS) == 14


def test_an_invariant_is_named_by_its_number_too() -> None:
    """Numbers are those of the design; an unknown name is told with what was meant."""
    assert judge_of("4") is judge_of("ends-absorb")
    for wrong in ("0", "15", "ends-absorbe", "", "9" * 11):
        with pytest.raises(InputError, match="no invariant") as caught:
            judge_of(wrong)
        assert "1 to 14" in caught.value.hint
