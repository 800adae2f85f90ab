"""Tables for the terminal: the answers of `reading` as an operator reads them.

Times are told from `now` (UTC ns), which is the caller's; only a timeline has clock times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from ..projections.timeline import Entry
from ..projections.why import Answer
from ..statemachine.policy import NS
from . import wording
from .moments import clock, relative, span
from .reading import GapRow, IncidentRow, ReplyRow, Standing
from .wording import consequences, meaning, observed


def status(rows: Sequence[Standing], now: int) -> str:
    """How accounts stand; one alone is told in full."""
    if not rows:
        return "The log has no account yet."
    if len(rows) == 1:
        return _standing(rows[0], now)
    return _table(
        ["account", "state", "since", "controller", "attempt", "why", "next", "proof", "held"],
        [
            [
                row.account,
                _state(row),
                relative(row.since, now),
                _owner(row),
                row.attempt or "",
                row.reason or row.cause or "",
                _next(row, now),
                _proof(row, now),
                (row.held + row.sending) or "",
            ]
            for row in rows
        ],
    )


def timeline(entries: Sequence[Entry]) -> str:
    """Records in order: when, what was observed, what was decided, what came of it."""
    if not entries:
        return "There is no record between these moments."
    several = len({entry.account for entry in entries}) > 1
    rows = []
    previous = entries[0].at
    for entry in entries:
        rows.append(
            [
                entry.position,
                clock(entry.at),
                f"{(entry.at - previous) / NS:+.3f}",
                *([entry.account] if several else []),
                entry.controller or "",
                observed(entry.stimulus, entry.told, detail=True),
                entry.rule,
                _printed(entry.state) if entry.moved else "",
                consequences(entry),
            ]
        )
        previous = entry.at
    account = ["account"] if several else []
    headers = ["#", "time (UTC)", "s", *account, "controller", "observed", "rule", "state", "then"]
    return _table(headers, rows)


def why(answer: Answer) -> str:
    """The answer in a sentence, then the records that it rests on, each with its own sentence."""
    lines = [answer.sentence]
    reply = answer.reply
    if reply is not None:
        lines += _reply_facts(answer)
    if answer.controller is not None:
        lines.append(f"Its epoch is {answer.controller.epoch}, its holder was "
                     f"{answer.controller.holder}.")  # fmt: skip
    if answer.proving is not None:
        kind, proof = answer.proving
        age = span(answer.at - proof.at)
        lines.append(
            f"Newest proof: {kind}, record version {proof.version}, {age} before the last record."
        )
    if answer.connection is not None and answer.connection.hold_until is not None:
        lines.append(f"No dial goes out before {clock(answer.connection.hold_until)} UTC.")
    if answer.left_off:
        lines.append(f"{answer.left_off} earlier records are not shown.")
    if answer.entries:
        of_reply = answer.asked if reply is not None else None
        headers = ["#", "time (UTC)", "observed", "rule", "what it means", "then"]
        rows = [
            [
                entry.position,
                clock(entry.at),
                observed(entry.stimulus, entry.told),
                entry.rule,
                meaning(entry),
                consequences(entry, of_reply),
            ]
            for entry in answer.entries
        ]
        lines += ["", _table(headers, rows)]
    return "\n".join(lines)


def gaps(rows: Sequence[GapRow], now: int) -> str:
    """The gaps, and how many and how long they were in all."""
    if not rows:
        return "There was no gap."
    table = _table(
        ["account", "from (UTC)", "length", "cause", "lost", "then", "dials", "held", "refused",
         "expired", "inbound uncertain"],
        [
            [
                row.account,
                clock(row.started_at),
                _length(row),
                row.cause,
                row.controller or "",
                row.ended_by or "still open",
                row.dials or "",
                row.held or "",
                row.refused or "",
                row.expired or "",
                _uncertain(row, now),
            ]
            for row in rows
        ],
    )  # fmt: skip
    total = span(round(sum(row.seconds for row in rows) * NS))
    return f"{table}\n\n{wording.count(len(rows), 'gap')}, {total} in all"


def incidents(rows: Sequence[IncidentRow]) -> str:
    """The incidents: what, when, how long, how often, and between which positions."""
    if not rows:
        return "There was no incident."
    return _table(
        ["account", "kind", "from (UTC)", "until (UTC)", "length", "count", "cause", "positions"],
        [
            [
                row.account,
                row.kind.replace("_", " "),
                clock(row.started_at),
                "going on" if row.ongoing or row.ended_at is None else clock(row.ended_at),
                span(round(row.seconds * NS)),
                row.count,
                row.cause,
                f"{row.first_position} to {row.last_position}",
            ]
            for row in rows
        ],
    )


def replies(rows: Sequence[ReplyRow], now: int) -> str:
    """The replies and what became of them."""
    if not rows:
        return "There is no reply, or none with this outcome."
    return _table(
        "account,reply,outcome,reason,via,sends,submitted,took,captured on,chat".split(","),
        [
            [
                row.account,
                row.reply,
                row.outcome + (" (late ack)" if row.late_ack is not None else ""),
                row.reason or "",
                row.via or "",
                row.sends,
                relative(row.submitted_at, now),
                span(row.settled_at - row.submitted_at) if row.settled_at is not None else "",
                row.captured_on or "",
                row.chat or "",
            ]
            for row in rows
        ],
    )


def _standing(row: Standing, now: int) -> str:
    """One account in full, a fact a line."""
    facts = [
        ("account", row.account),
        ("state", _state(row)),
        ("since", f"{clock(row.since)} UTC, {relative(row.since, now)}"),
        ("controller", f"{_owner(row)}, holder {row.holder}" if row.controller else "none"),
        ("live", "yes" if row.live else "no"),
        ("identity", ", ".join(row.identity) or "not proven"),
        ("attempt", row.attempt),
        ("cause", row.cause or "none"),
        ("reason", row.reason or "none"),
        ("next", _next(row, now) or _waiting(row)),
        ("proof", _proof(row, now) or "none: no connection is open"),
        ("replies", f"{row.held} held, {row.sending} in flight"),
        ("gap", f"open for {span(now - row.gap_since)}" if row.gap_since is not None else "none"),
        ("records", row.version),
    ]
    return tabulate(facts, tablefmt="plain", disable_numparse=True)


def _reply_facts(answer: Answer) -> list[str]:
    reply = answer.reply
    assert reply is not None
    origin = reply.captured_on or "no controller (a message of the gateway's own)"
    lines = [f"Captured on {origin}, for {reply.chat}, {clock(reply.submitted_at)} UTC."]
    if reply.via is not None:
        times = "once" if reply.sends == 1 else f"{reply.sends} times"
        lines.append(f"Written {times}, the last time through {reply.via}.")
    else:
        lines.append("It was never written.")
    if reply.settled_at is not None:
        took = span(reply.settled_at - reply.submitted_at)
        lines.append(f"Its outcome came after {took}.")
    return lines


def _state(row: Standing) -> str:
    more = [word for word in (row.phase, "degraded" if row.degraded else None) if word]
    if row.state == "connected" and not row.live:
        more.append("no identity yet")
    return f"{row.state} ({', '.join(more)})" if more else row.state


def _owner(row: Standing) -> str:
    return f"{row.controller} (epoch {row.epoch})" if row.controller is not None else ""


def _next(row: Standing, now: int) -> str:
    return f"{row.timer} {relative(row.due, now)}" if row.timer and row.due is not None else ""


def _waiting(row: Standing) -> str:
    """What an account without a timer waits for."""
    if row.state == "reconnect-gap":
        return "nothing is due: the service has stopped, and dials when it starts"
    return "nothing is due"


def _proof(row: Standing, now: int) -> str:
    if row.proof is None or row.proven_at is None:
        return ""
    return f"{row.proof} {relative(row.proven_at, now)}"


def _length(row: GapRow) -> str:
    return "unknown" if row.unknown else span(round(row.seconds * NS))


def _uncertain(row: GapRow, now: int) -> str:
    end = row.uncertain_until
    return span((now if end is None else end) - row.uncertain_from)


def _printed(state: str | None) -> str:
    return f"→ {wording.state(state)}" if state is not None else ""


def _table(headers: list[str], rows: list[list[Any]]) -> str:
    # Names and versions are text that may look like numbers: 1e3 stays 1e3.
    return tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)
