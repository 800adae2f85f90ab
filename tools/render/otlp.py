"""`otlp`: the incident as a trace in OTLP/JSON, for any collector (`/v1/traces`); no SDK is needed.

One trace: the incident is its root, below it the lives of the controllers with their dials and
connected stretches, and the replies, linked to the controllers that wrote them. Ids are hashes of
what they are of, so the same incident is the same trace wherever it is sent from.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import orjson

from ...statemachine.version import VERSION
from .course import Course, Fate, Life, Mark, Stretch

INTERNAL, CLIENT, PRODUCER = 1, 3, 4
OK, ERROR = 1, 2
_FAILED = frozenset({"uncertain", "refused", "rejected", "expired"})
_LOST = frozenset({"conflict", "logged_out", "closed"})

Plain = dict[str, Any]


def otlp(course: Course) -> bytes:
    """The incident as one `ExportTraceServiceRequest` in JSON."""
    header = course.header
    resource = {
        "service.name": "linewarden",
        "service.version": header.build,
        "linewarden.log": header.log,
        "linewarden.account": header.account,
        "linewarden.table": header.table,
        "linewarden.schema": header.schema,
        "linewarden.version.first": header.first,
        "linewarden.version.last": header.last,
        "linewarden.head": course.trailer.head.chain,
    }
    scope = {"name": "linewarden.render", "version": VERSION}
    trace = {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [{"scope": scope, "spans": _Trace(course).spans()}],
            }
        ]
    }
    return orjson.dumps(trace, option=orjson.OPT_INDENT_2) + b"\n"


class _Trace:
    """The spans of an incident."""

    def __init__(self, course: Course) -> None:
        self.course = course
        header = course.header
        self.seed = (header.log, header.account, header.first, header.last)
        self.trace = self._hash("trace", 32)
        self.root = self._hash("incident", 16)
        self.opened = {
            (stretch.owner, stretch.what, stretch.first)
            for stretch in course.lane("socket")
            if stretch.fact.name == "open"
        }
        self.lives = {life.controller: self._life_id(life) for life in course.lives}

    def spans(self) -> list[Plain]:
        course = self.course
        name = f"incident {course.header.account}"
        told: Plain = {"linewarden.records": len(course.marks)}
        found = [self._span(self.root, None, name, course.start, course.end, told)]
        found += map(self._life, course.lives)
        found += [
            self._dial(stretch)
            for stretch in course.lane("socket")
            if stretch.fact.name == "dialing"
        ]
        found += map(self._connected, _stretches(course.lane("state")))
        found += map(self._reply, course.replies)
        return found

    def _hash(self, what: object, length: int) -> str:
        text = repr((*self.seed, what))
        return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:length]

    def _life_id(self, life: Life) -> str:
        return self._hash(("life", life.first), 16)

    def _span(
        self,
        id: str,
        parent: str | None,
        name: str,
        start: int,
        end: int,
        told: Plain,
        kind: int = INTERNAL,
        **more: Any,
    ) -> Plain:
        up = {} if parent is None else {"parentSpanId": parent}
        return {
            "traceId": self.trace,
            "spanId": id,
            **up,
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(end),
            "attributes": _attributes(told),
            **more,
        }

    def _life(self, life: Life) -> Plain:
        told = {
            "linewarden.controller": life.controller,
            "linewarden.epoch": life.epoch,
            "linewarden.holder": life.holder,
            "linewarden.state": life.state,
            "linewarden.reason": life.reason,
            "linewarden.open": life.last is None,
        }
        first, course = self.course.header.first, self.course
        end = None if life.last is None else life.last - first + 1
        marks = course.marks[max(life.first - first, 0) : end]
        more: Plain = {"events": [_event(mark) for mark in marks if not mark.idle]}
        if life.state in _LOST:
            more["status"] = {"code": ERROR, "message": life.reason or life.state}
        name = f"controller {life.controller}"
        number = self._life_id(life)
        return self._span(number, self.root, name, life.start, life.end, told, **more)

    def _dial(self, stretch: Stretch) -> Plain:
        number = self._hash(("dial", stretch.owner, stretch.what, stretch.first), 16)
        opened = (stretch.owner, stretch.what, stretch.last) in self.opened
        code = OK if opened else ERROR
        more: Plain = {} if stretch.last is None else {"status": {"code": code}}
        return self._below(number, f"dial {stretch.what}", stretch, CLIENT, more)

    def _connected(self, stretch: Stretch) -> Plain:
        number = self._hash(("connected", stretch.owner, stretch.first), 16)
        return self._below(number, "connected", stretch, INTERNAL, {})

    def _below(self, id: str, name: str, stretch: Stretch, kind: int, more: Plain) -> Plain:
        told = {
            "linewarden.controller": stretch.owner,
            "linewarden.version.first": stretch.first,
            "linewarden.version.last": stretch.last,
            "linewarden.open": stretch.last is None,
        }
        parent = self.lives.get(stretch.owner, self.root)
        return self._span(id, parent, name, stretch.start, stretch.end, told, kind, **more)

    def _reply(self, reply: Fate) -> Plain:
        told = {
            "linewarden.reply": reply.reply,
            "linewarden.chat": reply.chat,
            "linewarden.captured_on": reply.captured_on,
            "linewarden.outcome": reply.outcome,
            "linewarden.reason": reply.reason,
            "linewarden.sends": len(reply.sends),
            "linewarden.open": reply.last is None,
        }
        via = dict.fromkeys(name for _, name in reply.sends if name in self.lives)
        links = [{"traceId": self.trace, "spanId": self.lives[name]} for name in via]
        more: Plain = {"links": links} if links else {}
        if reply.outcome in _FAILED:
            more["status"] = {"code": ERROR, "message": reply.reason or reply.outcome}
        elif reply.outcome == "sent":
            more["status"] = {"code": OK}
        number = self._hash(("reply", reply.reply, reply.first), 16)
        name = f"reply {reply.outcome}"
        return self._span(number, self.root, name, reply.start, reply.end, told, PRODUCER, **more)


def _stretches(stays: Iterable[Stretch]) -> list[Stretch]:
    """Connected stretches: a proof and a lost keepalive don't end one."""
    found: list[Stretch] = []
    for stay in stays:
        if stay.fact.name != "connected":
            continue
        last = found[-1] if found else None
        if last is not None and last.last == stay.first and last.owner == stay.owner:
            merged = {"end": stay.end, "last": stay.last}
            found[-1] = Stretch(
                **{**{f: getattr(last, f) for f in last.__struct_fields__}, **merged}
            )
        else:
            found.append(stay)
    return found


def _event(mark: Mark) -> Plain:
    entry = mark.entry
    told = {
        "linewarden.stimulus": entry.stimulus,
        "linewarden.source": entry.source,
        "linewarden.position": entry.position,
        "linewarden.state": entry.state,
    }
    return {"timeUnixNano": str(mark.at), "name": entry.rule, "attributes": _attributes(told)}


def _attributes(values: Plain) -> list[Plain]:
    """Attributes as OTLP writes them; what is not known is left out."""
    return [
        {"key": key, "value": _value(value)} for key, value in values.items() if value is not None
    ]


def _value(value: bool | int | str) -> Plain:
    if isinstance(value, bool):
        return {"boolValue": value}
    # 64-bit integers are decimal texts in the JSON of protobuf.
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
