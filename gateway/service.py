"""The service: one way for everything. Observe, decide, append, evolve, and only then act.

It runs on one thread, reads the injected clock and draws from the injected dice, and knows neither
threads nor loops: a host (`warden`) or a virtual clock drives it. A decision is taken on the head
of the account as it will be once the queue is committed; if a commit fails, the head is read back
from the log and what was queued is decided anew.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from ..eventstore import Append, Record, Store
from ..eventstore.errors import StoreUnavailable, WrongExpectedVersion
from ..eventstore.records import check_stream
from ..projections.projections import Projections
from ..statemachine import stimuli as st
from ..statemachine.account import Account, due_of
from ..statemachine.decision import decide
from ..statemachine.errors import LinewardenError
from ..statemachine.outcome import Effect, Outcome, Settled
from .clock import Clock
from .dice import Dice
from .folding import Folding
from .heads import Head, Heads
from .intake import Intake
from .knowledge import Knowledge
from .receipt import Decided
from .recording import write
from .ticket import REQUESTS, STORE_FAULTS, Backlog, Then, Ticket
from .timers import Timer, Timers
from .tokens import Tokens, commitments

TRIES_MAX = 8
"""How often a stimulus is decided anew because another writer was faster."""

log = logging.getLogger("linewarden.service")


class Service:
    """Decides and records for the accounts of one holder (None: for all, as scenarios do).

    `decided(decided)`, `perform(account, effect, decided)` and `settled(account, reply, settled,
    record)` are called after the commit, in the order of the log, and `queued()` when there is
    something to flush.
    """

    def __init__(
        self,
        store: Store,
        *,
        holder: str | None,
        clock: Clock,
        dice: Dice,
        policy: dict[str, Any] | None = None,
        policies: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self.store = store
        self.holder = holder
        self.clock = clock
        self.dice = dice
        self.projections = Projections(store)
        self.tokens = Tokens(store, dice)
        self.perform: Callable[[str, Effect, Decided], None] = lambda *_: None
        self.settled: Callable[[str, str, Settled, Record], None] = lambda *_: None
        self.decided: Callable[[Decided], None] = lambda _: None
        self.queued: Callable[[], None] = lambda: None
        self._intake = Intake(self.tokens)
        self.known = Knowledge(store, dice, policy, policies)
        self.heads = Heads(self.projections, clock, self._loaded)
        self._timers = Timers(self._is_set)
        self.folding = Folding(self._write)
        self._answered: deque[tuple[Ticket, Outcome, Account, Append]] = deque()
        self._backlog = Backlog()
        self._queued_count = 0
        self.writable = True

    def now(self) -> int:
        """UTC ns, never before the newest record of an account that was loaded."""
        return self.heads.now()

    def check(self, account: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Check a stimulus from outside, on any thread; raises `InputError` naming the field."""
        check_stream(account)
        return self._intake.check(fields)

    def admit(self, clean: dict[str, Any]) -> st.Stimulus:
        """A checked stimulus with tokens in the place of personal values."""
        return self._intake.admit(clean)

    def observe_answer(self, account: str, fields: dict[str, Any], cause: tuple[int, int]) -> None:
        """Observe what came of an effect."""
        self.observe(account, self.admit(self.check(account, fields)), cause=cause)

    def observe(
        self,
        account: str,
        stimulus: st.Stimulus,
        then: Then | None = None,
        cause: tuple[int, int] | None = None,
    ) -> None:
        """Decide on a stimulus and queue its record; `then` gets what became of it."""
        self._take(Ticket(account, stimulus, then, cause))

    def feed(self, account: str, fields: dict[str, Any]) -> Decided:
        """Observe and commit at once, as scenarios and tests do; raises what went wrong."""
        answers: list[Decided | Exception] = []
        clean = self.check(account, {"at": self.now(), **fields})
        self.observe(account, self.admit(clean), answers.append)
        while not answers:
            self.flush()
            if not answers and self.behind:
                raise StoreUnavailable("the store can't be written; the observation is kept")
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    def account(self, name: str) -> Account:
        """The state of an account at its head, with what is queued."""
        return self.heads.of(name).account

    def accounts(self) -> list[str]:
        """All accounts of the log and those touched since."""
        return list(dict.fromkeys([*self.store.streams(), *self.heads.names()]))

    def mine(self, account: Account) -> bool:
        """Whether the newest controller is this holder's."""
        return account.controller is not None and self.holder in (None, account.holder)

    def start(self, then: Then | None = None) -> int:
        """Take up the accounts of this holder; returns how many there are."""
        own = self._own()
        for name, holder in own:
            self.observe(name, st.ServiceStarted(at=self.now(), holder=holder), then)
        return len(own)

    def stop(self) -> None:
        """Put the accounts of this holder to rest and commit it."""
        for name, holder in self._own():
            self.observe(name, st.ServiceStopped(at=self.now(), holder=holder))
        self.flush()

    def _own(self) -> list[tuple[str, str]]:
        """The accounts of this holder, each with the holder of its newest controller."""
        states = ((name, self.account(name)) for name in self.accounts())
        return [(name, one.holder) for name, one in states if one.holder and self.mine(one)]

    def next_due(self) -> int | None:
        """When the next timer is due (UTC ns of `now()`), if any is set."""
        return self._timers.next_due()

    def fire_due(self) -> None:
        """Observe that timers came due, one record each."""
        limit = self.now()
        while (due := self.next_due()) is not None and due <= limit:
            timer = self._timers.take()
            controller = self.account(timer.account).controller
            self.observe(timer.account, timer.fired(self.now(), controller), cause=timer.cause)

    def _is_set(self, timer: Timer) -> bool:
        """Whether the account still waits for this very timer, which is ours to fire."""
        account = self.account(timer.account)
        if not self.mine(account) and account.controller is not None:
            return False
        return due_of(account, timer.timer, timer.reply) == timer.due

    def _loaded(self, name: str, head: Head) -> None:
        """An account was read back from the log: what it waits for is waited for."""
        self.known.note_open(name, head.account)
        self._timers.set_all(name, head.account, (head.version, head.version))

    # Deciding

    def _take(self, ticket: Ticket) -> None:
        """Decide, unless what was seen before still waits."""
        if self._backlog and not isinstance(ticket.stimulus, REQUESTS):
            self._backlog.keep(ticket)
        else:
            self._decide(ticket)
            self.queued()

    def _decide(self, ticket: Ticket) -> None:
        before = self.account(ticket.account)
        stimulus = self.known.complete(ticket.account, before, ticket.stimulus)
        self.folding.take(ticket, stimulus, *decide(before, stimulus))

    def _write(
        self, ticket: Ticket, stimulus: st.Stimulus, outcome: Outcome, after: Account
    ) -> None:
        name = ticket.account
        head = self.heads.of(name)
        version = head.version + 1
        entries, gone = self.tokens.entries_of(stimulus), self.tokens.erased_by(stimulus)
        cause = (version, ticket.cause[1] if ticket.cause is not None else version)
        record = write(self.dice, stimulus, outcome, after, ticket.cause, commitments(entries))
        append = Append(name, (record,), head.version, entries, head.queued, erased=gone)
        append.done = partial(self._done, ticket, outcome, after)
        ticket.generation = head.generation
        if head.queued is not None and head.queued.error is not None:
            append.error = head.queued.error  # what it follows has failed, and so has this
            append.done(append)
        else:
            self.store.enqueue(append)
        head.account, head.version, head.queued = after, version, append  # now it is taken
        self._queued_count += 1
        self.known.note_queued(name, stimulus, after, version)
        if "controller" in outcome.changes:  # the holder may be new, and inherits what is set
            self._timers.set_all(name, after, cause)
        else:
            self._timers.set_changed(name, outcome, cause)

    # Committing

    def flush(self) -> None:
        """Commit what is queued or held back, then act on it; what that queues is committed too."""
        self.folding.release_all()
        self.store.flush()
        while self.answer():
            self.folding.release_all()
            self.store.flush()

    @property
    def unflushed(self) -> bool:
        """Whether something is decided and not committed."""
        return self._queued_count > 0

    def answer(self) -> int:
        """Act on what was committed, in the order of the log; returns how many records it was."""
        count = 0
        while self._answered:
            count += 1
            self._queued_count -= 1
            ticket, outcome, after, append = self._answered.popleft()
            try:
                self._answer(ticket, outcome, after, append)
            except Exception:  # one account's fault must not stop the answers of all others
                log.exception("account %s could not be answered", ticket.account)
        return count

    def _answer(self, ticket: Ticket, outcome: Outcome, after: Account, append: Append) -> None:
        if append.error is not None:
            self._failed(ticket, append.error)
            return
        assert append.result is not None
        name, record = ticket.account, append.result[0]
        self.writable = True
        self.tokens.stored(append.vault)
        self.projections.apply(record, after)
        self.known.note_committed(name, record.reply)
        decided = Decided(name, outcome, record)
        self.decided(decided)
        for effect in outcome.effects:
            self.perform(name, effect, decided)
        for reply, settled in outcome.settled.items():
            self.settled(name, reply, settled, record)
        for one in ticket.each:
            one.tell(decided)

    def _done(self, ticket: Ticket, outcome: Outcome, after: Account, append: Append) -> None:
        """Called by the store, perhaps on the thread that flushed: only takes it down."""
        append.follows = None  # a long queue must not be a long chain
        self._answered.append((ticket, outcome, after, append))

    def _failed(self, ticket: Ticket, error: Exception) -> None:
        """Nothing was written: read the head back, and decide anew or tell who asked."""
        name = ticket.account
        if self.heads.of(name).generation == ticket.generation:
            self.folding.forget(name)
            self.known.forget_queued(name)
            self.heads.reload(name)
        if isinstance(error, STORE_FAULTS):
            if self.writable:
                log.error("the log can't be written: %s", error)
            self.writable = False
        for one in ticket.each:
            if isinstance(error, WrongExpectedVersion) and one.tries < TRIES_MAX:
                one.tries += 1
                self._take(one)
            else:
                self._backlog.keep_or_tell(one, error)

    @property
    def behind(self) -> int:
        """How many observations wait for a store that could not be written."""
        return len(self._backlog)

    def retry_backlog(self) -> None:
        """Try to record what was kept, in its order."""
        for ticket in self._backlog.take():
            self._take(ticket)

    def conclude(self, error: LinewardenError) -> None:
        """Commit what is left, once more with what was kept; tell whoever then still waits."""
        self.retry_backlog()
        self.flush()
        self._backlog.give_up(error)
