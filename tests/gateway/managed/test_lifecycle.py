"""What a real client hears in a real worker reaches the log as the right stimulus."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from linewarden.gateway.supervisor import process

from .conftest import Stage, Told
from .strings import Act, connected, device, event, fails, jid, message, wait_until

UNMAPPED = "proto: required field neonize.TemporaryBan.Code not set"
REFUSED = (
    "failed to dial whatsapp web websocket: failed to WebSocket dial: failed to send handshake "
    "request: dial tcp 192.0.2.1:443: connect: connection refused"
)

ENDS: dict[str, tuple[Act, str, dict[str, Any], str]] = {
    "device-removed": (
        event("LoggedOut", OnConnect=False, Reason=2),
        *("logged_out", {"reason": 401, "on_connect": None, "socket": 1}, "logged_out"),
    ),
    "device-gone": (
        event("LoggedOut", OnConnect=True, Reason=4),
        *("logged_out", {"reason": 403, "on_connect": True}, "logged_out"),
    ),
    "replaced": (event("StreamReplaced"), "replaced", {"socket": 1}, "conflict"),
    "banned": (
        event("TemporaryBan", Code=1, Expire=3600),
        *("banned", {"code": 101, "expires_s": 3600}, "reconnect_gap"),
    ),
    "rejected": (
        event("ConnectFailure", Reason=7, Message="bad", Raw={"Tag": "failure"}),
        *("closed", {"code": 409, "detail": "bad"}, "closed"),
    ),
    "unavailable": (
        event("ConnectFailure", Reason=10, Message="", Raw={"Tag": "failure"}),
        *("closed", {"code": 503}, "reconnect_gap"),
    ),
    "outdated": (event("ClientOutdated"), "outdated", {}, "reconnect_gap"),
    "stream-error": (
        event("StreamError", Code="516", Raw={"Tag": "stream:error"}),
        *("stream_error", {"code": 516, "socket": 1}, "reconnect_gap"),
    ),
    "dropped": (
        event("Disconnected", status=True), "closed", {"socket": 1}, "reconnect_gap",
    ),
    "unmapped": (fails(UNMAPPED), "closed", {"code": "UNMAPPED"}, "reconnect_gap"),
}  # fmt: skip


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Told]]]:
    """The records of accounts whose connections each end in a way of their own, all at once."""
    stage = Stage(tmp_path_factory.mktemp("ends"))
    try:
        stage.open()
        for name in ENDS:
            stage.manage(name)
        for name, (act, stimulus, _, _) in ENDS.items():
            stage.live(name).play(act)
            stage.wait_told(stimulus, name)
        yield {name: stage.told(name) for name in ENDS}
        stage.close()
    finally:
        stage.drop()


@pytest.mark.parametrize("name", ENDS)
def test_an_end_is_recorded(ends: dict[str, list[Told]], name: str) -> None:
    """Each way in which a connection ends is one stimulus, with its code and its consequence."""
    _, stimulus, fields, state = ENDS[name]
    told = next(one for one in ends[name] if one.name == stimulus)
    assert {key: told.stimulus.get(key) for key in fields} == fields
    assert (told.state, told.stimulus["source"]) == (state, "whatsmeow")


@pytest.mark.parametrize("name", ENDS)
def test_no_end_purges_by_itself(ends: dict[str, list[Told]], name: str) -> None:
    """The session stays, even after a logout, until an operator asks for another."""
    assert "purge" not in {effect["effect"] for told in ends[name] for effect in told.effects}


def test_a_failure_that_the_library_cannot_express_ends_the_worker(stage: Stage) -> None:
    """Its event pump is dead then, so the process ends, and a fresh one connects again."""
    stage.open()
    stage.manage()
    first = stage.live()
    first.play(fails(UNMAPPED))
    assert first.gone.wait(10)
    second = stage.live(number=1)
    assert second.beside == []
    assert stage.told(name="closed")[0].stimulus["code"] == "UNMAPPED"
    assert stage.wait_told("worker_died")[0].stimulus["exit_code"] == 4


def test_signs_of_life_are_recorded(stage: Stage) -> None:
    """Missed and answered keepalives, messages, receipts and offline syncs are each told."""
    stage.open()
    stage.manage()
    puppet = stage.live()
    source = {"Chat": jid("15550100002"), "Sender": jid("15550100002")}
    flags = {"IsFromMe": False, "IsGroup": False}
    puppet.play(
        event("KeepAliveTimeout", ErrorCount=2, LastSuccess=1),
        event("KeepAliveRestored"),
        message("hello"),
        event("Receipt", MessageSource={**source, **flags}, MessageIDs=["3EB0"], Timestamp=1),
        event("OfflineSyncCompleted", Count=3),
    )
    proofs = [told.stimulus.get("evidence") for told in stage.wait_told("activity", count=3)]
    assert proofs == ["inbound", "ack", None], "what is not named is a frame"
    assert stage.told(name="keepalive_timeout")[0].stimulus["count"] == 2
    assert len(stage.told(name="keepalive_restored")) == 1
    assert stage.state() == "connected"


def test_a_quiet_connection_proves_its_life(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that says it is connected is believed; one that only seems so is dialed anew."""
    monkeypatch.setattr(process, "ASK_S", 0.05)
    stage.open(silence_s=1)
    stage.manage()
    puppet = stage.live()
    probes = stage.wait_told("activity", count=4)
    assert {told.stimulus["evidence"] for told in probes} == {"probe"}
    since = [told.stimulus["at"] for told in probes]
    assert all(later - earlier >= 0.2e9 for earlier, later in pairwise(since))
    assert stage.state() == "connected"
    puppet.play({"act": "lose"})
    stage.wait_told("opened", count=2)
    [fired] = [told for told in stage.told() if told.stimulus.get("timer") == "silence"]
    assert fired.state == "reconnect_gap"
    assert stage.string().puppets[-1].beside == []


