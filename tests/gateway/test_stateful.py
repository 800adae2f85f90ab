"""The invariants of the design, §9, on the real service, store and projections, in virtual time.

Two or three accounts live at random: claims, openings, closes of all classes, pairing, identities,
commands, replies and their answers, crashes, stops and starts. The scripted side judges every
write when it is made, and an auditor folds and decides the log anew as it grows.
"""

from collections import Counter
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from linewarden.statemachine.lifecycle import ENDS, State

from .programs import ANSWERS, CHATS, CODES, FORMS, OUTCOMES, POLICIES, REACHED
from .world import World

accounts = st.sampled_from(("one", "one", "one", "two", "three"))
who = st.sampled_from(("newest",) * 8 + ("elder", "stranger"))
which = st.sampled_from(("none", "none", "current", "next", "older"))
place = st.integers(0, 7)


class Lives(RuleBasedStateMachine):
    """Anything may be observed at any moment; much of it makes sense, and some does not."""

    seen: ClassVar[Counter[str]] = Counter()

    @initialize(policy=st.sampled_from(POLICIES))
    def begin(self, policy: dict[str, Any]) -> None:
        self.world = World(policy, self.seen)
        self.claims = 0
        self.replies = 0
        self.come_up("one", FORMS[0])
        self.claim("two", "main")

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.world.finish()
            finally:
                self.world.close()

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def _running(self) -> World:
        """The world with a service in it; whatever happens, somebody has started one before."""
        if not self.world.running:
            self.world.start()
        return self.world

    def _named(self, account: str, who: str, which: str = "none") -> dict[str, Any]:
        """The controller, and the socket where the wire names one."""
        mine = self.world.controllers.get(account, [])
        if who == "stranger" or len(mine) < (2 if who == "elder" else 1):
            return {"controller": "nobody"}
        named: dict[str, Any] = {"controller": mine[-2 if who == "elder" else -1]}
        current = self.world.service.account(account).socket
        number = {"current": current, "next": current + 1, "older": current - 1}.get(which, 0)
        return named | ({"socket": number} if number > 0 else {})

    @rule(account=accounts, holder=st.sampled_from(("main", "main", "main", "host-2")))
    def claim(self, account: str, holder: str) -> None:
        self.claims += 1
        name = f"c{self.claims}"
        world = self._running()
        world.controllers.setdefault(account, []).append(name)
        world.feed(account, "claimed", controller=name, holder=holder)

    @rule(account=accounts, forms=st.sampled_from((FORMS[0], *FORMS)))
    def come_up(self, account: str, forms: dict[str, str]) -> None:
        """What mostly follows: after an end somebody claims anew, and the line is live."""
        if self._running().service.account(account).state in (None, *ENDS):
            self.claim(account, "main")
        named = self._named(account, "newest")
        self.world.feed(account, "opened", **named)
        self.world.feed(account, "identity_observed", forms=forms, **named)

    @rule(account=accounts, code=st.sampled_from((408, 428, 503, 515, 402, 516)))
    def went_down(self, account: str, code: int) -> None:
        """What mostly ends a connection: a gap, and somebody writes in it."""
        self.come_up(account, FORMS[0])
        named = self._named(account, "newest")
        self.world.feed(account, "closed", code=code, source="baileys", **named)
        self.submitted(account, CHATS[0], "newest", None, 1)

    @rule(account=accounts, forms=st.sampled_from(FORMS[3:]))
    def came_back_as(self, account: str, forms: dict[str, str]) -> None:
        """After a gap in which somebody writes, another number may be logged in."""
        self.went_down(account, 408)
        self.come_up(account, forms)
        self.world.check()
        self.world.write(len(self.world.asked) - 1)

    @rule(account=accounts, count=st.integers(2, 6))
    def crowded(self, account: str, count: int) -> None:
        """Many replies at once, for one account or beside those of others."""
        for number in range(count):
            self.submitted(account, CHATS[number % 3], None, None, 1)

    @rule(account=accounts, who=who, which=which)
    def opened(self, account: str, who: str, which: str) -> None:
        self._running().feed(account, "opened", **self._named(account, who, which))

    @rule(
        account=accounts,
        name=st.sampled_from(("closed", "closed", "dial_failed", "stream_error")),
        who=who,
        which=which,
        source=st.sampled_from(("whatsmeow", "baileys")),
        code=st.sampled_from(CODES),
        tag=st.sampled_from((None, None, None, None, None, "replaced", "device_removed")),
    )
    def closed(self, account: str, who: str, which: str, name: str, **fields: Any) -> None:
        self._running().feed(account, name, **self._named(account, who, which), **fields)

    @rule(
        account=accounts,
        name=st.sampled_from(("replaced", "outdated", "worker_died", "socket_closed", "banned")),
        who=who,
        which=which,
    )
    def ended(self, account: str, name: str, who: str, which: str) -> None:
        more = {"expires_s": 50} if name == "banned" else {}
        named = self._named(account, who, "none" if name == "worker_died" else which)
        self._running().feed(account, name, **named, **more)

    @rule(account=accounts, on_connect=st.booleans())
    def logged_out(self, account: str, on_connect: bool) -> None:
        named = self._named(account, "newest")
        more = {"source": "whatsmeow", "reason": 401, "on_connect": on_connect}
        self._running().feed(account, "logged_out", **named, **more)

    @rule(
        account=accounts,
        name=st.sampled_from(
            ("pairing_started", "paired", "pairing_failed", "credentials_saved", "session_purged")
        ),
        who=who,
    )
    def paired(self, account: str, name: str, who: str) -> None:
        if name == "pairing_started":
            self.claim(account, "main")
        self._running().feed(account, name, **self._named(account, who))

    @rule(
        account=accounts,
        name=st.sampled_from(("keepalive_timeout", "keepalive_restored", "activity", "silence")),
        who=who,
    )
    def alive(self, account: str, name: str, who: str) -> None:
        more = {"kind": "transport", "seconds": 400} if name == "silence" else {}
        self._running().feed(account, name, **self._named(account, who), **more)

    @rule(
        account=accounts,
        name=st.sampled_from(("restart", "stop", "release", "relink")),
        by=st.sampled_from(("operator", "operator", "monitor")),
    )
    def commanded(self, account: str, name: str, by: str) -> None:
        self._running().feed(account, name + "_requested", by=by)

    @rule(account=accounts, who=who, forms=st.sampled_from(FORMS))
    def identified(self, account: str, who: str, forms: dict[str, str]) -> None:
        named = self._named(account, who)
        self._running().feed(account, "identity_observed", forms=forms, **named)

    @rule(pn=st.sampled_from((1, 2)), lid=st.sampled_from((1, 2, 3)))
    def linked(self, pn: int, lid: int) -> None:
        forms = {"pn": f"1555010000{pn}@c.us", "lid": f"10000000000000{lid}@lid"}
        for account in ("one", "two", "three"):
            if account in self.world.controllers:
                self._running().feed(account, "identity_linked", **forms)

    @rule(
        account=accounts,
        chat=st.sampled_from(CHATS),
        origin=st.sampled_from(("newest", "newest", "elder", "stranger", None, None)),
        deadline_s=st.sampled_from((None, None, None, 0, 10, 5_000)),
        again=st.integers(0, 9),
    )
    def submitted(
        self, account: str, chat: str, origin: str | None, deadline_s: int | None, again: int
    ) -> None:
        if again or not self.replies:
            self.replies += 1
        captured_on = self._named(account, origin)["controller"] if origin else None
        more = {"captured_on": captured_on, "deadline_s": deadline_s}
        named = {"reply": f"r{self.replies}", "chat": chat}
        self._running().feed(account, "reply_submitted", **named, **more)

    @rule(account=accounts, chat=st.sampled_from(CHATS), kind=st.sampled_from(ANSWERS))
    def replied(self, account: str, chat: str, kind: str) -> None:
        """What most replies are: captured on a live controller, written and answered at once."""
        self.come_up(account, FORMS[0])
        self.submitted(account, chat, "newest", None, 1)
        self.world.check()
        self.world.write(len(self.world.asked) - 1)
        self.world.answer(len(self.world.unanswered) - 1, kind)

    @rule(place=place)
    def written(self, place: int) -> None:
        self._running().write(place)

    @rule(place=place, kind=st.sampled_from(ANSWERS))
    def answered(self, place: int, kind: str) -> None:
        self._running().write(0)
        self.world.check()
        self.world.answer(place, kind)

    @rule(account=accounts, place=place, name=st.sampled_from(("reply_cancelled", "send_acked")))
    def touched(self, account: str, place: int, name: str) -> None:
        """A reply is taken back, or acknowledged late, whatever became of it."""
        mine = [reply for one, reply in self.world.audit.submitted if one == account]
        pending = {reply for one, reply in self.world.audit.pending() if one == account}
        names = mine if name == "reply_cancelled" else [one for one in mine if one not in pending]
        if names:
            self._running().feed(account, name, reply=names[-1 - place % len(names)])

    @rule(seconds=st.sampled_from((0.5, 1, 3, 20, 59, 61, 301, 700, 4_000)))
    def waited(self, seconds: float) -> None:
        self._running().advance(seconds)

    @rule(count=st.integers(1, 6))
    def timed(self, count: int) -> None:
        """The next timers fire."""
        for _ in range(count):
            due = self._running().service.next_due()
            if due is not None:
                self.world.advance(max(0, due - self.world.clock.now()) / 1e9 + 1e-6)

    @rule(account=accounts, lost=st.booleans())
    def crashed(self, account: str, lost: bool) -> None:
        named = self._named(account, "newest")
        torn = [
            {"stimulus": "closed", "code": 440, **named},
            {"stimulus": "reply_submitted", "reply": "torn", "chat": CHATS[0]},
            {"stimulus": "identity_observed", "forms": {"e164": "+15550100007"}, **named},
        ]
        self._running().crash([(account, fields) for fields in torn] if lost else [])

    @rule()
    def stopped(self) -> None:
        self._running().stop()

    @rule(account=accounts, code=st.sampled_from((408, 440, 503)))
    def came_at_once(self, account: str, code: int) -> None:
        """Several observations share one commit."""
        named = self._named(account, "newest")
        self._running().feed_all(
            account,
            [
                {"stimulus": "activity", **named},
                {"stimulus": "closed", "code": code, "source": "baileys", **named},
                {"stimulus": "socket_closed", **named},
                {"stimulus": "closed", "code": 428, "source": "baileys", **named},
            ],
        )

    @rule(place=place)
    def appended_again(self, place: int) -> None:
        self._running().append_again(place)


def test_the_invariants_hold_on_the_service() -> None:
    """Design §9, 1 to 17 and 20, hold along random programs, and the programs reach everything."""
    Lives.seen.clear()
    programs = settings(max_examples=250, stateful_step_count=50)
    run_state_machine_as_test(Lives, settings=programs)
    states = {f"state {state.value}" for state in State}
    outcomes = {f"outcome {outcome}" for outcome in OUTCOMES}
    if programs.derandomize:  # a search that is never the same may miss one
        assert not {*states, *outcomes, *REACHED} - set(Lives.seen)
