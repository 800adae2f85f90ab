"""What happens around `connect()`: subscriptions, its end, and who is kept referenced."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import neonize.aioze.client as aioze
import pytest
from neonize import client as sync
from neonize import events as ev
from neonize.proto import Neonize_pb2 as proto

from linewarden.gateway.whatsapp.adapter import attach

NEEDED = {*range(1, 13), 17, 18, 26, 27, 44}

Dispatch = Callable[[Any, Any], None]


def test_all_events_are_asked_for(warden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library, which reports only what has a handler when it is started, reports them all."""
    asked: list[set[int]] = []
    monkeypatch.setattr(
        sync.NewClient,
        "connect_with_proxy",
        lambda self, _: asked.append(set(self.event.list_func)),
    )
    client, got = sync.NewClient("unused.db"), []
    client.event(ev.PresenceEv)(lambda *given: got.append(given))
    attachment = attach(warden, client, "main")
    assert set(client.event.list_func) == {20}
    client.connect()
    assert asked == [NEEDED | {20}]
    for stand_in in client.event.list_func.values():
        assert stand_in(client, None) is None
    assert len(got) == 1
    attachment.detach()


def test_a_connect_that_returns_closed_its_socket(
    warden: Any, dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library tells nobody of a stop; `connect()` returns what it returned, and that tells."""

    def connect(self: Any, _proxy: Any) -> str:
        dispatch(self, proto.Connected(status=True))
        return "stopped"

    monkeypatch.setattr(sync.NewClient, "connect_with_proxy", connect)
    client = sync.NewClient("unused.db")
    attachment = attach(warden, client, "main")
    assert client.connect() == "stopped"
    assert warden.seen == [("opened", {}), ("socket_closed", {"socket": 1})]
    assert attachment.redials is False
    attachment.detach()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            RuntimeError("connection reset by peer"),
            ("closed", {"detail": "connection reset by peer"}),
        ),
        (KeyboardInterrupt(), ("socket_closed", {"socket": 1})),
    ],
    ids=["error", "interrupt"],
)
def test_a_connect_that_raises_after_an_opening(
    warden: Any,
    dispatch: Dispatch,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    told: Any,
) -> None:
    """What ends a connection is raised unchanged, and recorded as a close, not as a failed dial."""

    def connect(self: Any, _proxy: Any) -> None:
        dispatch(self, proto.Connected(status=True))
        raise error

    monkeypatch.setattr(sync.NewClient, "connect_with_proxy", connect)
    attachment = attach(warden, sync.NewClient("unused.db"), "main")
    with pytest.raises(type(error)) as caught:
        attachment.client.connect()
    assert caught.value is error and warden.seen[1:] == [told]
    attachment.detach()


@pytest.mark.parametrize("end", ["returns", "is cancelled", "raises"])
def test_the_task_of_an_async_connect(
    warden: Any, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The end of the task that an async `connect()` gives is recorded, however it comes."""
    asked: list[set[int]] = []
    fault = RuntimeError("connection refused")

    async def connect(self: Any, _proxy: Any) -> Any:
        asked.append(set(self.event.list_func))
        return asyncio.get_running_loop().create_task(last())

    async def last() -> None:
        if end == "is cancelled":
            await asyncio.Event().wait()
        if end == "raises":
            raise fault

    async def main() -> None:
        client = aioze.NewAClient("unused.db")
        attachment = attach(warden, client, "main")
        task = await client.connect()
        if end == "is cancelled":
            asyncio.get_running_loop().call_soon(task.cancel)
        (result,) = await asyncio.gather(task, return_exceptions=True)
        assert (result is fault) is (end == "raises")
        assert client.event.list_func == {}
        attachment.detach()

    monkeypatch.setattr(aioze.NewAClient, "connect_with_proxy", connect)
    asyncio.run(main())
    assert asked == [NEEDED]
    assert warden.names == ["dial_failed" if end == "raises" else "socket_closed"]


def test_a_started_client_is_never_freed(warden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that Go may still call into is kept; one that was never started is let go."""
    monkeypatch.setattr(sync.NewClient, "connect_with_proxy", lambda self, _: None)
    references = []
    for started in (True, False):
        client = sync.NewClient("unused.db")
        attachment = attach(warden, client, "main")
        if started:
            client.connect()
        attachment.detach()
        references.append(weakref.ref(client))
        del client, attachment
    gc.collect()
    assert [reference() is not None for reference in references] == [True, False]
