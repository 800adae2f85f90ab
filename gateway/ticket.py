"""Stimuli on their way into the log, and those that wait for a log that can't be written."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import msgspec

from ..eventstore.errors import Corrupt, ReadOnlyStore, StoreUnavailable
from ..statemachine import stimuli as st
from ..statemachine.errors import LinewardenError
from .receipt import Decided

log = logging.getLogger("linewarden.ticket")

BACKLOG_MAX = 10_000
"""Observations kept in memory while the store can't be written; one more is refused."""

Then = Callable[[Decided | Exception], None]
"""What is told of a stimulus: the decision that is on disk, or why there is none."""

STORE_FAULTS = (StoreUnavailable, ReadOnlyStore, Corrupt)
"""The world's faults at the log: what was seen is kept until they are mended."""

REQUESTS = (
    st.Claimed, st.RestartRequested, st.StopRequested, st.ReleaseRequested, st.RelinkRequested,
    st.SubjectErased, st.ReplySubmitted, st.TimerFired, st.ServiceStarted, st.ServiceStopped,
)  # fmt: skip
"""Stimuli that can be asked for again; all others were seen once and must not be lost."""


class BacklogFull(LinewardenError):
    """The store can't be written and the backlog of observations is full."""


class Ticket(msgspec.Struct):
    """A stimulus on its way; `cause` is the version of the record that caused it, and the root.

    `folded` are the tickets that it stands for, where one record is for many.
    """

    account: str
    stimulus: st.Stimulus
    then: Then | None
    cause: tuple[int, int] | None
    generation: int = 0
    tries: int = 0
    folded: list[Ticket] = []

    @property
    def each(self) -> list[Ticket]:
        """Those who are to be told."""
        return self.folded or [self]

    def tell(self, what: Decided | Exception) -> None:
        """Tell whoever asked what became of it."""
        if self.then is not None:
            self.then(what)


class Backlog:
    """What was seen can't be seen again: it waits, in order, until the store can be written."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()

    def __len__(self) -> int:
        return len(self._tickets)

    def keep(self, ticket: Ticket) -> None:
        """Keep an observation, or tell who made it that there is no room."""
        if len(self._tickets) < BACKLOG_MAX:
            self._tickets.append(ticket)
        else:
            ticket.tell(BacklogFull(hint="make room for the log, then restart the gateway"))

    def keep_or_tell(self, ticket: Ticket, error: Exception) -> None:
        """What was seen waits for a store that is at fault; else tell who asked what went wrong."""
        store_fault = isinstance(error, STORE_FAULTS)
        if store_fault and not isinstance(ticket.stimulus, REQUESTS):
            self.keep(ticket)
        elif ticket.then is not None:
            ticket.then(error)
        elif not store_fault:
            log.error("a stimulus of account %s was not recorded: %s", ticket.account, error)

    def take(self) -> list[Ticket]:
        """Everything that waits, to be tried again."""
        tickets = list(self._tickets)
        self._tickets.clear()
        for ticket in tickets:
            ticket.tries = 0
        return tickets

    def give_up(self, error: LinewardenError) -> None:
        """The end has come: tell whoever still waits, and how many observations are lost."""
        lost = self.take()
        for ticket in lost:
            ticket.tell(error)
        if lost:
            log.error("%d observations could not be recorded before the end", len(lost))