def test_the_library_redials_by_itself(stage: Stage) -> None:
    """A lost connection that the library repairs is a gap, a reconnect without a word another."""
    stage.open(initial_s=20, max_s=20)
    stage.manage()
    puppet = stage.live()
    puppet.play(event("Disconnected", status=True), connected())
    stage.wait_told("opened", count=2)
    stage.wait_told("identity_observed", count=2)
    puppet.play(connected())
    stage.wait_told("identity_observed", count=3)
    assert [(told.rule, told.stimulus.get("socket")) for told in stage.told(name="opened")] == [
        ("opened.connected", 1), ("opened.reconnected", None), ("opened.new_socket", 3),
    ]  # fmt: skip
    assert len(puppet.named("connect")) == 1
    assert len(stage.string().puppets) == 1


def test_the_library_has_until_the_deadline(stage: Stage) -> None:
    """While it redials by itself a dial is its own; when it doesn't open, a fresh worker dials."""
    stage.open(connect_deadline_s=1)
    stage.manage()
    puppet = stage.live()
    puppet.play(event("Disconnected", status=True))
    stage.wait_state("connecting")
    puppet.play(connected())
    stage.wait_state("connected")
    assert [told.stimulus.get("socket") for told in stage.told(name="opened")] == [1, 2]
    puppet.play(event("Disconnected", status=True))
    assert stage.live(number=1).beside == []
    assert "connect_deadline.retry" in [told.rule for told in stage.told()]
    assert len(puppet.named("connect")) == 1, "one client is connected once"


def test_a_client_that_does_not_redial_is_replaced(stage: Stage) -> None:
    """After a stream error the library may sit there as if connected, so a fresh worker dials."""
    stage.open()
    stage.manage()
    puppet = stage.live()
    puppet.play(event("StreamError", Code="516", Raw={"Tag": "stream:error"}))
    assert stage.live(number=1).beside == []
    assert not stage.told(name="worker_died"), "its end was asked for"
    assert len({told.stimulus["controller"] for told in stage.told(name="opened")}) == 1


@pytest.mark.parametrize("pairing", ["qr", "code"])
def test_pairing_is_recorded(stage: Stage, pairing: str) -> None:
    """A code is shown to the operator and nowhere else; pairing and its saving are told."""
    shown: list[tuple[str, str]] = []
    stage.string().at_connect = []
    stage.open()
    phone = {"pair_phone": "+15550100001"} if pairing == "code" else {}
    stage.manage(pairing=pairing, on_code=lambda *code: shown.append(code), **phone)
    puppet = stage.string().puppet()
    puppet.private("Qr", "https://wa.me/settings/linked_devices#one")
    wait_until(lambda: shown)
    puppet.private("Qr", "https://wa.me/settings/linked_devices#two")
    assert stage.wait_told("pairing_started")[0].state == "connecting"
    puppet.private("LoginStatus", "success")
    puppet.play(event("QR", Codes=["https://wa.me/settings/linked_devices#one"]))
    puppet.play(event("PairStatus", ID=jid("15550100001"), BusinessName="", Platform="", Status=2))
    puppet.play(device(), connected())
    stage.live()
    names = [told.name for told in stage.told() if told.name != "pairing_started"]
    assert names[-4:] == ["paired", "credentials_saved", "opened", "identity_observed"]
    if pairing == "qr":
        assert [value[-3:] for _, value in shown] == ["one", "two"]
    else:
        assert [(kind, value.replace("-", "")) for kind, value in shown] == [("code", "ABCD1234")]
        assert [seen["phone"] for seen in puppet.named("pair")] == ["15550100001"]


def test_failed_pairings_are_recorded(stage: Stage) -> None:
    """An expired code, an error of the phone and a library that is too old are told apart."""
    stage.open()
    error = {"ID": jid("15550100001"), "BusinessName": "", "Platform": "", "Status": 1}
    for name in ("expired", "error", "outdated"):
        stage.string(name).at_connect = []
        stage.manage(name, on_code=lambda *_: None)
    for name in ("expired", "error", "outdated"):
        stage.string(name).puppet().private("Qr", "https://wa.me/settings/linked_devices#one")
        stage.wait_told("pairing_started", name)
    stage.string("expired").puppet().private("LoginStatus", "timeout")
    stage.string("error").puppet().play(event("PairStatus", **error, Error="no such thing"))
    stage.string("outdated").puppet().private("LoginStatus", "err-client-outdated")
    expired, failed = (stage.wait_told("pairing_failed", name)[0] for name in ("expired", "error"))
    assert (expired.stimulus["reason"], expired.state) == ("timeout", "closed")
    assert (failed.stimulus["reason"], failed.stimulus["detail"]) == ("error", "no such thing")
    assert stage.wait_told("outdated", "outdated")[0].state == "reconnect_gap"


def test_a_worker_is_recycled(stage: Stage, tmp_path: Path) -> None:
    """Each connect leaks a descriptor, so after 16 the next dial is made by a fresh worker."""
    strings = stage.string()
    strings.at_connect = [fails(REFUSED)]
    stage.open()
    stage.manage()
    second = strings.puppet(1)
    strings.at_connect = [device(), connected()]
    stage.live(number=1)
    first = strings.puppets[0]
    assert len(first.named("connect")) == 16
    assert len({seen["uuid"] for seen in first.named("connect")}) == 16
    assert second.beside == []
    assert {told.stimulus["code"] for told in stage.told(name="dial_failed")} == {"ECONNREFUSED"}
    assert not stage.told(name="worker_died")
