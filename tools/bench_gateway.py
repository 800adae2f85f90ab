"""Rows 9 to 11: looking up the live controller, routing a reply, waking a thousand of them."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from ..eventstore import open_store
from ..gateway.clock import VirtualClock
from ..gateway.dice import Dice
from ..gateway.driver import Driver, Outgoing
from ..gateway.receipt import Decided
from ..gateway.service import Service
from ..gateway.warden import Linewarden
from ..statemachine.outcome import Effect, Send
from .bench import Row

PN = "15550100001@s.whatsapp.net"
REPLIES = 1_000
LOOKUP_US_MAX, LOOKUP_ELSEWHERE_US_MAX = 3.0, 100.0
APPENDS_MAX, APPENDS_TOGETHER_MAX, WAKE_MS_MAX = 2.0, 0.5, 50.0

_ELSEWHERE = """
import sys, time
from linewarden.eventstore import open_reader
from linewarden.projections.projections import Projections
projections = Projections(open_reader(sys.argv[1]))
projections.catch_up()
count = int(sys.argv[2])
start = time.perf_counter()
for _ in range(count):
    projections.catch_up()
    assert projections.live("main").controller == "A"
print((time.perf_counter() - start) / count * 1e6)
"""


class _Sender(Driver):
    """Acknowledges at once, so that only routing is measured."""

    async def send(self, outgoing: Outgoing) -> str:
        return "m1"


def _service(path: str, policy: dict[str, Any] | None = None) -> Service:
    service = Service(
        open_store(path), holder="bench", clock=VirtualClock(), dice=Dice(1), policy=policy
    )
    _open_line(service)
    return service


def _open_line(service: Service) -> None:
    service.feed("main", {"stimulus": "claimed", "controller": "A", "holder": "bench"})
    service.feed("main", {"stimulus": "opened", "controller": "A"})
    _prove(service)


def _prove(service: Service) -> None:
    forms = {"pn": PN}
    service.feed("main", {"stimulus": "identity_observed", "controller": "A", "forms": forms})


def lookups(quick: bool) -> list[Row]:
    """Row 9: who is live, asked in the embedding process and from another one."""
    count = 20_000 if quick else 200_000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bench.db")
        service = _service(path)
        live, known = service.projections.live, {"main": "A"}
        start = time.perf_counter()
        for _ in range(count):
            live("main")
        ours = (time.perf_counter() - start) / count * 1e6
        start = time.perf_counter()
        for _ in range(count):
            known.get("main")
        bare = (time.perf_counter() - start) / count * 1e6
        command = [sys.executable, "-c", _ELSEWHERE, path, str(count // 20)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        elsewhere = float(done.stdout)
        service.store.close()
    return [
        Row(
            9,
            "live controller, in the embedding process",
            f"{ours:.2f} µs",
            f"dict {bare:.2f} µs",
            f"≤ {LOOKUP_US_MAX:.0f} µs",
            ours <= LOOKUP_US_MAX,
        ),
        Row(
            9,
            "live controller, from another process, caught up",
            f"{elsewhere:.1f} µs",
            "every call asks the file for news",
            f"≤ {LOOKUP_ELSEWHERE_US_MAX:.0f} µs",
            elsewhere <= LOOKUP_ELSEWHERE_US_MAX,
        ),
    ]


def routing(quick: bool) -> list[Row]:
    """Row 10: commits a reply costs from submission to acknowledgement, alone and 16 at once."""
    count = 64 if quick else 640

    async def run(together: int) -> tuple[float, float]:
        with tempfile.TemporaryDirectory() as folder:
            warden = Linewarden.open(os.path.join(folder, "bench.db"), driver=_Sender())
            async with warden:
                claimed = warden.claim("main", "A")
                await claimed
                await warden.observe("main", "opened", controller="A")
                await warden.observe("main", "identity_observed", controller="A", forms={"pn": PN})
                store = warden._service.store
                flushes = _count_commits(store)
                start = time.perf_counter()

                async def one(number: int) -> None:
                    chat = f"1555010{number % together:04d}@s.whatsapp.net"
                    result = await warden.router.reply("main", chat, "x", captured_on="A")
                    assert result.sent

                for batch in range(count // together):
                    numbers = range(batch * together, (batch + 1) * together)
                    await asyncio.gather(*(one(number) for number in numbers))
                took = time.perf_counter() - start
                return flushes[0] / count, took / count

    alone, alone_s = asyncio.run(run(1))
    sixteen, sixteen_s = asyncio.run(run(16))
    return [
        Row(
            10,
            "commits a reply, one at a time",
            f"{alone:.2f}",
            f"{alone_s * 1e3:.2f} ms a reply",
            f"≤ {APPENDS_MAX:.0f}",
            alone <= APPENDS_MAX,
        ),
        Row(
            10,
            "commits a reply, 16 at once",
            f"{sixteen:.2f}",
            f"{sixteen_s * 1e3:.2f} ms a reply",
            f"≤ {APPENDS_TOGETHER_MAX}",
            sixteen <= APPENDS_TOGETHER_MAX,
        ),
    ]


def _count_commits(store: Any) -> list[int]:
    """Count the flushes that had something to commit."""
    counted = [0]
    flush, enqueue, waiting = store.flush, store.enqueue, [0]

    def counting_enqueue(append: Any) -> None:
        waiting[0] += 1
        enqueue(append)

    def counting_flush() -> None:
        counted[0] += waiting[0] > 0
        waiting[0] = 0
        flush()

    store.enqueue, store.flush = counting_enqueue, counting_flush
    return counted


def _wake(policy: dict[str, Any]) -> tuple[float, int]:
    """Milliseconds from the proof to the last send effect, and the records that hold them."""
    with tempfile.TemporaryDirectory() as folder:
        service = _service(os.path.join(folder, "bench.db"), policy)
        service.feed("main", {"stimulus": "closed", "controller": "A"})
        for number in range(REPLIES):
            fields = {
                "stimulus": "reply_submitted",
                "reply": f"r{number}",
                "chat": f"1555010{number:04d}@s.whatsapp.net",
                "captured_on": "A",
            }
            given = {"at": service.now(), **fields}
            service.observe("main", service.admit(service.check("main", given)))
        service.flush()
        sent: list[int] = []

        def perform(account: str, effect: Effect, decided: Decided) -> None:
            if isinstance(effect, Send):
                sent.append(decided.record.version)

        service.perform = perform
        service.feed("main", {"stimulus": "opened", "controller": "A"})
        start = time.perf_counter()
        _prove(service)
        took = (time.perf_counter() - start) * 1e3
        assert len(sent) == REPLIES
        service.store.close()
        return took, len(set(sent))


def waking(quick: bool) -> list[Row]:
    """Row 11: from the opening to the last send effect of a thousand held replies."""
    policy = {"held_max_account": REPLIES}
    best: list[float] = []
    commits = 0
    for _ in range(2 if quick else 5):
        took, commits = _wake(policy)
        best.append(took)
    took = statistics.median(best)
    return [
        Row(
            11,
            "1,000 held replies, from the proof to the last send effect",
            f"{took:.1f} ms",
            f"{commits} commit for the wave",
            f"≤ {WAKE_MS_MAX:.0f} ms, 1 commit",
            took <= WAKE_MS_MAX and commits == 1,
        )
    ]


MEASURES = (((9,), lookups), ((10,), routing), ((11,), waking))
