"""A scripted WhatsApp side for a real service: it may do anything, and notes every write."""

import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from linewarden.eventstore import NewRecord, Record
from linewarden.eventstore.codec import same
from linewarden.eventstore.errors import WrongExpectedVersion
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.eventstore.verify import verify
from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.dice import Dice
from linewarden.gateway.guard import outgoing_of
from linewarden.gateway.receipt import Decided
from linewarden.gateway.service import Service
from linewarden.projections.projections import Projections
from linewarden.statemachine.account import pending_timers
from linewarden.statemachine.identity import Identity, completed, normalise, overlap
from linewarden.statemachine.invariants import idle
from linewarden.statemachine.outcome import Effect, Send, Settled
from linewarden.statemachine.policy import NS

from .audit import Audit

FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""A file system in memory where there is one: what is tested here is not the disk."""


def identity_of(forms: dict[str, str]) -> Identity:
    """The identity of real forms, as a person would compare them."""
    read = normalise(forms)
    return Identity(read.get("pn"), read.get("lid"))


class Messages:
    """The router's part that a write needs; what no outbox keeps is gone with the process."""

    def __init__(self) -> None:
        self._given: set[tuple[str, str]] = set()

    def give(self, account: str, reply: str) -> None:
        """The gateway has the message of a reply."""
        self._given.add((account, reply))

    def has_message(self, account: str, reply: str) -> bool:
        """Whether there is something to write."""
        return (account, reply) in self._given

    def message_of(self, account: str, reply: str) -> str:
        """The message of a reply."""
        return f"message of {account} {reply}"


