"""Every event of the real library, through its own callback, becomes what it means."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from neonize import client as sync
from neonize import events as ev
from neonize.proto import Neonize_pb2 as proto

from linewarden.gateway.clock import VirtualClock
from linewarden.gateway.whatsapp.adapter import attach
from linewarden.gateway.whatsapp.attachment import Attachment

NUMBER, LID, SECRET = "15550100001", "100000000000001", "AdvSecretAdvSecret0AdvSecretAdv="
NODE = {"Tag": "failure", "Attrs": [], "Nodes": [], "Bytes": b""}
QR = f"https://wa.me/settings/linked_devices#ref,noise,identity,{SECRET},3"
SELF = {
    "User": NUMBER, "Server": "s.whatsapp.net",
    "Device": 0, "RawAgent": 0, "Integrator": 0, "IsEmpty": False,
}  # fmt: skip

Dispatch = Callable[[Any, Any], None]


def pair_status(status: int, error: str = "") -> Any:
    return proto.PairStatus(ID=SELF, BusinessName="", Platform="", Status=status, Error=error)


LIFECYCLE: list[tuple[Any, list[tuple[str, dict[str, Any]]]]] = [
    (proto.QR(Codes=[QR]), [("pairing_started", {})]),
    (pair_status(2), [("paired", {}), ("credentials_saved", {})]),
    (
        pair_status(1, f"{NUMBER}@s.whatsapp.net refused"),
        [("pairing_failed", {"reason": "error", "detail": "[id] refused"})],
    ),
    (proto.Connected(status=True), [("opened", {})]),
    (proto.KeepAliveTimeout(ErrorCount=3, LastSuccess=7), [("keepalive_timeout", {"count": 3})]),
    (proto.KeepAliveTimeout(ErrorCount=0, LastSuccess=0), [("keepalive_timeout", {"count": 1})]),
    (proto.KeepAliveRestored(), [("keepalive_restored", {})]),
    (
        proto.LoggedOut(OnConnect=False, Reason=2),
        [("logged_out", {"reason": 401, "on_connect": False})],
    ),
    (
        proto.LoggedOut(OnConnect=True, Reason=4),
        [("logged_out", {"reason": 403, "on_connect": True})],
    ),
    (
        proto.LoggedOut(OnConnect=True, Reason=5),
        [("logged_out", {"reason": 406, "on_connect": True})],
    ),
    (proto.StreamReplaced(), [("replaced", {})]),
    (proto.TemporaryBan(Code=1, Expire=3600), [("banned", {"code": 101, "expires_s": 3600})]),
    (proto.TemporaryBan(Code=5, Expire=0), [("banned", {"code": 106})]),
    (
        proto.ConnectFailure(Reason=7, Message="bad user agent", Raw=NODE),
        [("closed", {"code": 409, "detail": "bad user agent"})],
    ),
    (proto.ConnectFailure(Reason=1, Message="", Raw=NODE), [("closed", {"code": 400})]),
    (proto.ConnectFailure(Reason=9, Message="", Raw=NODE), [("closed", {"code": 501})]),
    (proto.ClientOutdated(), [("outdated", {})]),
    (proto.StreamError(Code="516", Raw=NODE), [("stream_error", {"code": "516"})]),
    (proto.StreamError(Code="", Raw=NODE), [("stream_error", {})]),
    (proto.Disconnected(status=True), [("closed", {})]),
    (proto.Message(), [("activity", {"evidence": "inbound"})]),
    (proto.UndecryptableMessage(), [("activity", {"evidence": "inbound"})]),
    (proto.Receipt(), [("activity", {"evidence": "ack"})]),
    (proto.OfflineSyncPreview(), [("activity", {"evidence": "frame"})]),
    (proto.OfflineSyncCompleted(Count=1), [("activity", {"evidence": "frame"})]),
    (proto.IdentityChange(), []),
    (proto.RotateADVSecret(NewSecret=SECRET.encode()), []),
]


@pytest.mark.parametrize(("event", "told"), LIFECYCLE, ids=lambda given: type(given).__name__[:16])
def test_each_event_becomes_its_stimulus(
    attachment: Attachment, warden: Any, event: Any, told: list[Any], dispatch: Dispatch
) -> None:
    """Every event of a connection's life is recorded by what it means, without its payload."""
    dispatch(attachment.client, event)
    assert warden.seen == told
    assert NUMBER not in repr(warden.seen) and SECRET not in repr(warden.seen)


def test_every_lifecycle_event_of_the_library_is_mapped() -> None:
    """The table of this file covers all events by which the library tells of a connection."""
    covered = {ev.EVENT_TO_INT[type(event)] for event, _ in LIFECYCLE}
    assert covered >= set(range(1, 13))


def test_the_account_is_claimed(attachment: Attachment, warden: Any) -> None:
    """Attaching claims the account at once, so that nothing can come before the claim."""
    assert warden.claims == [("main", "attach")]
    assert (attachment.account, attachment.controller) == ("main", "A")


def test_identity_follows_the_opening(
    attachment: Attachment, warden: Any, dispatch: Dispatch, device: Callable[..., Any]
) -> None:
    """Who is logged in is told right after the opening, with all forms, or as soon as known."""
    forms = {"pn": f"{NUMBER}@s.whatsapp.net", "lid": f"{LID}@lid"}
    dispatch(attachment.client, device())
    assert warden.seen == []
    dispatch(attachment.client, proto.Connected(status=True))
    assert warden.seen == [("opened", {}), ("identity_observed", {"forms": forms})]
    assert attachment.identity == forms
    dispatch(attachment.client, device(lid=""))
    assert warden.seen[2:] == [("identity_observed", {"forms": {"pn": forms["pn"]}})]


