"""Policies: the ladder's numbers, what may be overridden, and what is refused."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.statemachine.errors import InputError
from linewarden.statemachine.policy import (
    NS,
    Policy,
    PolicyError,
    overrides_of,
    policy_of,
    recorded_policy,
    span,
)

LADDERS = {
    "default": (2, 3.6, 6.48, 11.664, 20.9952, *[30] * 7),
    "openclaw": (2, 3.6, 6.48, 11.664, 20.9952, *[30] * 7),
    "zeroclaw": (3, 6, 12, 24, 48, 96, 192, 300, 300, 300),
}


@pytest.mark.parametrize("preset", LADDERS)
def test_the_ladder_of_each_preset(preset: str) -> None:
    """The waits of each preset are those of the design, for as many attempts as it has."""
    policy = policy_of({"preset": preset})
    waits = [policy.delay(n) / NS for n in range(1, policy.fast_attempts + 1)]
    assert waits == pytest.approx(LADDERS[preset], abs=1e-9)


def test_the_presets_end_as_the_design_says() -> None:
    """Only `default` probes for ever; jitter and the other numbers are the design's."""
    presets = {name: policy_of({"preset": name}) for name in LADDERS}
    ends = {name: (one.after, one.jitter, one.probe_s) for name, one in presets.items()}
    assert ends == {
        "default": ("probe", 0.25, 300),
        "openclaw": ("give_up", 0.25, 300),
        "zeroclaw": ("give_up", 0, 300),
    }


@given(
    st.integers(1, 500),
    st.integers(1, 50),
    st.floats(1, 100, allow_nan=False),
    st.integers(1, 5000),
)
def test_delays_are_bounded_and_never_fall(
    attempt: int, initial_s: int, factor: float, max_s: int
) -> None:
    """No delay passes `max_s`, and a later attempt never waits less."""
    policy = policy_of({"initial_s": initial_s, "factor": factor, "max_s": max_s})
    assert 0 < policy.delay(attempt) <= policy.delay(attempt + 1) <= max_s * NS


def test_an_override_counts_over_the_preset() -> None:
    """A preset may be adjusted by name."""
    policy = policy_of({"preset": "zeroclaw", "max_s": 24, "app_silence_s": 90})
    assert (policy.delay(9), policy.app_silence_s, policy.fast_attempts) == (24 * NS, 90, 10)


SPANS = sorted(name for name in Policy.__struct_fields__ if name.endswith("_s"))


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 10**12, "soon", [], True])
def test_a_span_is_a_number_above_zero(name: str, value: Any) -> None:
    """A span that is none is refused by the field's name, with a hint, as the caller's fault."""
    with pytest.raises(PolicyError, match=name) as told:
        policy_of({name: value})
    assert isinstance(told.value, InputError)
    assert told.value.hint


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"preset": "whatever"}, "preset"),
        ({"preset": 1}, "preset"),
        ({"factor": 0.5}, "factor"),
        ({"factor": 101}, "factor"),
        ({"jitter": -0.1}, "jitter"),
        ({"jitter": 1.1}, "jitter"),
        ({"fast_attempts": 0}, "fast_attempts"),
        ({"fast_attempts": 1.5}, "fast_attempts"),
        ({"held_max_account": 0}, "held_max_account"),
        ({"held_max_total": 0}, "held_max_total"),
        ({"after": "hope"}, "after"),
        ({"relink": "never"}, "relink"),
        ({"durable_outbox": "yes"}, "durable_outbox"),
        ({"patience_s": 1}, "patience_s"),
    ],
)
def test_what_no_policy_has_is_refused(overrides: dict[str, Any], named: str) -> None:
    """An unknown name or a value out of bounds is refused, naming the field, with a hint."""
    with pytest.raises(PolicyError, match=named) as told:
        policy_of(overrides)
    assert told.value.hint


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "preset": st.sampled_from(list(LADDERS)),
            "initial_s": st.floats(1e-6, 1000),
            "max_s": st.integers(1, 1000),
            "factor": st.floats(1, 100),
            "jitter": st.floats(0, 1),
            "app_silence_s": st.none() | st.integers(1, 1000),
            "durable_outbox": st.booleans(),
            "relink": st.sampled_from(["operator", "auto"]),
        },
    )
)
def test_a_recorded_policy_is_the_policy(overrides: dict[str, Any]) -> None:
    """What is recorded of a policy holds no float and gives the same policy when read back."""
    policy = policy_of(overrides)
    plain = overrides_of(policy)
    assert not any(isinstance(value, float) for value in plain.values())
    assert recorded_policy(tuple(plain.items())) == policy


@pytest.mark.parametrize(
    ("value", "expected"), [(1, NS), ("0.5", NS // 2), ("1.000000001", NS + 1), (0.1, NS // 10)]
)
def test_spans_are_whole_nanoseconds(value: int | float | str, expected: int) -> None:
    """Seconds, also as the text that a record holds, are exact nanoseconds."""
    assert span(value) == expected
