"""An incident to explore: replies, a retry, a conflict; and the same with a bug switched on."""

from pathlib import Path

import pytest

from linewarden.eventstore.bundle_format import Bundle
from linewarden.eventstore.bundle_writing import write_bundle
from linewarden.statemachine import stimuli as st

from ..replay.conftest import incidents  # noqa: F401 - pytest finds it here
from ..replay.logs import at, claimed, closed, fired, incident_of, opened


def proven(seconds: float) -> st.IdentityObserved:
    return st.IdentityObserved(at=at(seconds), controller="A", forms={"pn": "idn_1"})


def submitted(seconds: float, reply: str, earlier: int | None = None) -> st.ReplySubmitted:
    return st.ReplySubmitted(
        at=at(seconds), source="router", reply=reply, chat=f"chat_{reply}", earlier=earlier
    )


def acked(seconds: float, reply: str) -> st.SendAcked:
    return st.SendAcked(at=at(seconds), controller="A", reply=reply, message_id=f"m-{reply}")


@pytest.fixture
def bundle() -> Bundle:
    """Thirteen records: a life with replies and a retry, and a 440 at its end."""
    return incident_of(
        claimed(),  # 1
        opened(1),
        proven(2),
        submitted(10, "r1"),  # 4
        acked(11, "r1"),
        fired(61, "stability"),
        closed(70),  # 7
        submitted(71, "r2"),
        fired(72, "retry"),  # 9
        opened(73),
        proven(74),  # 11
        acked(75, "r2"),
        closed(80, 440),  # 13
    )


@pytest.fixture
def night(bundle: Bundle, tmp_path: Path) -> str:
    """The incident in a file."""
    return save(bundle, tmp_path / "night.incident.jsonl.gz")


def save(bundle: Bundle, path: Path) -> str:
    write_bundle(path, bundle.header, bundle.records, bundle.trailer, replace=True)
    return str(path)
