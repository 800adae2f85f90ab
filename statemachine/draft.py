"""A decision in the making: a private copy of the account, and what is asked for so far.

The rules write the copy freely; what has changed is read off at the end, so that the outcome and
the next state can't disagree.
"""

from __future__ import annotations

import msgspec

from .account import LINGERING_MAX, Account, Lingering, delta
from .lifecycle import ENDS, Phase, State
from .machine import Lookup
from .outcome import CloseSocket, Dial, Effect, Notify, Outcome, Settled
from .policy import Policy, span
from .stimuli import ServiceStopped, Stimulus

_ENDS = frozenset(ENDS)


class Draft:
    """One stimulus on its way to an outcome. `a` is the copy that the rules write."""

    __slots__ = ("a", "at", "before", "effects", "policy", "rule", "settled", "step", "stimulus")

    def __init__(self, account: Account, stimulus: Stimulus, step: Lookup) -> None:
        self.before = account
        self.a: Account = msgspec.structs.replace(account)
        self.stimulus = stimulus
        self.at = stimulus.at
        self.policy: Policy = account.policy
        self.step = step
        self.rule = ""
        self.effects: list[Effect] = []
        self.settled: dict[str, Settled] = {}

    def move(self, trigger: str) -> None:
        """Fire the table for the newest controller: take its rule and the state that follows."""
        state = self.a.state
        assert state is not None
        target, self.rule = self.step(state, trigger)
        if target is not state:
            self.a.state = target
            self.a.since = self.at

    def ignore(self, trigger: str) -> None:
        """Fire the table for a superseded controller: nothing of the newest one changes."""
        _, self.rule = self.step(State.SUPERSEDED, trigger)

    @property
    def newest(self) -> bool:
        """Whether the stimulus is of the newest controller, or names none."""
        return self.stimulus.controller in (None, self.a.controller)

    @property
    def ended(self) -> bool:
        """Whether the newest controller is in an absorbing state."""
        return self.a.state in _ENDS

    def due(self, seconds: int | float) -> int:
        """The instant so many seconds from now."""
        return self.at + span(seconds)

    def ladder(self, attempt: int) -> int:
        """Nanoseconds until a dial: the fast ladder with its jitter, then the slow probe."""
        if attempt > self.policy.fast_attempts:
            return span(self.policy.probe_s)
        delay = self.policy.delay(attempt)
        return delay + delay * self.stimulus.jitter // 1_000_000

    def dial(self) -> None:
        """Ask for one attempt; it takes the next socket."""
        a = self.a
        assert a.controller is not None
        if a.socket_state in ("open", "closing", "dialing"):
            self.linger(a.controller, a.holder or "", a.socket)
        a.socket += 1
        a.socket_state = "dialing"
        if a.phase is not Phase.PAIRING:
            a.phase = Phase.DIALING
            a.connect_deadline_at = self.due(self.policy.connect_deadline_s)
        a.close = None
        self.effects.append(Dial(a.controller, a.socket))

    def close_socket(self, *, asked: bool) -> None:
        """Ask for the newest socket to be closed, where one or a dial may be open.

        `asked` says that we end it; else the wire did, and the effect only tidies up.
        """
        a = self.a
        if a.controller is not None and a.socket_state in ("open", "dialing", "closing"):
            self.effects.append(CloseSocket(a.controller, a.socket))
            a.socket_state = "closing" if asked else "closed"

    def leave_connection(self) -> None:
        """Forget what belonged to one connection: its identity, its health and its timers."""
        a = self.a
        a.phase = None
        a.identity = None
        a.degraded = False
        a.stability_at = a.silence_at = None
        a.connect_deadline_at = a.pairing_at = a.handover_at = None

    def notify(self, notice: str) -> None:
        """Tell the operator, once for this record."""
        assert self.a.controller is not None
        self.effects.append(Notify(self.a.controller, notice))

    def reset_counters(self) -> None:
        """Back to the bottom of the ladder."""
        self.a.attempt = 0
        self.a.unknowns = 0
        self.a.restarted = False

    def linger(self, controller: str, holder: str, socket: int) -> None:
        """Remember a socket that is not known to be over."""
        lingering = dict(self.a.lingering or {})
        known = lingering.get(controller)
        sockets = {*known.sockets, socket} if known else {socket}
        lingering[controller] = Lingering(holder, sorted(sockets)[-LINGERING_MAX:])
        if len(lingering) > LINGERING_MAX:
            del lingering[next(iter(lingering))]
        self.a.lingering = lingering

    def confirm(self, controller: str, socket: int | None, *, every: bool = False) -> None:
        """A socket is over; one that is not named is the controller's newest."""
        known = (self.a.lingering or {}).get(controller)
        if known is None:
            return
        gone = known.sockets[-1] if socket is None else socket
        rest = [] if every else [number for number in known.sockets if number != gone]
        lingering = dict(self.a.lingering or {})
        if rest:
            lingering[controller] = Lingering(known.holder, rest)
        else:
            del lingering[controller]
        self.a.lingering = lingering

    @property
    def elders_linger(self) -> bool:
        """Whether a socket of an older controller of this account may still be open."""
        return any(name != self.a.controller for name in self.a.lingering or ())

    def finish(self) -> tuple[Outcome, Account]:
        """The outcome and the state after it."""
        self._watch_the_gap()
        outcome = Outcome(self.rule, delta(self.before, self.a), self.effects, self.settled)
        return outcome, self.a

    def _watch_the_gap(self) -> None:
        """A gap begins where a live controller ends; an end of the controller ends its timer."""
        a, before = self.a, self.before
        if a.state is State.CONNECTED and a.identity is not None:
            if a.gap_since is not None:
                a.gap_since = a.gap_notice_at = None
                a.gap_told = False
        elif a.state in _ENDS:
            if a.gap_since is not None:
                a.gap_since = a.gap_notice_at = None
        elif before.state is State.CONNECTED and before.identity is not None:
            a.gap_since = self.at
            a.gap_told = False
            if not isinstance(self.stimulus, ServiceStopped):  # a stopped service has no timers
                a.gap_notice_at = self.due(self.policy.gap_notice_s)
