"""Storms for the tests of folding: late closes of a controller that was superseded."""

from collections import Counter
from typing import Any

from linewarden.eventstore.codec import same
from linewarden.eventstore.verify import verify
from linewarden.projections.projections import Projections

from .audit import Audit
from .scripted import Bench, content

LATE = {"stimulus": "closed", "controller": "A", "socket": 1, "source": "baileys", "code": 428}


def superseded(bench: Bench, account: str = "main") -> None:
    """B takes the account over from A, and the socket of A is known to be over."""
    bench.claim("A", account)
    bench.up("A", account)
    bench.claim("B", account)
    bench.up("B", account)
    bench.feed("socket_closed", account, controller="A")


def storm(bench: Bench, count: int, span_ns: int, account: str = "main", **more: Any) -> list[Any]:
    """So many late closes, evenly over a span; returns the list that the answers come into."""
    answers: list[Any] = []
    start = bench.clock.now()
    for number in range(count):
        bench.clock.advance_to(start + span_ns * number // count)
        bench.observe(answers=answers, account=account, **{**LATE, **more})
    return answers


def times(bench: Bench, account: str = "main", kind: str = "closed") -> list[int]:
    """How many stimuli each record of a kind stands for."""
    return [
        content(record)["stimulus"].get("times", 1)
        for record in bench.records(account)
        if record.type == kind
    ]


def audited(bench: Bench) -> Audit:
    """The log decided anew: every outcome, state and version is what it says."""
    audit = Audit(Counter())
    audit.take(bench.store)
    assert verify(bench.store).ok
    for name in audit.accounts:
        assert audit.accounts[name] == bench.service.account(name)
        assert same(Projections(bench.store).rebuild(name), bench.service.projections.account(name))
    return audit
