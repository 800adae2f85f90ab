"""The bundle of a minimised incident: the same stimuli, fewer of them, chained anew.

It is no part of the log that it came from, and says so: it has a log id of its own, made from what
it was made of, and the mark `+minimised` behind the build in its header. Positions, times and ids
are those of the incident, so that each record can be found there; versions follow one another.

The outcomes are what today's code decides, with one exception: where a divergence is kept, its
record holds what was recorded in the parts that differ. So it diverges there, and nowhere before.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from ...eventstore import NewRecord, Record, codec
from ...eventstore.bundle_format import Bundle
from ...eventstore.chained import chained
from ...eventstore.upcast import upcast_record
from ...statemachine.account import Account, evolve
from ...statemachine.stimuli import name_of
from ...statemachine.version import SCHEMA, VERSION
from ..replay.replay import Step
from .minimise import Minimised, differing_parts, parts_of

MARK = "+minimised"
"""Stands behind the build in the header of a minimised bundle."""


def thinned(bundle: Bundle, minimised: Minimised) -> Bundle:
    """The bundle of what is left of an incident."""
    header, steps = bundle.header, minimised.steps
    versions = {step.version: header.first + place for place, step in enumerate(steps)}
    originals = {record.version: record for record in bundle.records}
    account, news = bundle.before, []
    for step in steps:
        original = originals[step.version]
        outcome = _written(step, minimised.keep == "diverges" and step is steps[-1])
        account = evolve(account, outcome.get("changes", {}))
        body = codec.encode(_content(original, step, outcome, account, versions, header.first))
        state = account.state.value if account.state is not None else None
        reply = getattr(step.stimulus, "reply", None)
        kind = name_of(step.stimulus)
        news.append(NewRecord(original.id, step.stimulus.at, kind, state, reply, body))
    made = chained(news, _log_of(bundle, minimised), header.account, header.first)
    records = [
        replace(record, position=step.position)
        for record, step in zip(made.records, steps, strict=True)
    ]
    told = replace(
        made.header,
        snapshot=codec.in_order(bundle.before),
        policy=header.policy,
        build=VERSION + MARK,
        at=header.at,
    )
    return replace(made, header=told, records=records)


def _log_of(bundle: Bundle, minimised: Minimised) -> bytes:
    """An id that no log has: the same incident, minimised in the same way, has the same."""
    made_of = {
        "minimised": bundle.trailer.head.chain,
        "keep": minimised.keep,
        "versions": [step.version for step in minimised.steps],
    }
    return sha256(codec.encode(made_of)).digest()[:16]


def _written(step: Step, diverges: bool) -> dict[str, Any]:
    """The outcome of a record: today's, but for what it is to diverge in."""
    decided: dict[str, Any] = msgspec.to_builtins(step.decided)
    if step.recorded is None or not (diverges or decided["rule"].startswith("(")):
        return decided
    recorded, was = parts_of(step.recorded), parts_of(step.decided)
    for part in differing_parts(step):
        was.pop(part, None)
        if part in recorded:
            was[part] = recorded[part]
    return _outcome(was)


def _outcome(parts: dict[str, Any]) -> dict[str, Any]:
    """An outcome of its parts (`parts_of`); what is empty is left out."""
    outcome: dict[str, Any] = {"rule": parts["rule"]}
    if parts["effects"]:
        outcome["effects"] = parts["effects"]
    for part, value in parts.items():
        kind, dot, name = part.partition(".")
        if dot:
            outcome.setdefault(kind, {})[name] = value
    return outcome


def _content(
    original: Record,
    step: Step,
    outcome: dict[str, Any],
    after: Account,
    versions: dict[int, int],
    first: int,
) -> dict[str, Any]:
    """The body of a record; what names another record names it by its new version."""
    content = upcast_record(codec.decode(original.body), SCHEMA)
    stimulus: dict[str, Any] = msgspec.to_builtins(step.stimulus)
    for holder, name in ((content, "causation"), (content, "correlation"), (stimulus, "earlier")):
        version = holder.pop(name, None)
        if version is not None and (version < first or version in versions):
            holder[name] = versions.get(version, version)
    return {**content, "stimulus": stimulus, "outcome": outcome, "epoch": after.epoch}
