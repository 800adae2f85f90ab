"""Promise P5: caught up from anywhere equals rebuilt from zero."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linewarden.eventstore import open_store
from linewarden.eventstore.codec import same
from linewarden.eventstore.errors import Corrupt
from linewarden.projections import checkpoints
from linewarden.projections.projections import Projections, rebuilt
from linewarden.projections.view import AccountView
from linewarden.statemachine.account import TIMERS, evolve

IDENTITIES = [("idn_pn_1", "idn_lid_1"), ("idn_pn_2", "idn_lid_2"), ("idn_pn_1", "idn_lid_2")]
CODES = [None, 401, 402, 403, 405, 408, 411, 440, 500, 503, 515, 999, "ENOTFOUND"]
REPLIES = [f"r{number}" for number in range(6)]


def stimuli() -> st.SearchStrategy[dict[str, Any]]:
    """What may be said of a line, sense or nonsense."""

    def said(name: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"stimulus": st.just(name), **fields})

    numbered = {"socket": st.integers(1, 4)}
    source = {"source": st.sampled_from(["whatsmeow", "baileys"])}
    reply = {"reply": st.sampled_from(REPLIES)}
    by = {"by": st.sampled_from(["monitor", "operator"])}
    holder = {"holder": st.sampled_from(["gateway-1", "gateway-2"])}
    return st.one_of(
        said("claimed", **holder),
        said("opened", **source),
        said("opened", **source, **numbered),
        st.sampled_from(IDENTITIES).map(
            lambda pair: {
                "stimulus": "identity_observed",
                "forms": {"pn": pair[0], "lid": pair[1]},
            }
        ),
        said("identity_linked", pn=st.just("idn_pn_1"), lid=st.just("idn_lid_2")),
        said("closed", code=st.sampled_from(CODES), **source),
        said("closed", code=st.sampled_from(CODES), **source, **numbered),
        said("dial_failed", code=st.sampled_from(CODES), **source),
        said("replaced", **source),
        said("banned", expires_s=st.integers(1, 100)),
        said("worker_died"),
        said("socket_closed", **numbered),
        said("activity", evidence=st.sampled_from(["frame", "inbound", "ack", "probe"])),
        said("keepalive_timeout"),
        said("keepalive_restored"),
        said("silence", kind=st.just("transport"), seconds=st.integers(1, 900)),
        said("paired"),
        said("session_purged"),
        said("timer_fired", timer=st.sampled_from(TIMERS)),
        said("timer_fired", timer=st.sampled_from(["reply_deadline", "send_deadline"]), **reply),
        said("restart_requested", **by),
        said("stop_requested", **by),
        said("release_requested", **by),
        said("relink_requested", **by),
        said("service_started", **holder),
        said("service_stopped", **holder),
        said("reply_submitted", chat=st.sampled_from(["chat_1", "chat_2"]), **reply),
        said("send_acked", **reply),
        said("send_failed", kind=st.sampled_from(["not_sent", "unknown", "rejected"]), **reply),
        said("reply_cancelled", **reply),
    )


spans = st.sampled_from([-5, 0, 0.5, 2, 40, 400])
stories = st.lists(st.tuples(stimuli(), spans), min_size=1, max_size=60)


def play(line: Any, story: list[tuple[dict[str, Any], float]]) -> None:
    """Tell a line its story; a line that was live once is where most stories begin."""
    line.connect("A")
    for number, (fields, after_s) in enumerate(story):
        given = dict(fields)
        if given["stimulus"] == "claimed":
            given["controller"] = f"C{number}"
        elif number % 7 == 0:
            given["controller"] = "A"
        if given["stimulus"] == "reply_submitted":
            if any(record.reply == given["reply"] for record in line.records):
                given["earlier"] = 1
            given["captured_on"] = "A" if number % 2 else None
        line.tell(given.pop("stimulus"), after_s=after_s, **given)


@given(stories)
def test_the_decision_state_is_the_fold_of_the_log(in_memory: Any, story: Any) -> None:
    """After every record the folded state is the decided one, and also what `evolve` makes."""
    line = in_memory("main")
    play(line, story)
    view = AccountView("main")
    for record, decided in zip(line.records, line.accounts, strict=True):
        before = view.machine
        view.apply(record)
        changes = msgspec.json.decode(record.body)["outcome"].get("changes", {})
        assert view.machine == decided == evolve(before, changes)
        live = view.live is not None
        assert live == decided.live
        assert (view.gaps.open is not None) == (view.gaps.ever and not live)


@given(stories, st.data())
def test_caught_up_equals_rebuilt(in_memory: Any, story: Any, data: st.DataObject) -> None:
    """Applied one by one, handed what was decided, resumed from checkpoints: all are the same."""
    line = in_memory("main")
    play(line, story)
    [whole] = rebuilt([line.records]).values()
    marks = data.draw(st.sets(st.integers(1, len(line.records))), label="checkpoints")
    live, resumed = AccountView("main"), AccountView("main")
    for record, decided in zip(line.records, line.accounts, strict=True):
        live.apply(record, decided)
        resumed.apply(record)
        if record.version in marks:
            read = checkpoints.read(checkpoints.write(resumed), "main", record.version)
            assert read == resumed
            resumed = read
    assert live == whole
    assert resumed == whole
    # The order of maps decides which reply goes first and which entry is let go of.
    assert msgspec.json.encode(resumed) == msgspec.json.encode(whole)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), stories), min_size=1, max_size=4))
def test_every_projection_of_a_store_equals_its_rebuild(writing: Any, parts: Any) -> None:
    """A writer, a follower and a newcomer with checkpoints know the same as a rebuild."""
    with TemporaryDirectory() as folder, open_store(Path(folder) / "lines.db") as store:
        lines: dict[str, Any] = {}
        live, following = Projections(store), Projections(store)
        for name, story in parts:
            if name in lines:
                continue
            line = lines[name] = writing(name, lambda stream, new: store.append(stream, [new])[0])
            play(line, story)
            for record, decided in zip(line.records, line.accounts, strict=True):
                live.apply(record, decided)
            live.checkpoint(store)
            store.flush()
            following.catch_up()
            line.tell("activity")
            live.apply(line.records[-1], line.accounts[-1])
        following.catch_up()
        newcomer = Projections(store)
        newcomer.catch_up()
        whole = Projections(store).rebuild_all()
        for name in lines:
            expected = newcomer.rebuild(name)
            assert same(live.account(name), expected)
            assert same(following.account(name), expected)
            assert same(newcomer.account(name), expected)
            assert same(Projections(store).account(name), expected)
            assert same(whole[name], expected)
            assert live.live(name) == following.live(name) == newcomer.live(name)


def test_a_missing_record_is_refused(in_memory: Callable[[str], Any]) -> None:
    """A view takes no record out of order, and keeps what it had."""
    line = in_memory("main")
    line.connect()
    view = AccountView("main")
    with pytest.raises(Corrupt, match="version 1 is due"):
        view.apply(line.records[1])
    with pytest.raises(Corrupt, match="version 2 is due"):
        view.fold([line.records[0], line.records[2]])
    assert view.version == 1
    view.fold(line.records[1:])
    assert view == rebuilt([line.records])["main"]


def test_a_record_without_a_readable_outcome_is_reported(
    in_memory: Callable[[str], Any],
) -> None:
    """A state that nobody knows is reported with its position and never taken for truth."""
    line = in_memory("main")
    line.connect()
    [claimed, opened, _] = line.records
    odd = msgspec.structs.replace(opened, body=opened.body.replace(b"connected", b"konnected"))
    view = AccountView("main")
    with pytest.raises(Corrupt) as raised:
        view.fold([claimed, odd])
    assert raised.value.position == opened.position
    assert view.version == 1


def test_a_view_that_was_read_stays_as_it_was(in_memory: Callable[[str], Any]) -> None:
    """The state that a decision started from is not changed by later records."""
    line = in_memory("main")
    line.connect()
    view = AccountView("main")
    view.fold(line.records)
    machine = view.machine
    line.tell("closed", code=408, source="baileys")
    view.apply(line.records[-1])
    assert machine == line.accounts[-2]
    assert view.machine == line.accounts[-1]
