"""`html`: one page that opens offline in any browser, with the swimlanes and every record.

The page loads nothing: its policy (CSP) allows the scripts and the style that stand in it, by their
hashes, and nothing else. What the bundle says stands in it as one block of JSON, in which nothing
can end the block, and the scripts put it on the screen as text, never as markup.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import orjson

from ...statemachine.policy import NS
from ...statemachine.version import VERSION
from .. import wording
from ..moments import clock, instant, is_instant, span
from ..wording import consequences, observed
from .course import Course, Mark, Stretch

_FIELD = re.compile(r"\{\{(\w+)\}\}")
_ESCAPED = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_YEAR_NS = 365 * 86_400 * NS
_ZEROS = re.compile(r"(?<=\.\d{3})0{6}Z")
_UNSAFE = re.compile("[" + "".join(_ESCAPED) + "]")


def page(course: Course) -> str:
    """The incident as a page."""
    header = course.header
    style, chart, script = (_part(name) for name in ("page.css", "chart.js", "page.js"))
    policy = (
        f"default-src 'none'; script-src {_hash(chart)} {_hash(script)}; "
        f"style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    texts = {
        "policy": escape(policy),
        "version": escape(VERSION),
        "title": escape(f"{header.account}, versions {header.first} to {header.last}: incident"),
        "account": escape(header.account),
        "extent": escape(_extent(course)),
        "style": style,
        "chart": chart,
        "page": script,
        "data": json_text(_data(course)),
    }
    # In one pass: what the incident says is never read as a template.
    return _FIELD.sub(lambda field: texts[field[1]], _part("page.html"))


def json_text(data: Any) -> str:
    """JSON that may stand in a script element: it can't end it, and it is JavaScript too."""
    return _UNSAFE.sub(lambda sign: _ESCAPED[sign[0]], orjson.dumps(data).decode())


def _part(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _extent(course: Course) -> str:
    header, count = course.header, len(course.marks)
    records = wording.count(count, "record")
    stimuli = sum(mark.times for mark in course.marks)
    if stimuli != count:
        records += f" of {stimuli:,} stimuli"
    return (
        f"{records}, versions {header.first} to {header.last}, from {clock(course.start)} to "
        f"{clock(course.end)} UTC ({span(course.end - course.start)})"
    )


def _data(course: Course) -> dict[str, Any]:
    """What the scripts draw. Times are ns since the first record; `i` is a record by its index.

    A stretch goes from `a` to `b`, indexes too: -1 is before the incident, and the number of
    records is after it.
    """
    start = course.start
    return {
        "start_ms": start // 1_000_000,
        "start_ns": start % 1_000_000,
        "summary": _summary(course),
        "about": _about(course),
        "sentences": {mark.entry.rule: mark.entry.sentence for mark in course.marks},
        "records": [_record(mark, start) for mark in course.marks],
        "controllers": [
            {
                "name": life.controller,
                "epoch": life.epoch,
                "holder": life.holder,
                "state": life.state,
                "reason": life.reason,
                **_between(course, life.first, life.last),
            }
            for life in course.lives
        ],
        "states": [_state(course, stretch) for stretch in course.lane("state")],
        "sockets": [
            {"on": stretch.owner, "socket": stretch.what, "is": stretch.fact.name,
             **_within(course, stretch)}
            for stretch in course.lane("socket")
        ],
        "timers": [_timer(course, stretch) for stretch in course.lane("timer")],
        "waits": [
            {"reply": stretch.owner, "is": stretch.fact.name, "via": stretch.fact.more,
             **_within(course, stretch)}
            for stretch in course.lane("reply")
        ],
        "replies": [_reply(course, reply) for reply in course.replies],
        "gaps": [_gap(course, gap) for gap in course.gaps],
    }  # fmt: skip


def _between(course: Course, first: int, last: int | None) -> dict[str, int]:
    one = course.header.first
    return {
        "a": first - one if first else -1,
        "b": last - one if last is not None else len(course.marks),
    }


def _within(course: Course, stretch: Stretch) -> dict[str, Any]:
    return {**_between(course, stretch.first, stretch.last), "took": _took(stretch)}


def _took(stretch: Stretch) -> str:
    text = span(stretch.end - stretch.start)
    return text if stretch.first and stretch.last is not None else f"at least {text}"


def _state(course: Course, stretch: Stretch) -> dict[str, Any]:
    fact = stretch.fact
    said = {"on": stretch.owner, "state": fact.name, "phase": fact.more}
    return {**said, "live": fact.live, "degraded": fact.degraded, **_within(course, stretch)}


def _timer(course: Course, stretch: Stretch) -> dict[str, Any]:
    due = _ZEROS.sub("Z", instant(stretch.fact.due)) if stretch.fact.due is not None else None
    said = {
        "timer": stretch.what,
        "reply": stretch.owner or None,
        "due": due,
        "end": stretch.end_by,
    }
    return {**said, **_within(course, stretch)}


def _reply(course: Course, reply: Any) -> dict[str, Any]:
    return {
        "reply": reply.reply,
        "chat": reply.chat,
        "on": reply.captured_on,
        "outcome": reply.outcome,
        "reason": reply.reason,
        "sends": [[version - course.header.first, via] for version, via in reply.sends],
        "took": span(reply.end - reply.start),
        **_between(course, reply.first, reply.last),
    }


def _gap(course: Course, gap: Any) -> dict[str, Any]:
    length = "unknown" if gap.unknown else span(gap.length(course.end))
    return {
        "cause": gap.cause,
        "lost": gap.controller,
        "then": gap.ended_by,
        "took": length,
        "dials": gap.dials,
        "held": gap.held,
        **_between(course, gap.started_version, gap.ended_version),
    }


def _record(mark: Mark, start: int) -> dict[str, Any]:
    entry = mark.entry
    return {
        "v": entry.version,
        "p": entry.position,
        "t": mark.at - start,
        "time": _ZEROS.sub("Z", instant(entry.at)),
        "stimulus": entry.stimulus,
        "source": entry.source,
        "controller": entry.controller,
        "reply": entry.reply,
        "rule": entry.rule,
        "state": entry.state,
        "before": entry.before,
        "said": observed(entry.stimulus, entry.told),
        "then": consequences(entry),
        "told": _pairs(entry.told),
        "changes": _pairs(mark.changes),
        "effects": [_words(effect) for effect in entry.effects],
        "settled": [
            [reply, how["outcome"], how.get("reason")] for reply, how in entry.settled.items()
        ],
        "notices": [one["notice"] for one in entry.effects if one["effect"] == "notify"],
        "idle": mark.idle,
        "times": mark.times,
        "body": mark.body.decode(),
        "chain": mark.chain,
    }


def _pairs(values: dict[str, Any]) -> list[list[str]]:
    """Names with what they are, as people read it: an instant is told as such."""
    return [[name, _text(value, name)] for name, value in values.items()]


def _text(value: Any, name: str = "") -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner, key)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_text(inner) for inner in value) or "none"
    if is_instant(name, value):
        if value >= _YEAR_NS:
            return _ZEROS.sub("Z", instant(value))
        value = value or None  # no instant
    return str(value) if value is not None else "none"


