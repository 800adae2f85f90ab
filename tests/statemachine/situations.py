"""An account in each state and phase, and in the rare contexts that a row of the table asks for.

Each is told as a short story of controller A: what was observed, and when. Its first dial failed,
so that its socket is the second one and the first is an old one. The stimulus under test comes at
1,000 s; where a story's name ends with `_now`, that is half a second after the last close.
"""

from __future__ import annotations

from typing import Any

from linewarden.statemachine.account import Account
from linewarden.statemachine.decision import decide
from linewarden.statemachine.machine import Lookup, step
from linewarden.statemachine.outcome import Outcome
from linewarden.statemachine.parsing import parse
from linewarden.statemachine.policy import NS

Line = tuple[float, str, dict[str, Any]]
NOW_S = 1000
JUST_S = NOW_S - 0.5
ME = {"pn": "pn-1", "lid": "lid-1"}


def line(at_s: float, stimulus: str, **fields: Any) -> Line:
    return at_s, stimulus, fields


def feed(
    account: Account, at_s: float, stimulus: str, reader: Lookup = step, **fields: Any
) -> tuple[Outcome, Account]:
    """Decides on one stimulus; it is controller A's unless it names another, or None."""
    given = {"stimulus": stimulus, "at": round(at_s * NS), "controller": "A", "source": "baileys"}
    given |= {"holder": "host-1"} if stimulus == "claimed" else {}
    return decide(account, parse(given | fields), reader)


def play(*lines: Line, account: Account | None = None, reader: Lookup = step) -> Account:
    """The account after these lines."""
    told = account or Account()
    for at_s, stimulus, fields in lines:
        _, told = feed(told, at_s, stimulus, reader, **fields)
    return told


def told(*lines: Line, **policy: Any) -> tuple[Line, ...]:
    """A's second dial is in flight and a reply is held with a far deadline; then these lines."""
    far = {"reply": "r1", "chat": "chat-1", "captured_on": None, "deadline_s": 90_000}
    return (
        line(0, "claimed", policy=policy),
        line(0.1, "reply_submitted", **far),
        line(1, "dial_failed", code=408),
        line(3, "timer_fired", timer="retry"),
        *lines,
    )


def over_a_socket(*lines: Line) -> tuple[Line, ...]:
    """A is claimed at 995 s over a live controller whose socket nobody confirmed; then these."""
    elder = {"controller": "elder"}
    return (
        line(0, "claimed", **elder),
        line(1, "opened", **elder),
        line(1, "identity_observed", **elder, forms=ME),
        line(995, "claimed"),
        *lines,
    )


def proven(at_s: float) -> tuple[Line, ...]:
    return line(at_s, "opened"), line(at_s, "identity_observed", forms=ME)


LIVE = proven(4)
LAST = {"preset": "openclaw", "fast_attempts": 1}
TWELVE_UNKNOWN = [
    one
    for place in range(12)
    for one in (
        line(100 + 50 * place, "closed", code=599),
        line(140 + 50 * place, "opened"),
    )
]

STORIES: dict[str, tuple[Line, ...]] = {
    # One for each state and phase.
    "unclaimed": (),
    "waiting": over_a_socket(),
    "dialing": told(),
    "pairing": told(line(4, "pairing_started")),
    "connected": told(line(4, "opened")),
    "live": told(*LIVE),
    "gap": told(*LIVE, line(50, "closed", code=408)),
    "held": told(*LIVE, line(50, "banned", expires_s=950)),
    "resting": told(*LIVE, line(50, "service_stopped", holder="host-1", controller=None)),
    "logged_out": told(*LIVE, line(50, "logged_out")),
    "conflict": told(*LIVE, line(50, "replaced")),
    "closed": told(*LIVE, line(50, "closed", code=403)),
    "superseded": told(*LIVE, line(50, "claimed", controller="B")),
    # Half a second after a close: what follows may be its echo.
    "gap_now": told(*LIVE, line(JUST_S, "closed", code=408)),
    "conflict_now": told(*LIVE, line(JUST_S, "replaced")),
    "rejected_now": told(*LIVE, line(JUST_S, "closed", code=411)),
    "stopped_now": told(
        *LIVE, line(JUST_S, "closed", code=408), line(999.9, "stop_requested", controller=None)
    ),
    "unknown_12_now": told(*LIVE, *TWELVE_UNKNOWN, line(JUST_S, "closed", code=408)),
    # The ladder is used up, and its policy gives up.
    "last_dial": told(**LAST),
    "last_live": told(*LIVE, **LAST),
    "last_pairing": told(line(4, "pairing_started"), **LAST, relink="auto"),
    "auto_pairing": told(line(4, "pairing_started"), relink="auto"),
    "silent": told(line(3.5, "activity"), *LIVE),
    "last_silent": told(line(3.5, "activity"), *LIVE, **LAST),
    # What is left of an older controller, and of a pairing.
    "kin_live": over_a_socket(*proven(996)),
    "kin_gap_now": over_a_socket(*proven(996), line(JUST_S, "closed", code=408)),
    "window_live": told(line(980, "paired"), *proven(985)),
    "window_gap_now": told(line(980, "paired"), *proven(985), line(JUST_S, "closed", code=408)),
    "restarted": told(*LIVE, line(50, "closed", code=515), *proven(60)),
    "restarted_now": told(
        *LIVE, line(50, "closed", code=515), *proven(60), line(JUST_S, "closed", code=408)
    ),
    # A claim, a purge or a hand-over is under way.
    "asked_gap": told(*LIVE, line(995, "restart_requested", by="operator", controller=None)),
    "asked_conflict": told(
        *LIVE, line(50, "replaced"), line(995, "release_requested", controller=None)
    ),
    "purging": told(*LIVE, line(50, "logged_out"), line(995, "relink_requested", by="operator")),
    "held_conflict": told(*LIVE, line(50, "banned", expires_s=5000), line(60, "replaced")),
    "waiting_15": (
        line(0, "claimed", controller="elder"),
        line(985, "claimed"),
    ),
    "waiting_all": (
        line(0, "claimed", controller="elder", policy={"relink": "auto", "initial_s": 15}),
        line(1, "opened", controller="elder"),
        line(2, "banned", controller="elder", expires_s=998),
        line(984, "logged_out", controller="elder"),
        line(984, "opened", controller="elder", socket=2),
        line(985, "claimed", policy={"relink": "auto", "initial_s": 15}),
    ),
    "waiting_retry": (
        line(0, "claimed", controller="elder", policy={"initial_s": 10}),
        line(990, "dial_failed", controller="elder"),
        line(995, "claimed"),
    ),
    "waiting_hold": (
        line(0, "claimed", controller="elder"),
        line(990, "banned", controller="elder", expires_s=10),
        line(995, "claimed"),
    ),
    # Moments of a connection and of a reply.
    "fresh": told(*proven(NOW_S - 300)),
    "unsent": told(*LIVE, line(970, "send_failed", reply="r1", kind="not_sent")),
    "deadline": (line(0, "claimed"), line(700, "reply_submitted", reply="r1", chat="chat-1")),
}
"""A name for each situation, to what led to it."""
