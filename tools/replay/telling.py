"""What a replay found, in words for people and as JUnit for machines that run tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal
from xml.etree import ElementTree

import msgspec

from ...statemachine.policy import NS
from .. import wording
from ..moments import clock, is_instant, span
from .divergence import ABSENT, Divergence, Replayed

VALUE_CHARACTERS_MAX = 120

_WORDS = {
    "decision": "was decided otherwise",
    "effect": "asks for other effects",
    "timing": "was decided for another instant",
    "missing": "does not happen any more",
    "extra": "happens only now",
    "schema": "can't be read by this version",
    "self": "contradicts itself",
}


def tell_one(divergence: Divergence) -> str:
    """One divergence in one line: where, what kind, and the rules, or the first differing field."""
    one = divergence
    where = f"position {one.position}" if one.position else "a timer that the log doesn't have"
    told = f"{where}: {one.kind}"
    ruled = one.rule != one.rule_now and one.kind not in ("schema", "self")
    if ruled:
        told += f", {_rule(one, 'recorded')} -> {_rule(one, 'now').removeprefix('rule ')}"
    elif one.rule is not None:
        told += f", rule {one.rule}"
    if one.field != "rule" and not (ruled and one.kind == "decision"):
        told += ", " + " ".join(_field(one))
    return harmless(told)


def tell(replayed: Replayed, name: str, then: str = "then", now: str = "now") -> str:
    """The result of a replay: what diverged first, and how much downstream."""
    first, count = replayed.first, replayed.records
    if first is None:
        return f"{name}: the same, {wording.count(count, 'record')}"
    where = "a timer that the log doesn't have"
    if first.position:
        where = f"position {first.position} (version {first.version})"
    rows = [("first", f"{where} {_WORDS[first.kind]} ({first.kind})")]
    if first.kind != "schema":
        rows.append((then, _rule(first, "recorded")))
        if first.kind != "self":
            rows.append((now, _rule(first, "now")))
    if first.field != "rule":
        rows.append(("field", ": ".join(_field(first))))
    rows.append(("downstream", _downstream(replayed)))
    width = max(len(word) for word, _ in rows)
    lines = [f"{name}: diverges, {wording.count(count, 'record')}"]
    lines += [f"  {word:<{width}}  {text}" for word, text in rows]
    return "\n".join(map(harmless, lines))


def _downstream(replayed: Replayed) -> str:
    count = replayed.downstream
    if not count:
        return "nothing else differs"
    kinds = Counter(one.kind for one in replayed.divergences[1:])
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    unread = count - kinds.total()
    told += (", " if told and unread else "") + (f"{unread} not read" if unread else "")
    many = wording.count(count, "record")
    return f"{many} after it {'differs' if count == 1 else 'differ'} too ({told})"


def _rule(one: Divergence, side: Literal["recorded", "now"]) -> str:
    """The rule of a side; where its code raised, what it raised and where."""
    rule = one.rule if side == "recorded" else one.rule_now
    said = getattr(one, side)
    return f"raised {said}" if one.field == "rule" and said != rule else f"rule {rule or 'none'}"


def _field(one: Divergence) -> tuple[str, str]:
    """The first differing field, and its values then and now."""
    if one.kind in ("missing", "extra"):
        told = one.recorded or one.now
        raised = f", raised {told['raised']}" if "raised" in told else ""
        return "stimulus", f"{told['stimulus']} at {clock(told['at'])}{raised}"
    then, now = (_shown(one.field, value) for value in (one.recorded, one.now))
    if one.kind != "timing":
        return one.field, f"{then} -> {now}"
    later = one.now - one.recorded
    apart = span(later) if abs(later) >= NS // 1000 else f"{abs(later)} ns"
    return one.field, f"{then} -> {now} ({apart} {'later' if later > 0 else 'earlier'})"


def _shown(path: str, value: Any) -> str:
    if value == ABSENT and path.startswith("changes.") and path.count(".") == 1:
        return "(unchanged)"
    text = _plain(path, value)
    if isinstance(value, dict) and value:
        fields = {name: _plain(name, inner) for name, inner in value.items()}
        effect = [fields.pop("effect")] if "effect" in fields else []
        text = " ".join([*effect, *(f"{name}={inner}" for name, inner in fields.items())])
    rest = len(text) - VALUE_CHARACTERS_MAX
    return text if rest <= 0 else f"{text[:VALUE_CHARACTERS_MAX]}… ({rest} more characters)"


def _plain(path: str, value: Any) -> str:
    """A value as text: an instant as a time, what has parts as JSON."""
    value = "none" if value is None else _readable(path, value)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _readable(path: str, value: Any) -> Any:
    """Plain data with its instants as times."""
    if isinstance(value, dict):
        return {name: _readable(name, inner) for name, inner in value.items()}
    return clock(value) if value and is_instant(path, value) else value


def harmless(text: str) -> str:
    """A line without what a terminal obeys: names in a bundle come from elsewhere."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def junit(judged: Sequence[tuple[str, int, Sequence[str]]]) -> bytes:
    """JUnit's XML of fixtures, each with its name, verdict (an exit code) and what was found."""
    failed = [(name, verdict) for name, verdict, _ in judged if verdict]
    suite = ElementTree.Element(
        "testsuite",
        name="linewarden replay-all",
        tests=str(len(judged)),
        failures=str(sum(verdict == 1 for _, verdict in failed)),
        errors=str(sum(verdict > 1 for _, verdict in failed)),
    )
    for name, verdict, found in judged:
        case = ElementTree.SubElement(suite, "testcase", classname="replay", name=name)
        if verdict:
            kind = "failure" if verdict == 1 else "error"
            told = ElementTree.SubElement(case, kind, message=found[0])
            told.text = "\n".join(found)
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written + b"\n"
