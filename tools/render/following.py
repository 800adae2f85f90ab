"""Follows a bundle from its first record to its last: that makes the course."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ...eventstore import Record, decode
from ...eventstore.bundle_format import Bundle
from ...projections.content import Decided, unreadable
from ...projections.gaps import Gap, Gaps
from ...projections.timeline import entry
from ...projections.view import AccountView
from ...statemachine.account import Account, pending_timers
from ...statemachine.errors import InputError
from ...statemachine.lifecycle import ENDS
from ...statemachine.outcome import Send
from .course import Course, Fact, Fate, Key, Life, Mark, Stretch

RECORDS_MAX = 50_000
"""Of more records nobody sees anything in a picture, and no browser draws it."""


class _Stimulus(msgspec.Struct, frozen=True):
    """As much of a stimulus as pictures read by name; a record from elsewhere may hold others."""

    controller: str | None = None
    source: str = "gateway"
    reply: str | None = None
    timer: str | None = None
    chat: str | None = None
    captured_on: str | None = None
    times: int = 1


class _Body(msgspec.Struct, frozen=True):
    stimulus: _Stimulus
    outcome: Decided


_body = msgspec.json.Decoder(_Body).decode


def course_of(bundle: Bundle) -> Course:
    """Follow a bundle from its first record to its last; raises `InputError` and `Corrupt`."""
    if len(bundle.records) > RECORDS_MAX:
        raise InputError(
            f"The incident has {len(bundle.records):,} records, more than a picture can show",
            hint=f"cut out at most {RECORDS_MAX:,} with `linewarden incident export --from --to`",
        )
    return _Following(bundle).course


class _Following:
    """The fold of a bundle into its course."""

    def __init__(self, bundle: Bundle) -> None:
        before = bundle.before
        self.course = Course(bundle.header, bundle.trailer, [], [], [], [], [])
        self.view = AccountView(
            bundle.header.account, bundle.header.before.version, machine=before, gaps=_gaps(before)
        )
        self.replies: dict[str, Fate] = {}
        self.open: dict[Key, tuple[Fact, int, int]] = {}
        self.at = bundle.records[0].at
        self._turn(Account(), before, 0, _Stimulus())
        for name, pending in (before.replies or {}).items():
            fate = self._reply(name, 0, pending.chat)
            fate.outcome = "sending" if pending.in_flight else "held"
        for record in bundle.records:
            self._record(record)
        self._finish()

    def _record(self, record: Record) -> None:
        view, marks, gaps = self.view, self.course.marks, self.view.gaps
        before, known = view.machine, gaps.count
        try:
            body = _body(record.body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(record) from error
        stimulus, decided = body.stimulus, body.outcome
        view.apply(record)
        self.at = max(self.at, record.at)
        content = decode(record.body)
        marks.append(
            Mark(
                at=self.at,
                entry=entry(record, before.state.value if before.state else None),
                changes=(content.get("outcome") or {}).get("changes") or {},
                decided=decided,
                body=record.body,
                chain=record.chain.hex(),
                times=stimulus.times,
            )
        )
        if gaps.count > known:
            self.course.gaps.append(gaps.ended[-1])
        self._turn(before, view.machine, record.version, stimulus)
        self._replies(record, decided, stimulus)

    def _turn(self, before: Account, after: Account, version: int, stimulus: _Stimulus) -> None:
        """End the stretches whose fact is so no more, and begin the new ones."""
        lives = self.course.lives
        if after.controller is not None and after.controller != before.controller:
            if lives and before.controller is not None:
                old = self.view.retired.get(before.controller)
                name = old.state.value if old is not None else "superseded"
                self._end_life(lives[-1], name, version)
            life = Life(after.controller, after.epoch, after.holder, self.at, self.at, version)
            lives.append(life)
        if lives and after.state is not None:
            lives[-1].state, lives[-1].reason = after.state.value, after.reason
            if after.state in ENDS:
                self._end_life(lives[-1], after.state.value, version)
        facts = dict(self._facts(after))
        fired = ("timer", stimulus.reply or "", stimulus.timer or "")
        for key in [key for key, (fact, *_) in self.open.items() if facts.get(key) != fact]:
            anew = "set anew" if key in facts else "cancelled"
            self._close(key, version, ("fired" if key == fired else anew))
        for key, fact in facts.items():
            if key not in self.open:
                self.open[key] = (fact, self.at, version)

    def _end_life(self, life: Life, state: str, version: int) -> None:
        if life.last is None:
            life.end, life.last, life.state = self.at, version, state

    def _facts(self, machine: Account) -> Iterator[tuple[Key, Fact]]:
        """What is so of an account."""
        if machine.controller is not None and machine.state is not None:
            phase = machine.phase.value if machine.phase is not None else None
            yield (
                ("state", machine.controller, ""),
                Fact(machine.state.value, phase, machine.live, machine.degraded),
            )
            if machine.socket_state in {"dialing", "open", "closing"}:
                socket = str(machine.socket)
                yield ("socket", machine.controller, socket), Fact(machine.socket_state)
        for name, left in (machine.lingering or {}).items():
            for number in left.sockets:
                yield ("socket", name, str(number)), Fact("closing")
        for (timer, reply), due in pending_timers(machine).items():
            yield ("timer", reply or "", timer), Fact(timer, due=due)
        for reply, pending in (machine.replies or {}).items():
            where = "sending" if pending.in_flight else "held"
            yield ("reply", reply, ""), Fact(where, pending.via if pending.in_flight else None)

    def _close(self, key: Key, version: int | None, how: Any) -> None:
        fact, start, first = self.open.pop(key)
        lane: Any = key[0]
        self.course.stretches.append(
            Stretch(
                lane=lane,
                owner=key[1],
                what=key[2],
                fact=fact,
                start=start,
                end=self.at,
                first=first,
                last=version,
                end_by=how if lane == "timer" else None,
            )
        )

    def _replies(self, record: Record, decided: Decided, stimulus: _Stimulus) -> None:
        submitted = record.type == "reply_submitted" and decided.rule != "reply.repeated"
        if submitted and stimulus.reply is not None:
            self._reply(stimulus.reply, record.version, stimulus.chat, stimulus.captured_on)
        for effect in decided.effects:
            if isinstance(effect, Send) and effect.reply in self.replies:
                fate = self.replies[effect.reply]
                fate.outcome, fate.end = "sending", self.at
                fate.sends = [*fate.sends, (record.version, effect.controller)]
        if decided.rule == "reply.resend" and stimulus.reply in self.replies:
            self.replies[stimulus.reply].outcome = "held"
        for name, settled in decided.settled.items():
            fate = self.replies.get(name) or self._reply(name, 0)
            fate.outcome, fate.reason = settled.outcome, settled.reason
            fate.end, fate.last = self.at, record.version

    def _reply(self, name: str, version: int, chat: Any = None, captured_on: Any = None) -> Fate:
        fate = Fate(name, version, self.at, self.at, chat, captured_on)
        self.replies[name] = fate
        self.course.replies.append(fate)
        return fate

    def _finish(self) -> None:
        course = self.course
        for key in list(self.open):
            self._close(key, None, None)
        if self.view.gaps.open is not None:
            course.gaps.append(self.view.gaps.open)
        for life in course.lives:
            life.end = self.at if life.last is None else life.end
        for fate in course.replies:
            fate.end = self.at if fate.last is None else fate.end
        # Of facts that begin together the order is that in which they were said.
        course.stretches.sort(key=lambda stretch: (stretch.start, stretch.first))


def _gaps(before: Account) -> Gaps:
    """The gaps as far as a state knows of them: one may be open."""
    if before.gap_since is None:
        return Gaps(ever=before.known is not None)
    cause = before.reason or before.cause or "before"
    since = before.gap_since
    return Gaps(True, Gap(since, 0, cause, "", before.controller, before.proof or since))