def _words(effect: dict[str, Any]) -> str:
    more = (f"{name} {_text(value)}" for name, value in effect.items() if name != "effect")
    return f"{_text(effect['effect'])}: {', '.join(more)}"


def _summary(course: Course) -> list[list[str]]:
    """Cards: a name, what is to say, and how that is (good, warn, bad or nothing)."""
    life = course.lives[-1] if course.lives else None
    states = course.lane("state")
    live = bool(states) and states[-1].last is None and states[-1].fact.live
    state = wording.state(life.state if life is not None else None)
    tone = "good" if live else "bad" if life is not None and life.last is not None else "warn"
    known = [gap for gap in course.gaps if not gap.unknown]
    length = span(sum(gap.length(course.end) for gap in known)) if known else "none"
    outcomes = Counter(reply.outcome for reply in course.replies)
    replies = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    unsent = outcomes.total() - outcomes["sent"]
    notices = sum(effect["effect"] == "notify" for s in course.marks for effect in s.entry.effects)
    return [
        ["state at the end", f"{state}, live" if live else state, tone],
        [wording.count(len(course.gaps), "gap") if course.gaps else "gaps", length,
         "warn" if course.gaps else ""],
        ["replies", replies or "none", "bad" if unsent else "good" if outcomes else ""],
        ["controllers", str(len(course.lives)), ""],
        ["notices", str(notices) if notices else "none", "warn" if notices else ""],
    ]  # fmt: skip


def _about(course: Course) -> list[list[str]]:
    header, anchor = course.header, course.trailer.anchor
    return [
        ["log", header.log],
        ["range", f"versions {header.first} to {header.last} of {header.account}"],
        ["chain before", f"{header.before.chain} (version {header.before.version})"],
        ["chain after", f"{course.trailer.head.chain} (version {course.trailer.head.version})"],
        ["anchor", "none in the bundle" if anchor is None else "in the bundle"],
        ["decided by", f"linewarden {header.build}, schema {header.schema}, table {header.table}"],
        ["policy", _text(header.policy) if header.policy else "the default"],
        ["exported", _ZEROS.sub("Z", instant(header.at))],
        ["rendered by", f"linewarden {VERSION}; this page loads nothing and sends nothing"],
    ]