def test_sockets_are_named_as_the_machine_counts_them(
    attachment: Attachment, warden: Any, dispatch: Dispatch
) -> None:
    """A close names the socket that its opening was counted as; a failure to connect names none."""
    for event in (
        proto.Connected(status=True), proto.Disconnected(status=True),
        proto.Disconnected(status=True), proto.ConnectFailure(Reason=8, Message="", Raw=NODE),
    ):  # fmt: skip
        dispatch(attachment.client, event)
    warden.machine.socket = 6
    dispatch(attachment.client, proto.Connected(status=True))
    dispatch(attachment.client, proto.StreamReplaced())
    assert warden.seen == [
        ("opened", {}), ("closed", {"socket": 1}), ("closed", {}), ("closed", {"code": 500}),
        ("opened", {}), ("replaced", {"socket": 7}),
    ]  # fmt: skip


def test_a_silent_reconnect_is_a_new_socket(
    attachment: Attachment, warden: Any, dispatch: Dispatch
) -> None:
    """Connected while connected (515, a redial by keepalive) names the next socket."""
    for _ in range(3):
        dispatch(attachment.client, proto.Connected(status=True))
    dispatch(attachment.client, proto.LoggedOut(OnConnect=True, Reason=2))
    assert warden.seen == [
        ("opened", {}), ("opened", {"socket": 2}), ("opened", {"socket": 3}),
        ("logged_out", {"reason": 401, "on_connect": True}),
    ]  # fmt: skip


def test_signs_of_life_are_few(warden: Any, dispatch: Dispatch) -> None:
    """Of each kind one is recorded in a fifth of `silence_s`, and a new socket starts anew."""
    client, clock = sync.NewClient("unused.db"), VirtualClock()
    attachment = attach(warden, client, "main", clock=clock)
    for _ in range(5):
        dispatch(client, proto.Message())
        dispatch(client, proto.Receipt())
    assert warden.names == ["activity", "activity"]
    clock.advance_to(clock.now() + 60 * 10**9)
    dispatch(client, proto.Message())
    dispatch(client, proto.Connected(status=True))
    dispatch(client, proto.Message())
    assert warden.names == ["activity", "activity", "activity", "opened", "activity"]
    attachment.detach()


def test_a_quiet_connection_is_asked(
    warden: Any, monkeypatch: pytest.MonkeyPatch, dispatch: Dispatch
) -> None:
    """A probe is evidence while the client is logged in, open, and its keepalives are answered."""
    monkeypatch.setattr(sync.NewClient, "is_logged_in", True)
    client = sync.NewClient("unused.db")
    attachment = attach(warden, client, "main", clock=VirtualClock())
    attachment.probe()
    dispatch(client, proto.Connected(status=True))
    dispatch(client, proto.KeepAliveTimeout(ErrorCount=1, LastSuccess=1))
    attachment.probe()
    dispatch(client, proto.KeepAliveRestored())
    attachment.probe()
    dispatch(client, proto.Disconnected(status=True))
    attachment.probe()
    assert [fields for name, fields in warden.seen if name == "activity"] == [{"evidence": "probe"}]
    attachment.detach()


def test_the_pulse_keeps_the_pace_of_the_policy(
    warden: Any, monkeypatch: pytest.MonkeyPatch, dispatch: Dispatch
) -> None:
    """A client is asked by itself, five times within the silence that the policy allows."""
    asked = threading.Event()
    monkeypatch.setattr(Attachment, "probe", lambda _: asked.set())
    warden.machine.policy.silence_s = "0.05"
    attachment = attach(warden, sync.NewClient("unused.db"), "main")
    assert not asked.is_set()
    dispatch(attachment.client, proto.Connected(status=True))
    assert asked.wait(30)
    attachment.detach()


def test_a_client_that_is_not_logged_in_gives_no_pulse(
    attachment: Attachment, warden: Any, dispatch: Dispatch
) -> None:
    """The real client, sync or async, is asked and says no."""
    dispatch(attachment.client, proto.Connected(status=True))
    attachment.probe()
    assert warden.names == ["opened"]


def test_canaries_reach_no_log_line(
    attachment: Attachment,
    warden: Any,
    caplog: pytest.LogCaptureFixture,
    dispatch: Dispatch,
    device: Callable[..., Any],
) -> None:
    """JIDs, pairing payloads and secrets in events appear in no log line of ours at DEBUG."""
    caplog.set_level(logging.DEBUG, "linewarden")
    dispatch(attachment.client, device())
    for event, _ in LIFECYCLE:
        dispatch(attachment.client, event)
    attachment.ended(RuntimeError(f"{NUMBER}@s.whatsapp.net {QR}"))
    warden.broken = RuntimeError(f"{NUMBER}@s.whatsapp.net {QR}")
    attachment.heard("Connected", proto.Connected(status=True))
    ours = [line.getMessage() for line in caplog.records if line.name.startswith("linewarden")]
    assert ours
    for canary in (NUMBER, LID, SECRET, "wa.me"):
        assert canary not in "".join(ours)
        told = [fields for name, fields in warden.seen if name != "identity_observed"]
        assert canary not in repr(told) and canary not in repr(attachment)
