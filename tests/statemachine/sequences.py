"""Random lives of one account, for property tests: any stimulus may come at any moment.

A life is a list of small moves. A move is resolved against the account as it stands (a timer that
is pending, a socket that was dialed, a reply in flight), so that most moves mean something, and all
states are reached; a part of the moves is nonsense on purpose: old sockets, old controllers, names
that nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from linewarden.statemachine.account import Account, pending_timers
from linewarden.statemachine.decision import decide
from linewarden.statemachine.outcome import Outcome, Send
from linewarden.statemachine.parsing import parse
from linewarden.statemachine.policy import NS
from linewarden.statemachine.stimuli import Stimulus

START = 1_700_000_000 * NS
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    {"preset": "openclaw", "fast_attempts": 2},
    {"preset": "zeroclaw", "relink": "auto", "fast_attempts": 3},
    {"relink": "auto", "held_max_account": 3, "durable_outbox": True},
    {"fast_attempts": 1, "silence_s": 20, "app_silence_s": 30, "held_max_total": 5},
)
CODES = (None, 408, "440", 515, 516, 402, 405, 411, 403, 440, 401, 401, 500, "ENOTFOUND", 400)
FORMS: tuple[dict[str, str], ...] = (
    {"pn": "pn-1", "lid": "lid-1"},
    {"pn": "pn-1", "lid": "lid-1"},
    {"pn": "pn-1"},
    {"lid": "lid-1"},
    {"pn": "pn-2", "lid": "lid-2"},
    {"pn": "pn-1", "lid": "lid-2"},
    {},
)
GAPS_S = (0, 0, 0.5, 1, 3, 20, 59, 301, 700, 4000)

Move = tuple[Any, ...]
_some = st.integers(0, 7)
_who = st.sampled_from(("newest",) * 8 + ("elder", "stranger"))
_which = st.sampled_from(("current", "current", "none", "next", "older"))
_source = st.sampled_from(("whatsmeow", "baileys", "worker"))

MOVES: st.SearchStrategy[Move] = st.one_of(
    st.tuples(st.just("timer"), _some),
    st.tuples(st.just("timer"), _some),
    st.tuples(st.just("wait"), st.sampled_from(GAPS_S)),
    st.tuples(st.just("claimed"), st.sampled_from(("host-1", "host-1", "host-2"))),
    st.tuples(st.just("come_up"), _some),
    st.tuples(st.just("come_up"), _some),
    st.tuples(st.just("opened"), _who, _which),
    st.tuples(
        st.sampled_from(("closed", "closed", "dial_failed", "stream_error")),
        *(_who, _which, _source, st.sampled_from(CODES)),
        st.sampled_from((None, None, None, None, "replaced", "device_removed")),
    ),
    st.tuples(
        st.sampled_from(("replaced", "outdated", "worker_died", "socket_closed")), _who, _which
    ),
    st.tuples(st.just("logged_out"), _who, st.booleans()),
    st.tuples(st.just("banned"), _who, st.sampled_from((None, 5, 60, 5000))),
    st.tuples(
        st.sampled_from(
            (
                *("keepalive_timeout", "keepalive_restored", "activity", "pairing_started"),
                *("paired", "pairing_failed", "credentials_saved", "session_purged"),
            )
        ),
        _who,
    ),
    st.tuples(
        st.just("silence"), st.sampled_from(("transport", "app")), st.sampled_from((20, 400))
    ),
    st.tuples(
        st.sampled_from(("service_started", "service_stopped")),
        st.sampled_from(("newest", "newest", "host-1", "host-2")),
    ),
    st.tuples(
        st.sampled_from(
            ("restart_requested", "stop_requested", "release_requested", "relink_requested")
        ),
        st.sampled_from(("operator", "operator", "monitor")),
        _who,
    ),
    st.tuples(st.just("identity_observed"), _who, st.sampled_from(FORMS)),
    st.tuples(st.just("identity_linked"), _some, _some),
    st.tuples(
        st.just("reply_submitted"),
        *(_some, st.sampled_from(("newest", "newest", "null", "elder", "stranger"))),
        st.sampled_from((None, None, 0, 10, 5000)),
    ),
    st.tuples(st.just("reply_submitted"), _some, st.just("newest"), st.just(None)),
    st.tuples(
        st.sampled_from(("send_acked", "send_failed", "send_failed", "reply_cancelled")),
        *(_some, st.sampled_from(("not_sent", "not_sent", "unknown", "rejected"))),
    ),
    st.tuples(st.just("send_acked"), st.just(0), st.just("")),
)
"""One move of a life."""

LIVES: st.SearchStrategy[tuple[dict[str, Any], list[Move]]] = st.tuples(
    st.sampled_from(POLICIES), st.lists(MOVES, min_size=20, max_size=60)
)
"""A policy and the moves of a life under it; long, because much needs a history."""


@dataclass(frozen=True)
class Step:
    """One decision of a life: what was, what came, what was decided, what is."""

    before: Account
    stimulus: Stimulus
    decided: Outcome
    after: Account


@dataclass
class Life:
    """One account as its moves lead it; makes stimuli, decides on them, remembers no more."""

    policy: dict[str, Any]
    account: Account = field(default_factory=Account)
    now: int = START
    controllers: list[str] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    flying: list[str] = field(default_factory=list)

    def live(self, moves: list[Move]) -> Iterator[Step]:
        """Every decision of a life, which begins with a claim."""
        for move in [("claimed", "host-1"), *moves]:
            for fields in self._stimuli(move):
                yield self._decide(fields)

    def _decide(self, fields: dict[str, Any]) -> Step:
        before = self.account
        stimulus = parse({"at": self.now, "source": "gateway", **fields})
        outcome, self.account = decide(before, stimulus)
        self.flying += [one.reply for one in outcome.effects if isinstance(one, Send)]
        return Step(before, stimulus, outcome, self.account)

    def _controller(self, who: str) -> str:
        if who == "stranger" or (who == "elder" and len(self.controllers) < 2):
            return "nobody"
        return self.controllers[-2 if who == "elder" else -1]

    def _socket(self, which: str) -> int | None:
        current = self.account.socket
        number = {"current": current, "next": current + 1, "older": current - 1}.get(which)
        return number if number and number > 0 else None

    def _stimuli(self, move: Move) -> Iterator[dict[str, Any]]:
        name, *rest = move
        make = getattr(self, "_" + name, None)
        if name == "wait":
            self.now += round(rest[0] * NS)
        elif make is not None:
            yield from make(*rest)
        elif name in ("closed", "dial_failed", "stream_error"):
            who, which, source, code, tag = rest
            named = {"controller": self._controller(who), "socket": self._socket(which)}
            yield {"stimulus": name, **named, "source": source, "code": code, "tag": tag}
        elif name in ("send_acked", "send_failed", "reply_cancelled"):
            yield from self._answer(name, *rest)
        elif name in ("service_started", "service_stopped"):
            holder = self.account.holder if rest[0] == "newest" else rest[0]
            kept = {"policy": self.policy} if name == "service_started" else {}
            yield {"stimulus": name, "holder": holder, **kept}
        elif name.endswith("_requested"):
            by, who = rest
            named = {} if who == "newest" else {"controller": self._controller(who)}
            yield {"stimulus": name, "by": by, **named}
        else:
            named = {"controller": self._controller(rest[0])}
            if len(rest) > 1:
                named["socket"] = self._socket(rest[1])
            yield {"stimulus": name, **named}

    def _timer(self, place: int) -> Iterator[dict[str, Any]]:
        """A pending timer at its due time; where none is pending, one that is stale."""
        pending = sorted(pending_timers(self.account).items(), key=lambda item: item[1])
        named = {"stimulus": "timer_fired", "controller": self._controller("newest")}
        if not pending:
            yield named | {"timer": "retry"}
            return
        (timer, reply), due = pending[min(place // 2, len(pending) - 1)]
        self.now = max(self.now, due)
        yield named | {"timer": timer, "reply": reply}

    def _claimed(self, holder: str) -> Iterator[dict[str, Any]]:
        self.controllers.append(f"c{len(self.controllers) + 1}")
        yield {
            "stimulus": "claimed",
            "controller": self.controllers[-1],
            "holder": holder,
            "policy": self.policy,
        }

    def _come_up(self, place: int) -> Iterator[dict[str, Any]]:
        """The dial opens, and says who it is."""
        named = {"controller": self._controller("newest")}
        yield {"stimulus": "opened", **named}
        yield {"stimulus": "identity_observed", **named, "forms": FORMS[place // 6]}

    def _opened(self, who: str, which: str) -> Iterator[dict[str, Any]]:
        named = {"controller": self._controller(who), "socket": self._socket(which)}
        yield {"stimulus": "opened", **named}

    def _logged_out(self, who: str, on_connect: bool) -> Iterator[dict[str, Any]]:
        yield {
            "stimulus": "logged_out",
            "controller": self._controller(who),
            "reason": 401,
            "on_connect": on_connect,
        }

    def _banned(self, who: str, expires_s: int | None) -> Iterator[dict[str, Any]]:
        named = {"controller": self._controller(who)}
        yield {"stimulus": "banned", **named, "code": 101, "expires_s": expires_s}

    def _silence(self, kind: str, seconds: int) -> Iterator[dict[str, Any]]:
        named = {"controller": self._controller("newest")}
        yield {"stimulus": "silence", **named, "kind": kind, "seconds": seconds}

    def _identity_observed(self, who: str, forms: dict[str, str]) -> Iterator[dict[str, Any]]:
        named = {"controller": self._controller(who)}
        yield {"stimulus": "identity_observed", **named, "forms": dict(forms)}

    def _identity_linked(self, one: int, other: int) -> Iterator[dict[str, Any]]:
        pn, lid = f"pn-{one % 3 + 1}", f"lid-{other % 3 + 1}"
        yield {"stimulus": "identity_linked", "pn": pn, "lid": lid}

    def _reply_submitted(
        self, chat: int, origin: str, deadline_s: int | None
    ) -> Iterator[dict[str, Any]]:
        self.submitted.append(f"r{len(self.submitted) + 1}")
        yield {
            "stimulus": "reply_submitted",
            "reply": self.submitted[-1],
            "chat": f"chat-{chat % 2}",
            "captured_on": None if origin == "null" else self._controller(origin),
            "deadline_s": deadline_s,
        }

    def _answer(self, name: str, place: int, kind: str) -> Iterator[dict[str, Any]]:
        """An answer to a send that was asked for; at times to one that has its answer."""
        known = self.submitted if name == "reply_cancelled" else self.flying
        if known:
            named = {"stimulus": name, "reply": known[-1 - place % len(known)]}
            yield named | ({"kind": kind} if name == "send_failed" else {})
