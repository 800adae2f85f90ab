"""Bad input to the API is the caller's fault: an error with a hint at once, and no record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.warden import Linewarden
from linewarden.statemachine.errors import InputError

PERSONAL = "15550100001"
BASE = {"controller": "A", "source": "baileys"}


@pytest.fixture
def warden(tmp_path: Path) -> Iterator[Linewarden]:
    with Linewarden.open(tmp_path / "log.db") as made:
        made.claim("main", "A").result(20)
        yield made
        made.observe("main", "activity", controller="A").result(20)
        reader = made.projections.reader
        assert [record.type for record in reader.read_all()] == ["claimed", "activity"]


HUGE = 2**70
BAD_STIMULI: dict[str, tuple[str, str, dict[str, Any]]] = {
    "unknown": ("main", "exploded", BASE),
    "no-name": ("main", "", BASE),
    "name-5": ("main", 5, BASE),
    "field": ("main", "closed", BASE | {"colour": "red"}),
    "code-list": ("main", "closed", BASE | {"code": [408]}),
    "code-float": ("main", "closed", BASE | {"code": 408.0}),
    "code-huge": ("main", "closed", BASE | {"code": HUGE}),
    "code-phone": ("main", "closed", BASE | {"code": int(PERSONAL)}),
    "code-negative": ("main", "closed", BASE | {"code": -HUGE}),
    "count-huge": ("main", "keepalive_timeout", BASE | {"count": HUGE}),
    "socket-huge": ("main", "closed", BASE | {"socket": HUGE}),
    "exit-huge": ("main", "worker_died", BASE | {"exit_code": HUGE}),
    "signal-huge": ("main", "worker_died", BASE | {"signal": -HUGE}),
    "held-huge": ("main", "reply_submitted",
                  {"reply": "r", "chat": "c@g.us", "held_elsewhere": HUGE}),
    "earlier-huge": ("main", "reply_submitted", {"reply": "r", "chat": "c@g.us", "earlier": HUGE}),
    "at-huge": ("main", "activity", BASE | {"at": HUGE}),
    "at-negative": ("main", "activity", BASE | {"at": -HUGE}),
    "at-text": ("main", "activity", BASE | {"at": "now"}),
    "half-character": ("main", "closed", BASE | {"detail": "\ud800"}),
    "half-tag": ("main", "closed", BASE | {"tag": "\ud800"}),
    "half-chat": ("main", "reply_submitted", {"reply": "r", "chat": "\ud800@g.us"}),
    "detail-object": ("main", "closed", BASE | {"detail": object()}),
    "detail-bytes": ("main", "closed", BASE | {"detail": b"\xff"}),
    "evidence": ("main", "activity", BASE | {"evidence": "rumour"}),
    "seconds-nan": ("main", "silence", BASE | {"kind": "app", "seconds": float("nan")}),
    "seconds-endless": ("main", "silence", BASE | {"kind": "app", "seconds": float("inf")}),
    "policy-field": ("main", "claimed", BASE | {"holder": "h", "policy": {"patience": 1}}),
    "policy-value": ("main", "claimed", BASE | {"holder": "h", "policy": {"preset": []}}),
    "policy-holder": ("main", "service_started", {"holder": "h", "policy": {"max_s": "x"}}),
    "forms-list": ("main", "identity_observed", BASE | {"forms": [PERSONAL]}),
    "forms-value": ("main", "identity_observed", BASE | {"forms": {"pn": f"{PERSONAL}@x.y"}}),
    "forms-name": ("main", "identity_observed", BASE | {"forms": {PERSONAL: "1@lid"}}),
    "linked": ("main", "identity_linked", {"pn": f"{PERSONAL}@c.us", "lid": f"{PERSONAL}@c.us"}),
    "account-slash": ("../etc/passwd", "activity", BASE),
    "account-space": ("main line", "activity", BASE),
    "account-empty": ("", "activity", BASE),
    "account-long": ("a" * 65, "activity", BASE),
    "account-newline": ("main\n", "activity", BASE),
    "account-letter": ("línea", "activity", BASE),
    "account-phone": (PERSONAL, "activity", BASE),
    "account-plus": (f"+{PERSONAL}", "activity", BASE),
    "account-jid": (f"{PERSONAL}@s.whatsapp.net", "activity", BASE),
    "account-none": (None, "activity", BASE),
    "controller-jid": ("main", "activity", {"controller": f"{PERSONAL}@lid"}),
    "controller-number": ("main", "activity", {"controller": 5}),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_STIMULI)
def test_a_bad_stimulus_is_refused_at_once(warden: Linewarden, case: str) -> None:
    """It raises in the caller's thread, says what would be right, shows nobody, records nothing."""
    account, name, fields = BAD_STIMULI[case]
    with pytest.raises(InputError) as caught:
        warden.observe(account, name, **fields)
    assert caught.value.hint
    assert PERSONAL not in str(caught.value)