class World:
    """Accounts on one log and one service after the other; every write is judged when made."""

    def __init__(self, policy: dict[str, Any], seen: Counter[str]) -> None:
        self.policy = policy
        self.seen = seen
        self.folder = tempfile.TemporaryDirectory(dir=FOLDER)
        self.clock = VirtualClock()
        self.audit = Audit(seen)
        self.running = True
        self.services = 0
        self.controllers: dict[str, list[str]] = {}
        self.proven: dict[tuple[str, str], Identity] = {}
        self.known: dict[str, Identity] = {}
        self.current: dict[str, tuple[str, Identity]] = {}
        self.links: dict[str, dict[str, str]] = {}
        self.captured: dict[tuple[str, str], Identity | None] = {}
        self.chats: dict[tuple[str, str], str] = {}
        self.told: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[str, Send]] = []
        self.unanswered: list[tuple[str, Send]] = []
        self.written: dict[tuple[str, str], str] = {}
        self.messages = Messages()
        self._open()

    def _open(self) -> None:
        path = Path(self.folder.name) / "log.db"
        self.store = SQLiteStore.open(path, name="world")
        self.services += 1
        self.service = Service(
            self.store,
            holder=None,
            clock=self.clock,
            dice=Dice(self.services),
            policy=self.policy,
        )
        self.service.perform = self._perform
        self.service.settled = self._settled

    def close(self) -> None:
        """Leave nothing behind."""
        self.store.close()
        self.folder.cleanup()

    # What happens

    def feed(self, account: str, stimulus: str, **fields: Any) -> Decided:
        """Something is observed; the log is audited afterwards."""
        if stimulus == "reply_submitted":
            self.messages.give(account, fields["reply"])
        decided = self.service.feed(account, {"stimulus": stimulus, **fields})
        self._note(account, stimulus, fields, decided)
        return decided

    def feed_all(self, account: str, many: list[dict[str, Any]]) -> None:
        """Several things are observed before one commit."""
        for fields in many:
            given = {"at": self.service.now(), **fields}
            clean = self.service.check(account, given)
            self.service.observe(account, self.service.admit(clean))
        self.service.flush()

    def _note(self, account: str, stimulus: str, fields: dict[str, Any], decided: Decided) -> None:
        """Remember, by real values, what the write must be judged by."""
        rule = decided.outcome.rule
        if stimulus == "identity_linked":
            pn, lid = identity_of(fields).pn, identity_of(fields).lid
            assert pn and lid
            self.links.setdefault(account, {}).update({pn: lid, lid: pn})
        elif rule == "identity.proven":
            identity = identity_of(fields["forms"])
            self.proven[account, fields["controller"]] = self.known[account] = identity
            self.current[account] = (fields["controller"], identity)
            for key, captured in self.captured.items():
                if captured is None and key[0] == account and key not in self.told:
                    self.captured[key] = identity
        elif stimulus == "reply_submitted" and rule != "reply.repeated":
            key = (account, fields["reply"])
            origin = fields.get("captured_on")
            known = self.known.get(account)
            self.captured[key] = self.proven.get((account, origin)) if origin else known
            self.chats[key] = fields["chat"]

    def advance(self, seconds: float) -> None:
        """Time goes on; timers fire at their instants."""
        until = self.clock.now() + round(seconds * NS)
        while self.running and (due := self.service.next_due()) is not None and due <= until:
            self.clock.advance_to(due)
            self.service.fire_due()
            self.service.flush()
        self.clock.advance_to(until)

    def crash(self, lost: list[tuple[str, dict[str, Any]]]) -> None:
        """The process dies; `lost` was decided and not committed, so it never was."""
        for account, fields in lost:
            clean = self.service.check(account, {"at": self.service.now(), **fields})
            self.service.observe(account, self.service.admit(clean))
        self.store._queue.clear()
        self._restart()

    def stop(self) -> None:
        """The service ends in order."""
        self.service.stop()
        self.running = False

    def start(self) -> None:
        """A new service takes over what the last one left."""
        self._restart()

    def _restart(self) -> None:
        self.audit.take(self.store)
        flying = self.audit.in_flight()
        self.store.close()
        self.asked.clear()
        self.unanswered.clear()
        if not self.policy.get("durable_outbox"):
            self.messages = Messages()
        self._open()
        self.running = True
        self.service.start()
        self.service.flush()
        assert {self.told[key] for key in flying} <= {"uncertain"}  # §3.7, 7

    # What the service asks for

    def _perform(self, account: str, effect: Effect, decided: Decided) -> None:
        assert self.store.get(decided.record.id) is not None  # §9.10
        if isinstance(effect, Send):
            self.asked.append((account, effect))

    def _settled(self, account: str, reply: str, settled: Settled, _record: Record) -> None:
        assert (account, reply) not in self.told  # §9.11
        self.told[account, reply] = settled.outcome

    def write(self, place: int) -> None:
        """The sender comes to one of the sends that were asked for, and checks at the moment."""
        if not self.asked:
            return
        account, effect = self.asked.pop(place % len(self.asked))
        key = (account, effect.reply)
        outgoing = outgoing_of(self.service, self.messages, account, effect)
        if outgoing is None:
            self.seen["write refused at the moment"] += 1
            self.answer_to(account, effect, "not_sent")
            return
        self.seen["write"] += 1
        assert self.running
        assert key not in self.told
        assert self.written.get(key) in (None, "not_sent")  # §9.12
        assert outgoing.controller == self.controllers[account][-1]
        assert outgoing.message == f"message of {account} {effect.reply}"
        assert outgoing.chat == self.chats[key]
        controller, current = self.current[account]
        assert controller == outgoing.controller
        links = self.links.get(account)
        assert overlap(self.captured[key], current, links)  # §9.9
        assert identity_of(outgoing.identity) == completed(self.captured[key] or current, links)
        assert effect.reply in self.audit.pasts[account].asked  # §9.10, as read in the log
        earlier = list(self.chats)[: list(self.chats).index(key)]
        same_chat = [one for one in earlier if one[0] == account]
        assert not [
            one for one in same_chat if self.chats[one] == self.chats[key] and one not in self.told
        ]  # §9.14
        self.written[key] = "written"
        self.unanswered.append((account, effect))

    def answer(self, place: int, kind: str) -> None:
        """The side answers one of the writes that have no answer yet."""
        if self.unanswered:
            self.answer_to(*self.unanswered.pop(place % len(self.unanswered)), kind)

    def answer_to(self, account: str, effect: Send, kind: str) -> None:
        """What came of a send is a stimulus again."""
        fields: dict[str, Any] = {"controller": effect.controller, "reply": effect.reply}
        if kind == "not_sent" and self.written.get((account, effect.reply)) == "written":
            self.written[account, effect.reply] = "not_sent"
        if kind == "acked":
            self.feed(account, "send_acked", **fields)
        else:
            self.feed(account, "send_failed", kind=kind, **fields)

    # What must hold

    def check(self) -> None:
        """The invariants that hold between two steps."""
        self.audit.take(self.store)
        due: list[int] = []
        for name, folded in self.audit.accounts.items():
            account = self.service.account(name)
            assert same(account, folded)  # §9.16
            view = self.service.projections.account(name)
            assert view is not None and same(view.machine, account)
            live = self.service.projections.live(name)
            assert (live is not None) == account.live
            if live is not None:
                assert live.controller == account.controller == self.controllers[name][-1]  # §9.1
            if self.running and account.state is not None:
                assert idle(account) is None, name  # §9.5
                due += pending_timers(account).values()
        if self.running:
            assert self.service.next_due() == min(due, default=None)
        assert set(self.told.items()) == set(self.audit.settled.items())
        assert not self.service.unflushed
        assert not self.service.behind

    def check_log(self) -> None:
        """The invariants that need the whole log."""
        assert verify(self.store).ok
        for name in self.audit.accounts:
            rebuilt = Projections(self.store).rebuild(name)
            assert same(self.service.projections.account(name), rebuilt)  # §9.16
            assert same(Projections(self.store).account(name), rebuilt)

    def append_again(self, place: int) -> None:
        """§9.17: a stored record appended again is itself; a wrong version writes nothing."""
        records = list(self.store.read_all())
        if not records:
            return
        stored = records[place % len(records)]
        head = self.store.head(stored.stream)
        again = NewRecord(
            stored.id, stored.at, stored.type, stored.state, stored.reply, stored.body
        )
        assert self.store.append(stored.stream, [again]) == [stored]
        fresh = NewRecord(
            Dice().record_id(stored.at), stored.at, stored.type, stored.state, None, stored.body
        )
        try:
            self.store.append(stored.stream, [fresh], head.version + 1)
        except WrongExpectedVersion:
            self.seen["wrong version"] += 1
        assert self.store.head(stored.stream) == head

    def finish(self) -> None:
        """Far enough on, every reply that was submitted has its one outcome (§9.11, §9.23)."""
        if not self.running:
            self.start()
        self.check()
        self.advance(6_000)
        self.check()
        assert not self.audit.pending()
        assert set(self.told) == set(self.audit.submitted)
        self.check_log()
