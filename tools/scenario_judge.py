"""What happened in a scenario, in the shape of `expect`, and where it differs from that."""

from __future__ import annotations

from typing import Any

from ..eventstore import decode
from ..eventstore.verify import verify
from ..projections.projections import Projections
from ..statemachine.account import Account, evolve
from ..statemachine.lifecycle import ENDS, State
from ..statemachine.policy import NS
from .scenario_file import Scenario
from .scenario_run import START, Run

NEAR_S = 1e-6
"""Bounds in files are decimals of seconds; a nanosecond count may miss them by a rounding."""

_COUNTED = {"dial": "dials", "purge": "purges", "notify": "notices"}
_BY_CONTROLLER = (
    "states path reason cause attempt dials purges notices degraded next_timer_s"
).split()
_BY_ACCOUNT = "live epoch claims gaps".split()
_REFUSED = ("restart.refused", "relink.refused")


class Result:
    """Reads the whole log of a run and tells it as `expect` would."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._now = run.clock.now()
        self._accounts: dict[str, Account] = {}
        self._controllers: dict[str, str] = {}
        self._seen: dict[str, Any] = {key: {} for key in (*_BY_CONTROLLER, *_BY_ACCOUNT)}
        self._seen |= {"replies": {}, "refused_requests": 0, "echoes": 0}
        for record in run.service.store.read_all():
            self._read(record.stream, decode(record.body))
        self._conclude()

    def as_expect(self) -> dict[str, Any]:
        """All keys of `expect`, as they are."""
        return self._seen

    def _read(self, name: str, content: dict[str, Any]) -> None:
        outcome = content["outcome"]
        before = self._accounts.get(name, Account())
        after = evolve(before, outcome.get("changes", {}))
        self._accounts[name] = after
        rule = outcome["rule"]
        self._seen["refused_requests"] += rule.startswith(_REFUSED)
        self._seen["echoes"] += rule == "close.echo" or rule.startswith("close.upgrade")
        if before.controller is not None and before.controller != after.controller:
            if before.state not in ENDS:
                self._enter(before.controller, State.SUPERSEDED)
            self._seen["next_timer_s"][before.controller] = None
        if after.controller is not None:
            self._note_controller(name, after)
        for effect in outcome.get("effects", ()):
            self._count(name, effect)

    def _note_controller(self, account: str, state: Account) -> None:
        controller = state.controller
        assert controller is not None and state.state is not None
        if controller not in self._controllers:
            self._controllers[controller] = account
            for key in ("dials", "purges", "notices"):
                self._seen[key][controller] = 0
            self._enter(controller, State.CONNECTING)
        self._enter(controller, state.state)
        self._seen["reason"][controller] = state.reason
        self._seen["cause"][controller] = state.cause
        self._seen["degraded"][controller] = state.degraded
        due = [at for at in (state.retry_at, state.hold_at) if at is not None]
        seconds = (min(due) - self._now) / NS if due else None
        self._seen["next_timer_s"][controller] = seconds

    def _enter(self, controller: str, state: State) -> None:
        path = self._seen["path"].setdefault(controller, [])
        if not path or path[-1] != state.printed:
            path.append(state.printed)
        self._seen["states"][controller] = state.printed

    def _count(self, account: str, effect: dict[str, Any]) -> None:
        kind = effect["effect"]
        if kind == "claim":
            claims = self._seen["claims"]
            claims[account] = claims.get(account, 0) + 1
        elif kind in _COUNTED:
            self._seen[_COUNTED[kind]][effect["controller"]] += 1

    def _conclude(self) -> None:
        projections = self._run.service.projections
        for controller, account in self._controllers.items():
            self._seen["attempt"][controller] = self._accounts[account].attempt
        for account, state in self._accounts.items():
            self._seen["claims"].setdefault(account, 0)
            self._seen["epoch"][account] = state.epoch
            live = projections.live(account)
            self._seen["live"][account] = live.controller if live is not None else None
            view = projections.account(account)
            if view is None:
                continue
            count, total = view.gaps.sums(self._now)
            self._seen["gaps"][account] = {"count": count, "total_s": total / NS}
            for name, entry in {**view.replies.finished, **view.replies.pending}.items():
                settled = entry.settled_at
                self._seen["replies"][name] = {
                    "outcome": entry.outcome,
                    "reason": entry.reason,
                    "via": entry.via,
                    "sends": entry.sends,
                    "at": (settled - START) / NS if settled is not None else None,
                }
        self._seen["verify"] = self._verified()

    def _verified(self) -> str:
        """`intact`, or what does not hold: the chain, or a projection against its rebuild."""
        store = self._run.service.store
        report = verify(store)
        if not report.ok:
            return f"broken: {report}"
        kept = self._run.service.projections
        fresh = Projections(store)
        for name in self._accounts:
            if kept.account(name) != fresh.rebuild(name):
                return f"projections of account {name} are not what a rebuild gives"
        return "intact"


def differences(expect: dict[str, Any], seen: dict[str, Any]) -> list[str]:
    """Every difference between what must hold and what happened, one sentence each."""
    found = []
    for key, wanted in expect.items():
        if not isinstance(wanted, dict):
            if seen[key] != wanted:
                found.append(f"{key}: expected {wanted!r}, happened {seen[key]!r}")
            continue
        for name, value in wanted.items():
            happened = seen[key].get(name)
            if not _matches(key, value, happened):
                found.append(f"{key} of {name}: expected {value!r}, happened {happened!r}")
    if seen["verify"] != "intact" and "verify" not in expect:
        found.append(f"verify: {seen['verify']}")
    return found


def _matches(key: str, wanted: Any, happened: Any) -> bool:
    if key == "next_timer_s":
        return _within(wanted, happened)
    if key == "gaps" and happened is not None:
        count_fits = wanted.get("count", happened["count"]) == happened["count"]
        return count_fits and _within(wanted.get("total_s", [0, 1e12]), happened["total_s"])
    if key == "replies" and happened is not None:
        return all(
            _within(value, happened[field]) if field == "at" else value == happened[field]
            for field, value in wanted.items()
        )
    if key in ("dials", "claims", "purges", "notices"):
        return bool(wanted == (happened or 0))
    return bool(wanted == happened)


def _within(bounds: list[float] | None, value: float | None) -> bool:
    if bounds is None or value is None:
        return bounds is None and value is None
    return bounds[0] - NEAR_S <= value <= bounds[1] + NEAR_S


def judge(scenario: Scenario, path: str | None = None) -> tuple[dict[str, Any], list[str]]:
    """Run a scenario; returns the result at its end, and all differences with their times."""
    run = Run(scenario, path)
    try:
        found: list[str] = []
        points = sorted(scenario.header.checkpoints, key=lambda point: point.t)
        for line in scenario.lines:
            while points and points[0].t < line.t:
                found += _judge_point(run, points.pop(0))
            run.play(line)
        for point in points:
            found += _judge_point(run, point)
        run.advance(scenario.until)
        seen = Result(run).as_expect()
        return seen, found + differences(scenario.header.expect, seen)
    finally:
        run.close()


def _judge_point(run: Run, point: Any) -> list[str]:
    run.advance(point.t)
    seen = Result(run).as_expect()
    return [f"at {point.t} s: {text}" for text in differences(point.expect, seen)]
