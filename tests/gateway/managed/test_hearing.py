"""Messages that come in through a worker: who is heard, and what comes again after a death."""

import threading
from typing import Any

from .conftest import Stage
from .puppet_odd import command
from .strings import jid, message, wait_until

ANNA, ANNAS_LID = "15550100002", "100000000000002"
STRANGERS_LID = "100000000000009"
BY_LID = {"Chat": jid(ANNAS_LID, "lid"), "Sender": jid(ANNAS_LID, "lid", 3)}


def test_a_message_that_comes_again_while_it_is_answered(stage: Stage) -> None:
    """The worker dies, the next hears it again by the other form; it is handed over once."""
    heard: list[Any] = []
    thought = threading.Event()

    def think(given: Any) -> str:
        heard.append(given)
        thought.wait(20)
        return f"an answer to {given.id}"

    stage.open()
    line = stage.manage(on_message=think)
    first = stage.live()
    first.play(message("hello", "3EB01", MessageSource={"SenderAlt": jid(ANNAS_LID, "lid")}))
    wait_until(lambda: heard)
    first.kill()
    second = stage.live(number=1)
    second.play(message("hello", "3EB01", MessageSource={**BY_LID, "SenderAlt": jid(ANNA)}))
    wait_until(lambda: line.inbox.repeated)
    thought.set()
    second.play(message("again", "3EB02", MessageSource={**BY_LID, "SenderAlt": jid(ANNA)}))
    wait_until(lambda: len(stage.string().written) == 2)
    assert [given.id for given in heard] == ["3EB01", "3EB02"]
    assert sorted(stage.string().written) == [
        (f"{ANNAS_LID}@lid", "an answer to 3EB02"),
        (f"{ANNA}@s.whatsapp.net", "an answer to 3EB01"),
    ]
    assert (line.inbox.handed, line.inbox.repeated, line.inbox.ignored) == (2, 1, 0)


def test_a_sender_is_known_by_the_librarys_map(stage: Stage) -> None:
    """A list of numbers hears who shows a LID only, where the library knows whose it is."""
    heard: list[Any] = []
    strings = stage.string()
    strings.links = {f"{ANNAS_LID}@lid": jid(ANNA)}
    stage.open()
    line = stage.manage(on_message=heard.append, allow=(f"+{ANNA}",), worker=command(strings.path))
    puppet = stage.live()
    stranger = {"Chat": jid(STRANGERS_LID, "lid"), "Sender": jid(STRANGERS_LID, "lid", 1)}
    puppet.play(
        message("who am I", "3EB01", MessageSource=stranger),
        message("it is me", "3EB02", MessageSource=BY_LID),
        message("me again", "3EB03"),
    )
    wait_until(lambda: len(heard) == 2)
    assert [given.text for given in heard] == ["it is me", "me again"]
    assert (line.inbox.handed, line.inbox.ignored) == (2, 1)
    asked = [seen["form"] for seen in puppet.named("map")]
    assert asked == [f"{STRANGERS_LID}@lid", f"{ANNAS_LID}@lid"], "a number needs no map"
    assert {(seen["kind"], seen["wants"]) for seen in puppet.named("asked")} == {("lid", "pn")}


def test_a_list_of_lids_hears_a_number(stage: Stage) -> None:
    """The map is read the other way too; a map that fails is a message less, and no more."""
    heard: list[Any] = []
    strings = stage.string()
    strings.links = {f"{ANNA}@s.whatsapp.net": jid(ANNAS_LID, "lid")}
    stage.open()
    line = stage.manage(
        on_message=heard.append, allow=(f"{ANNAS_LID}@lid",), worker=command(strings.path)
    )
    puppet = stage.live()
    answer = strings.answer_to
    strings.answer_to = lambda said: (  # type: ignore[method-assign] # the map fails once
        {"raise": "sql: database is closed"}
        if said.get("form", "").startswith("15550100003")
        else answer(said)
    )
    puppet.play(message("lost", "3EB01", sender="15550100003"), message("found", "3EB02"))
    wait_until(lambda: heard)
    assert [given.text for given in heard] == ["found"]
    ways = {(seen["kind"], seen["wants"]) for seen in puppet.named("asked")}
    assert ways == {("s.whatsapp.net", "lid")}
    assert (line.inbox.handed, line.inbox.ignored) == (1, 0)
