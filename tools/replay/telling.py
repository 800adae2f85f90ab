"""What a replay found, in words for people and as JUnit for machines that run tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from .divergence import Divergence, Replayed

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
    """One divergence in one line: where, what kind, the rules, and the first differing field."""
    one = divergence
    where = f"position {one.position}" if one.position else "a timer that the log doesn't have"
    told = f"{where}: {one.kind}"
    if one.rule != one.rule_now and one.kind not in ("schema", "self"):
        told += f", rule {one.rule or 'none'} -> {one.rule_now or 'none'}"
    elif one.rule is not None:
        told += f", rule {one.rule}"
    if one.field != "rule":
        told += f", {one.field} {_shown(one.recorded)} -> {_shown(one.now)}"
    return harmless(told)


def tell(replayed: Replayed, name: str, then: str = "then", now: str = "now") -> str:
    """The result of a replay: what diverged first, and how much downstream."""
    first, count = replayed.first, replayed.records
    if first is None:
        return f"{name}: the same, {_records(count)}"
    where = "a timer that the log doesn't have"
    if first.position:
        where = f"position {first.position} (version {first.version})"
    width = max(len(then), len(now), len("downstream"))
    rows = [("first", f"{where} {_WORDS[first.kind]} ({first.kind})")]
    if first.kind != "schema":
        rows += [(f"{then}", f"rule {first.rule or 'none'}")]
        if first.kind != "self":
            rows += [(f"{now}", f"rule {first.rule_now or 'none'}")]
    if first.field != "rule":
        rows.append(("field", f"{first.field}: {_shown(first.recorded)} -> {_shown(first.now)}"))
    rows.append(("downstream", _downstream(replayed)))
    lines = [f"{name}: diverges, {_records(count)}"]
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
    return f"{_records(count)} after it {'differs' if count == 1 else 'differ'} too ({told})"


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count:,} records"


def _shown(value: Any) -> str:
    text = str(value)
    rest = len(text) - VALUE_CHARACTERS_MAX
    return text if rest <= 0 else f"{text[:VALUE_CHARACTERS_MAX]}… ({rest} more characters)"


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
