"""Which numbers are instants, and spans of time as an operator writes them."""

from typing import Any, get_args, get_type_hints

import pytest

from linewarden.statemachine import account as states
from linewarden.statemachine.errors import InputError
from linewarden.statemachine.policy import NS
from linewarden.statemachine.stimuli import KINDS
from linewarden.tools.moments import is_instant, moment, plain, span_of
from linewarden.tools.replay.divergence import Decision, differ
from linewarden.tools.replay.telling import tell_one

STRUCTS: list[Any] = [
    *(states.Account, states.Hold, states.Close, states.AskedClaim, states.PairingWindow),
    *(states.Lingering, states.Reply, *KINDS.values()),
]
COUNTS = {
    *("epoch", "attempt", "attempts", "unknowns", "socket", "sends", "times", "jitter"),
    *("code", "reason", "count", "signal", "exit_code", "earlier", "first", "last", "position"),
    *("held_elsewhere", "expires_s", "deadline_s", "seconds"),
}
"""The numbers of an account and of the stimuli that are no instants."""


def is_number(hint: Any) -> bool:
    """Whether a field may hold a whole number."""
    return hint is int or any(is_number(inner) for inner in get_args(hint))


def test_every_instant_of_an_account_is_known_as_one() -> None:
    """A number that is added to an account or a stimulus is an instant by its name, or a count."""
    fields = {
        name
        for struct in STRUCTS
        for name, hint in get_type_hints(struct).items()
        if is_number(hint) and name != "sockets"
    }
    assert {name for name in fields if not is_instant(name, NS)} == COUNTS


@pytest.mark.parametrize("name", ["proof", "since", "opened_at", "late_opening", "gap_since"])
def test_another_instant_is_a_difference_of_time(name: str) -> None:
    """What is decided for another instant only is `timing`, and told as times."""
    then, now = (Decision("opened", 0, "r", 1, 1, {name: at * NS}) for at in (1, 3))
    found = differ(then, now)
    assert found is not None
    assert tell_one(found) == (
        f"position 1: timing, rule r, changes.{name} 1970-01-01 00:00:01.000 -> "
        "1970-01-01 00:00:03.000 (2 s later)"
    )
    assert plain({name: NS}) == {name: "1970-01-01T00:00:01.000000000Z"}


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("30s", 30 * NS),
        ("+30s", 30 * NS),
        ("- 2 s", -2 * NS),
        ("1.5h", 5_400 * NS),
        ("250ms", NS // 4),
        ("0.000000001s", 1),
        ("5m", 300 * NS),
        ("5 MIN", 300 * NS),
        ("999999999.999999999d", 86_399_999_999_999_999_913_600),
    ],
)
def test_a_span_is_read_to_the_nanosecond(text: str, ns: int) -> None:
    """A span may have a sign, a fraction and one of six units; as a moment it is so long ago."""
    assert span_of(text) == ns
    if not text.startswith("+"):
        assert moment(text, NS).at == moment(text + " ago", NS).at == NS - abs(ns)


@pytest.mark.parametrize("text", ["", "30", "s", "1e3s", "30s ago", "--2s", "1.s", "٣s", "1w"])
def test_what_is_no_span_is_refused(text: str) -> None:
    """Anything else is refused with examples; no moment lies so long after now."""
    with pytest.raises(InputError) as caught:
        span_of(text)
    assert "250ms" in caught.value.hint
    with pytest.raises(InputError):
        moment("+30s", NS)
