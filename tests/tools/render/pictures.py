"""Incidents to draw: two that are told in the scenarios, and one that somebody made to do harm."""

from typing import Any

import msgspec

from linewarden.eventstore.anchor import Point
from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import stimuli as st
from linewarden.tools.render.cli import drawn

from ..incidents import FOLDER, bundle_of_scenario
from ..replay.logs import at, claimed, incident_of, opened

RESTARTED = next(FOLDER.glob("oc-007-*.jsonl"))
CONFLICT = next(FOLDER.glob("tr-05-*.jsonl"))

EVIL = (
    "</script><script>alert(1)</script><!--",
    "\"'><img src=//evil.invalid/x onerror=alert(1)>",
    "a\u2028b\u2029c\u202ed",
    "x;\n  Note over L: forged\n%%{init: {}}%% #35; `$$` --> ]end",
    "end",
    "{{data}}{{style}}",
    "   ",
)
"""Texts that end a script, begin an element, break a line or speak the grammar of a picture."""


def text_of(bundle: Bundle, form: str) -> str:
    """A bundle in a form."""
    return b"".join(drawn(bundle, form)).decode()


def restarted() -> Bundle:
    """A lost connection, a restart by a monitor, two replies that reach their chats."""
    return bundle_of_scenario(RESTARTED)


def conflict() -> Bundle:
    """A takeover by somebody else, and a reply that is refused."""
    return bundle_of_scenario(CONFLICT)


def hostile() -> Bundle:
    """Everything that a bundle may say freely is said by somebody who means harm."""
    said: list[st.Stimulus] = []
    for number, text in enumerate(EVIL):
        name = f"{text}{number}"
        s = number * 30
        said += [
            st.Claimed(at=at(s), controller=name, holder=text, reason=text),
            st.Opened(at=at(s + 1), controller=name, source=text, detail=text, socket=1),
            st.IdentityObserved(at=at(s + 2), controller=name, source=text, forms={"pn": "idn_1"}),
            st.ReplySubmitted(at=at(s + 3), reply=name, chat=text, captured_on=name),
            st.SendAcked(at=at(s + 4), controller=name, reply=name, message_id=text),
            st.ReplySubmitted(at=at(s + 5), reply=name + "b", chat=text, captured_on=name),
            st.Closed(
                at=at(s + 6), controller=name, source="baileys", code=440, tag=text, socket=1
            ),
        ]
    return incident_of(*said)


def storm() -> Bundle:
    """A takeover by our own, and 10,000 late closes of the controller before, within a second."""
    late = st.Closed(at=at(5), controller="A", source="baileys", code=428, socket=1)
    shared = msgspec.structs.replace(late, at=at(5.001), times=9_999, last_at=at(5.999))
    proven = st.IdentityObserved(at=at(2), controller="A", forms={"pn": "idn_1"})
    taken = st.Claimed(at=at(4), controller="B", holder="host")
    return incident_of(claimed(), opened(1), proven, taken, late, shared)


def tail_of(bundle: Bundle, first: int, before: dict[str, Any]) -> Bundle:
    """The rest of a bundle from a version on; `before` is the state before it."""
    records = bundle.records[first - 1 :]
    header = msgspec.structs.replace(
        bundle.header,
        first=first,
        before=Point(first - 1, bundle.records[first - 2].chain.hex()),
        snapshot=before,
        policy=before.get("overrides") or {},
    )
    trailer = msgspec.structs.replace(bundle.trailer, records=len(records))
    return Bundle(header, records, trailer)
