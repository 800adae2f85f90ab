"""What a chat is shown besides messages: that somebody types, and that something was read."""

from typing import Any

import pytest

from linewarden.gateway.router import Skipped

from .conftest import Stage
from .puppet_odd import REFUSING, command
from .strings import WAIT_S, Puppet, event, jid, message, wait_until

ANNA, ANNAS_LID = "15550100002@s.whatsapp.net", "100000000000002@lid"
GROUP = "120363000000000000@g.us"
COMPOSING, PAUSED, TEXT = 0, 1, 0


@pytest.fixture
def heard() -> list[Any]:
    return []


@pytest.fixture
def puppet(stage: Stage, heard: list[Any]) -> Puppet:
    """A live worker whose client can show something."""
    stage.open(initial_s=20, max_s=20)
    stage.manage(on_message=heard.append, worker=command(stage.string().path))
    return stage.live()


def perform(stage: Stage, operation: Any) -> Any:
    return stage.warden.router.perform("main", operation).result(WAIT_S)


def test_a_chat_sees_that_an_answer_is_typed(stage: Stage, puppet: Puppet) -> None:
    """Typing begins and ends in the chat, in whatever form it is named, and returns nothing."""
    assert perform(stage, lambda line: line.typing(ANNA)) is None
    assert (
        perform(stage, lambda line: line.typing("15550100002:3@s.whatsapp.net", on=False)) is None
    )
    wait_until(lambda: len(puppet.named("presence")) == 2)
    shown = {seen["state"]: (seen["chat"], seen["media"]) for seen in puppet.named("presence")}
    assert shown == {COMPOSING: (ANNA, TEXT), PAUSED: (ANNA, TEXT)}


def test_a_sender_sees_that_a_message_was_read(
    stage: Stage, puppet: Puppet, heard: list[Any]
) -> None:
    """Each message is marked by its id, in its chat, as its sender's."""
    group = {"Chat": jid(GROUP.partition("@")[0], "g.us"), "IsGroup": True}
    lid = {"Sender": jid(ANNAS_LID.partition("@")[0], "lid", 3)}
    puppet.play(message("one", "3EB01"), message("two", "3EB02", MessageSource={**group, **lid}))
    wait_until(lambda: len(heard) == 2)
    perform(stage, lambda line: line.mark_read(*heard))
    wait_until(lambda: len(puppet.named("read")) == 2)
    read = {
        tuple(seen["ids"]): (seen["chat"], seen["sender"], seen["receipt"])
        for seen in puppet.named("read")
    }
    assert read == {("3EB01",): (ANNA, ANNA, "read"), ("3EB02",): (GROUP, ANNAS_LID, "read")}


def test_what_cannot_be_shown_is_nothing(
    stage: Stage, puppet: Puppet, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the client is a line without the chat, and the next message is written."""
    caplog.set_level("INFO", "linewarden.worker")
    perform(stage, lambda line: line.typing(f"{REFUSING}@s.whatsapp.net"))
    wait_until(lambda: "SendPresenceError" in caplog.text)
    assert REFUSING not in caplog.text
    assert stage.reply("still here", chat=REFUSING).result(WAIT_S).outcome == "sent"
    assert not stage.told(name="worker_died")


def test_nothing_is_shown_in_a_gap(stage: Stage, puppet: Puppet) -> None:
    """It is best effort: while nobody is live it is left out at once, and not done later."""
    puppet.play(event("Disconnected", status=True))
    stage.wait_state("reconnect_gap")
    with pytest.raises(Skipped):
        perform(stage, lambda line: line.typing(ANNA))
    assert puppet.named("presence") == []
