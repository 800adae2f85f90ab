"""What an erasure leaves behind, told by its cause; and persons with more chats than one record."""

import sqlite3
from pathlib import Path

import pytest

from linewarden.eventstore import decode, open_reader
from linewarden.eventstore.errors import StoreUnavailable
from linewarden.eventstore.sqlite_writer import Writer
from linewarden.gateway.commands import LINE_BYTES_MAX, TOKENS_MAX, Erasure, hand_over
from linewarden.statemachine.errors import InputError
from linewarden.tools import erasing

from ..gateway.scripted import ANNA, WAIT_S, Bench, Scripted, bring_up, opened
from .keeping import erase, held, sound, told, types

CARL, CARLS_LID = "15550100003@s.whatsapp.net", "100000000000003@lid"
GROUPS = 2 * TOKENS_MAX + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_whoever_is_seen_again_is_no_trace(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that came back since the erasure is said to have, and no reader is blamed."""
    with opened(path, Scripted(), commands=True) as warden:
        bring_up(warden)
        warden.observe("main", "identity_linked", pn=CARL, lid=CARLS_LID).result(WAIT_S)
        real = erasing.erase

        def and_again(*given: object) -> bool:
            running = real(*given)  # type: ignore[arg-type] # whatever the command gives
            warden.observe("main", "identity_linked", pn=CARL, lid=CARLS_LID).result(WAIT_S)
            return running

        monkeypatch.setattr(erasing, "erase", and_again)
        result = erase(path, CARL)
        assert result.exit_code == 1
        assert "seen again since" in result.output
        assert "reading the log" not in result.output
        said = told(path, CARL)
        assert (said["traces"], said["seen_again"]) == ([], True)


def test_a_copy_that_a_reader_holds_is_a_trace(path: Path) -> None:
    """What still stands in the write-ahead log is named, and gone when the reader is."""
    with opened(path, Scripted(), commands=True) as warden:
        bring_up(warden)
        warden.observe("main", "identity_linked", pn=CARL, lid=CARLS_LID).result(WAIT_S)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM vault").fetchone()
        result = erase(path, CARL)
        assert result.exit_code == 1
        assert "log.db-wal: somebody is reading the log" in result.output
        assert "seen again" not in result.output
        reader.close()
        warden.observe("main", "activity", controller="A").result(WAIT_S)
        assert erase(path, CARL).exit_code == 0


def test_a_copy_goes_though_nobody_writes_to_the_log(path: Path) -> None:
    """What a reader held back is gone the next time, where it reads no more and nobody writes."""
    with Bench(path) as bench:
        bench.feed("identity_linked", pn=CARL, lid=CARLS_LID)
    reader = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)  # it writes no log to the file
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM vault").fetchone()
    assert [erase(path, CARL).exit_code for _ in range(2)] == [1, 1]
    reader.close()
    before = types(path)
    assert erase(path, CARL).exit_code == 0
    assert not held(path, CARL)
    assert types(path) == before


def test_the_end_of_a_longer_number_is_no_trace(path: Path) -> None:
    """A value that is the end of somebody else's is gone all the same."""
    with Bench(path) as bench:
        bench.claim()
        for reply, chat in enumerate(("3456@g.us", "123456@g.us")):
            bench.submit(f"r{reply}", chat)
    assert told(path, "3456@g.us")["traces"] == []
    assert held(path, "123456@g.us")


def test_a_value_is_found_wherever_it_stands(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Across the pieces in which a file is read, at its beginning and at its end."""
    with Bench(path) as bench:
        bench.claim()
    anchors = path.with_name("log.db.anchors")
    value = CARL.encode()
    for size in (len(value), len(value) + 1, 100, 1 << 20):
        monkeypatch.setattr(erasing, "_CHUNK", size)
        for before in (0, 1, 75, 100, 101, 300):
            anchors.write_bytes(b"x" * before + value)
            assert erasing.traces(str(path), frozenset({value, b"1@lid"})) == (
                ["log.db.anchors"], False,
            )  # fmt: skip
            anchors.write_bytes(b"x" * before + b"1" + value)
            assert erasing.traces(str(path), frozenset({value})) == ([], False)


def popular(path: Path) -> None:
    """A log that knows a person by more groups than one record can erase."""
    with Bench(path) as bench:
        bench.claim()
        bench.feed("identity_linked", pn=CARL, lid=CARLS_LID)
        answers: list[object] = []
        for number in range(GROUPS):
            chat = f"15550100003-{1426000000 + number}@g.us"
            fields = {"reply": f"r{number}", "chat": chat, "source": "router"}
            bench.observe("reply_submitted", answers, **fields)
        bench.service.flush()


@pytest.mark.parametrize("running", [True, False])
def test_a_person_with_very_many_chats_is_erased(path: Path, running: bool) -> None:
    """Through a running gateway and without one: in as many records as it takes, and whole."""
    popular(path)
    if running:
        with opened(path, Scripted(), commands=True):
            said = told(path, CARL)
    else:
        said = told(path, CARL)
    assert (said["chats"], said["running"], said["traces"]) == (GROUPS, running, [])
    assert not held(path, "15550100003", "100000000000003")
    assert types(path)["main"].count("subject_erased") == 3
    sound(path)


def test_what_no_line_can_hold_is_refused(path: Path) -> None:
    """Beyond the bound of the channel nothing is handed over, and it is said what to do.

    That is for whoever listens: where nobody does, it is done here.
    """
    tokens = [f"idn_{number:032x}" for number in range(LINE_BYTES_MAX // 32)]
    assert hand_over(path, Erasure({"main": tokens})) is None
    with opened(path, Scripted(), commands=True) as warden:
        bring_up(warden)
        with pytest.raises(InputError, match="too much") as caught:
            hand_over(path, Erasure({"main": tokens}))
        assert caught.value.hint
        assert hand_over(path, Erasure({"main": tokens[: len(tokens) // 2]})) is not None
        assert held(path, ANNA["pn"])
    reader = open_reader(path)
    erased = [decode(one.body)["stimulus"] for one in reader.read_all()]
    reader.close()
    counts = [len(one["tokens"]) for one in erased if one["stimulus"] == "subject_erased"]
    assert sum(counts) == len(tokens) // 2
    assert max(counts) == TOKENS_MAX


def test_an_erasure_that_is_not_recorded_is_no_erasure(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the store can't be written, the command says so, and does not say that all is gone."""
    with Bench(path) as bench:
        bench.feed("identity_linked", **ANNA)

    def full(*_given: object, **_named: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(Writer, "_write", full)
    result = erase(path, ANNA["pn"])
    assert result.exit_code == 2
    assert "the disk is full" in result.output
    assert held(path, ANNA["pn"])
