"""A changed rule is found by the replay, and named by rule and position."""

from collections.abc import Callable
from typing import Any

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import closing, hosting, policy, replies
from linewarden.statemachine.closes import CloseClass
from linewarden.statemachine.draft import Draft
from linewarden.statemachine.lifecycle import State
from linewarden.statemachine.machine import COMPILED
from linewarden.tools.replay.reading import stimuli_of
from linewarden.tools.replay.replay import replay, run

Key = tuple[State, str]
First = tuple[Bundle, int]

WITHOUT_A_TARGET = {key for key in COMPILED if key[0] is State.SUPERSEDED or key[1] == "claim"}
"""A superseded controller's row says a rule only, and after a claim the new one is connecting."""


def first_uses(incidents: dict[str, Bundle]) -> dict[Key, First]:
    """For each row of the table, the shortest incident that uses it, and at which position."""
    found: dict[Key, First] = {}
    for bundle in sorted(incidents.values(), key=lambda bundle: len(bundle.records)):
        asked: list[Key] = []

        def read(state: State, trigger: str, asked: list[Key] = asked) -> tuple[State, str]:
            asked.append((state, trigger))
            return COMPILED[state, trigger]

        for step in run(stimuli_of(bundle), bundle.before, read):
            for key in asked:
                found.setdefault(key, (bundle, step.position))
            asked.clear()
    return found


def without(state: State, trigger: str) -> tuple[State, str]:
    raise KeyError((state, trigger))


def test_every_changed_row_of_the_table_is_found(incidents: dict[str, Bundle]) -> None:
    """Another rule, another target or no row at all: found where the row first decided."""
    uses = first_uses(incidents)
    assert len(uses) >= 183
    overlooked = []
    for key, (bundle, position) in uses.items():
        target, rule = COMPILED[key]
        other = State.CONFLICT if target is not State.CONFLICT else State.CONNECTED
        changes: list[tuple[str, Callable[[State, str], tuple[State, str]]]] = [
            ("rule", lambda *_, target=target: (target, "another.rule")),
            ("row", without),
        ]
        if key not in WITHOUT_A_TARGET:
            changes.append(("target", lambda *_, other=other, rule=rule: (other, rule)))
        for what, changed in changes:

            def read(
                state: State, trigger: str, key: Key = key, changed: Any = changed
            ) -> tuple[State, str]:
                asked = changed if (state, trigger) == key else lambda *key: COMPILED[key]
                result: tuple[State, str] = asked(state, trigger)
                return result

            first = replay(bundle, step=read).first
            if first is None or (first.position, first.rule) != (position, rule):
                overlooked.append((key, what, position, first))
            elif what == "rule":
                assert (first.field, first.rule_now) == ("rule", "another.rule")
            elif what == "row":
                assert first.rule_now == "(raised KeyError)"
            else:
                assert first.kind == "decision"
    assert not overlooked


delay, classify = policy._delay, closing.classify


def retried(stimulus: Any) -> CloseClass:
    """What the bots did that retried a 440 for ever."""
    kind = classify(stimulus)
    return CloseClass.TRANSIENT if kind is CloseClass.REPLACED else kind


def nothing(*_: Any, **__: Any) -> None:
    """Leave out what was done."""


MUTATIONS = [
    ("au-001-echo-chain-main", closing, "ECHO_NS", 0,
     (7, "decision", "close.echo", "changes.close")),
    ("tr-05-440-every-5s-main", closing, "classify", retried,
     (4, "decision", "close.replaced.conflict", "changes.state")),
    ("au-001-echo-chain-main", policy, "_delay", lambda *rung: 2 * delay(*rung),
     (5, "timing", "close.transient.retry", "changes.retry_at")),
    ("au-070-overlap-rules-main", replies, "overlap", lambda *_: True,
     (24, "decision", "reply.refused", "settled.r5")),
    ("oc-078-unknown-code-is-bounded-main", closing, "UNKNOWN_CLOSES_MAX", 100,
     (41, "decision", "close.gave_up", "changes.state")),
    ("au-056-operator-while-waiting-main", Draft, "reset_counters", nothing,
     (9, "decision", "restart.granted", "changes.attempt")),
    ("au-001-echo-chain-main", Draft, "notify", nothing,
     (10, "effect", "close.upgrade.forbidden", "effects[0]")),
    ("au-015-tags-third", Draft, "close_socket", nothing,
     (14, "decision", "close.logged_out", "changes.socket_state")),
    ("nw-027-service-stopped-and-started-main", replies, "expire_held", nothing,
     (7, "decision", "service.stopped", "settled.r2")),
    ("au-045-own-doing-exactly-15-main", closing, "_is_own_doing", lambda _: False,
     (11, "decision", "close.replaced.own_doing", "changes.state")),
    ("au-069-crash-after-a-relink-main", hosting, "_ask_again", nothing,
     (13, "effect", "service.started.ended", "effects[0]")),
    ("au-017-window-30-0-is-inside-main", closing, "is_pairing_401", lambda _: False,
     (20, "decision", "close.restart.retry", "changes.state")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "home", "what", "changed", "expected"), MUTATIONS)
def test_changed_decisions_are_found(
    incidents: dict[str, Bundle],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    home: Any,
    what: str,
    changed: Any,
    expected: tuple[int, str, str, str],
) -> None:
    """A fault in the code of a decision is found at its first record, by rule, kind and field."""
    bundle = incidents[name]
    monkeypatch.setattr(home, what, changed)
    for closed in (False, True):
        first = replay(bundle, closed).first
        assert first is not None
        assert (first.position, first.kind, first.rule, first.field) == expected
