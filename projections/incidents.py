"""Incidents: stretches of an account's life that somebody will ask about, found while folding.

They say where to look and what to export; the log says what was. Events of one kind belong to one
incident as long as none is further than a span from the next, and a few alone are none: a hand-over
is no fight, a flap no storm. A clock that was set by more than the span parts them, either way.
"""

from __future__ import annotations

import msgspec

from ..eventstore import Record
from ..statemachine.lifecycle import TABLE, State
from ..statemachine.outcome import Settled
from ..statemachine.policy import DEFAULT, NS, span
from .gaps import Gap

INCIDENTS_MAX = 100
"""Incidents of an account that are kept one by one; the count goes on. An archive carries all."""

LONG_GAP_NS = span(DEFAULT.reply_deadline_s)
"""A gap that lasts longer than this is an incident: a reply waits no longer (design §3.7, 5)."""

APART_NS = span(DEFAULT.gap_notice_s)
"""Conflicts, losses and failed replies that are no further apart belong together: by then the
operator has been told of a gap (design §3.3), and the slow probe (300 s) has dialed twice."""

ASKED_APART_NS = 120 * NS
"""Restarts and claims that are no further apart are about one thing: in the fights on file they are
1 to 75 s apart (scenarios oc-077, tr-29, tr-08); a restart every 35 min (tr-43) is no fight."""

CONFLICTS_MIN = 3
"""Entries into conflict of a loop. One is a second session (tr-06), and one more comes of a release
that was too early (nw-022); a third says that both sides come back for ever (tr-05)."""

LOSSES_MIN = 5
"""Losses of a live controller of a storm, in whatever way (tr-32, tr-50, nw-042). Fewer in a row,
each recovered from, are the usual life of a line (zc-004, tr-36)."""

ASKED_MIN = 3
"""Restarts and claims of a fight, granted or not (tr-08, oc-077). One is a hand-over (tr-01; a
claim that answers a request counts as one with it), two are one that was asked for again."""

FAILED = frozenset({"refused", "expired", "uncertain"})
"""Outcomes of a reply that nobody may have seen; one of them is an incident already."""

_SERIES = {
    "conflict_loop": (CONFLICTS_MIN, APART_NS),
    "flap_storm": (LOSSES_MIN, APART_NS),
    "refused_replies": (1, APART_NS),
    "restart_fight": (ASKED_MIN, ASKED_APART_NS),
}
"""How many events make an incident of a kind, and how far apart two of them may be."""

KINDS = {
    row.rule: "conflict_loop" if row.target is State.CONFLICT else "restart_fight"
    for row in TABLE
    if row.target is State.CONFLICT or row.rule.startswith("restart.")
}
"""The rules of which each is an event of a kind; claims, losses and replies depend on more."""


class Incident(msgspec.Struct, omit_defaults=True, gc=False):
    """What happened `count` times from one record to another, and the cause of the last time.

    Instants are UTC ns; `ended_at` is the last event, None in a gap that is open. `kind` is one of
    `conflict_loop`, `flap_storm`, `long_gap`, `refused_replies` and `restart_fight`.
    """

    kind: str
    cause: str
    first_version: int
    first_position: int
    last_version: int
    last_position: int
    started_at: int
    ended_at: int | None
    count: int = 1

    def goes_on(self, now: int) -> bool:
        """Whether the next event (or the end of the gap) would still be part of it."""
        if self.ended_at is None:
            return True
        return self.kind in _SERIES and now - self.ended_at <= _SERIES[self.kind][1]

    def length(self, now: int) -> int:
        """Nanoseconds, an open gap counted up to `now`; a clock that was set back makes it 0."""
        return max(0, (now if self.ended_at is None else self.ended_at) - self.started_at)


class Incidents(msgspec.Struct, gc=False):
    """The incidents of an account that are over, their count, and the newest events by kind."""

    ended: tuple[Incident, ...] = ()
    count: int = 0
    series: dict[str, Incident] = {}

    def note(self, kind: str, record: Record, cause: str, count: int = 1) -> None:
        """Take in an event of a kind of which several make an incident, or `count` at once."""
        running = self.series.get(kind)
        fewest, apart = _SERIES[kind]
        if running is not None:
            assert running.ended_at is not None
            if abs(record.at - running.ended_at) <= apart:
                running.last_version, running.last_position = record.version, record.position
                running.ended_at, running.cause = record.at, cause
                running.count += count
                return
            if running.count >= fewest:
                self._keep(running)
        self.series[kind] = Incident(
            kind, cause, record.version, record.position, record.version, record.position,
            record.at, record.at, count,
        )  # fmt: skip

    def settle(self, record: Record, settled: dict[str, Settled]) -> None:
        """Take in what became of replies."""
        failed = [each for each in settled.values() if each.outcome in FAILED]
        if failed:
            cause = failed[-1].reason or failed[-1].outcome
            self.note("refused_replies", record, cause, len(failed))

    def end_gap(self, gap: Gap, record: Record) -> None:
        """Keep a gap that `record` ended, if it was a long one."""
        if gap.length(record.at) > LONG_GAP_NS:
            self._keep(_long(gap, record.version, record.position))

    def _keep(self, incident: Incident) -> None:
        self.count += 1
        self.ended = (*self.ended, incident)[-INCIDENTS_MAX:]

    def all(self, gap: Gap | None, now: int, version: int, position: int) -> list[Incident]:
        """The incidents that are kept and those that go on, by their first record.

        `gap` is the open one, `version` and `position` are those of the account's newest record.
        """
        found = [*self.ended]
        found += [each for each in self.series.values() if each.count >= _SERIES[each.kind][0]]
        if gap is not None and gap.length(now) > LONG_GAP_NS:
            found.append(_long(gap, version, position))
        return sorted(found, key=lambda incident: (incident.first_version, incident.kind))


def _long(gap: Gap, version: int, position: int) -> Incident:
    """The incident that a gap is, up to a record."""
    return Incident(
        "long_gap", gap.cause, gap.started_version, gap.started_position, version, position,
        gap.started_at, gap.ended_at,
    )  # fmt: skip
