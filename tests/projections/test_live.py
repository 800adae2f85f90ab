"""Live controllers, lazy loading, checkpoints, and views as of a moment."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from linewarden.eventstore import Store
from linewarden.eventstore.errors import Corrupt
from linewarden.projections import checkpoints
from linewarden.projections.projections import Projections
from linewarden.statemachine.identity import Identity
from linewarden.statemachine.lifecycle import State

Lines = Callable[[str], Any]


def test_the_live_controller_is_known_in_the_step_of_the_append(store: Store, line: Any) -> None:
    """Whoever wrote a record reads it, without the log being read again."""
    projections = Projections(store)
    assert projections.live("main") is None
    line.connect("A")
    for record in line.records:
        projections.apply(record)
    live = projections.live("main")
    assert live is not None and (live.controller, live.epoch) == ("A", 1)
    projections.apply(line.tell("closed", code=408, source="baileys"))
    assert projections.live("main") is None


def test_a_record_is_applied_once_and_missing_ones_are_read(store: Store, line: Any) -> None:
    """An applied record changes nothing again, and a later one brings those before it along."""
    projections = Projections(store)
    line.connect("A")
    projections.account("main")
    projections.apply(line.records[0])
    line.tell("activity")
    last = line.tell("activity")
    view = projections.apply(last)
    assert view.version == last.version
    assert view == projections.rebuild("main")


def test_live_controllers_are_found_by_identity(store: Store, lines: Lines) -> None:
    """By any of their forms; a different LID is somebody else, even with the same number."""
    lines("one").connect("A", pn="idn_pn_1", lid="idn_lid_1")
    lines("two").connect("B", pn="idn_pn_1", lid="idn_lid_2")
    lines("three").connect("C", pn="idn_pn_3", lid="idn_lid_3")
    projections = Projections(store)

    def found(**forms: str) -> list[str]:
        return [live.account for live in projections.live_of(Identity(**forms))]

    assert found(lid="idn_lid_1") == ["one"]
    assert found(pn="idn_pn_1") == ["one", "two"]
    assert found(pn="idn_pn_1", lid="idn_lid_2") == ["two"]
    assert found(pn="idn_pn_9") == []


def test_the_map_of_the_library_leads_to_an_identity(store: Store, lines: Lines) -> None:
    """An account that showed only its number is found by the LID that the map ties to it."""
    line = lines("one")
    line.tell("claimed", controller="A", holder="gateway-1")
    line.tell("opened", source="whatsmeow")
    line.tell("identity_observed", forms={"pn": "idn_pn_1"})
    projections = Projections(store)
    assert projections.live_of(Identity(lid="idn_lid_1")) == []
    projections.apply(line.tell("identity_linked", pn="idn_pn_1", lid="idn_lid_1"))
    assert [live.account for live in projections.live_of(Identity(lid="idn_lid_1"))] == ["one"]


def test_who_is_live_no_more_is_found_no_more(store: Store, line: Any) -> None:
    """The directory forgets an account with its connection, and a forgotten view is read anew."""
    line.connect("A", pn="idn_pn_1", lid="idn_lid_1")
    projections = Projections(store)
    assert len(projections.live_of(Identity(pn="idn_pn_1"))) == 1
    projections.forget("main")
    assert len(projections.live_of(Identity(pn="idn_pn_1"))) == 1
    projections.apply(line.tell("closed", code=408, source="baileys"))
    assert projections.live_of(Identity(pn="idn_pn_1")) == []


def test_an_account_without_a_record_has_no_view(store: Store) -> None:
    """Asking for a name does not make an account."""
    projections = Projections(store)
    assert projections.account("nobody") is None
    assert projections.live("nobody") is None
    assert projections.accounts() == []


def test_a_view_resumes_from_its_checkpoint(
    store: Store, line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the record it stands on and what came after are read."""
    line.connect("A")
    writer = Projections(store)
    writer.catch_up()
    assert writer.checkpoint(store) == 1
    assert writer.checkpoint(store) == 0, "nothing came after"
    store.flush()
    line.tell("activity")
    asked: list[int] = []
    read = store.read_stream
    monkeypatch.setattr(
        store, "read_stream", lambda name, after=0, *more: asked.append(after) or read(name, after)
    )
    view = Projections(store).account("main")
    assert asked == [2]
    assert view == writer.rebuild("main")


def test_a_checkpoint_that_does_not_fit_is_ignored(store: Store, line: Any) -> None:
    """Other code, another account, another chain, a later version or garbage: the log decides."""
    line.connect("A")
    projections = Projections(store)
    whole = projections.rebuild("main")
    good = checkpoints.write(whole)
    other = projections.rebuild("main")
    other.chain = bytes(32)
    other.machine.state = State.CONFLICT
    ahead = projections.rebuild("main")
    ahead.version = 9
    for version, body in (
        (3, b"garbage"),
        (3, good.replace(checkpoints.form().encode(), b"0.0.1/0123456789abcdef")),
        (2, good),
        (3, checkpoints.write(other)),
        (9, checkpoints.write(ahead)),
    ):
        store.save_checkpoint(checkpoints.PROJECTION, "main", version, body)
        store.flush()
        assert Projections(store).account("main") == whole
    assert checkpoints.read(good, "main", 3) == whole


def test_a_view_as_of_a_position_or_a_time(store: Store, lines: Lines) -> None:
    """As of a position it is what was known then, as of a time what was not later."""
    one, two = lines("one"), lines("two")
    one.connect("A")
    two.connect("B")
    one.tell("closed", code=408, source="baileys", after_s=60)
    projections = Projections(store)
    assert projections.as_of("one", position=2).machine.identity is None
    assert projections.as_of("one", position=4).live is not None
    assert projections.as_of("two", position=3).version == 0
    assert projections.as_of("one", at=one.at - 1).live is not None
    assert projections.as_of("one", at=one.at).live is None


def test_a_clock_that_was_set_back_hides_nothing(store: Store, line: Any) -> None:
    """As of a time is after the last record that is not later, whatever its neighbours say."""
    line.connect("A")
    at = line.at
    line.tell("activity", after_s=1_000)
    closed = line.tell("closed", code=408, source="baileys", after_s=-999)
    view = Projections(store).as_of("main", at=at + 2_000_000_000)
    assert view.version == closed.version


def test_a_damaged_record_leaves_no_view_behind(store: Store, line: Any) -> None:
    """It is reported, and what is asked for next is read from the log."""
    line.connect("A")
    projections = Projections(store)
    projections.catch_up()
    good = line.tell("closed", code=408, source="baileys")
    bad = msgspec.structs.replace(good, body=good.body.replace(b"reconnect_gap", b"reconnect_gasp"))
    with pytest.raises(Corrupt):
        projections.apply(bad)
    assert projections.account("main") == projections.rebuild("main")
    assert projections.live("main") is None


def test_catching_up_to_a_position_stops_there(store: Store, lines: Lines) -> None:
    """The rest is taken in by the next call, and new accounts with it."""
    one, two = lines("one"), lines("two")
    one.connect("A")
    projections = Projections(store)
    assert projections.catch_up(2) == 2
    assert projections.live("one") is None
    two.connect("B")
    assert projections.catch_up() == 6
    assert projections.live("one") is not None and projections.live("two") is not None
