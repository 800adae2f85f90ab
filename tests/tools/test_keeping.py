"""The command `erase`: with a gateway and without, by any form, and without a trace."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from linewarden.eventstore import decode, open_reader
from linewarden.projections.projections import Projections
from linewarden.statemachine.account import Account
from linewarden.statemachine.decision import decide
from linewarden.statemachine.outcome import Send
from linewarden.statemachine.stimuli import SubjectErased
from linewarden.tools import cli_keeping

from ..gateway.scripted import ANNA, BERT, CHAT, WAIT_S, Bench, Scripted, bring_up, opened
from .keeping import erase, held, sound, told, types

CARL, CARLS_LID = "15550100003@s.whatsapp.net", "100000000000003@lid"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def fill(bench: Bench) -> None:
    """Two accounts, whose people and chats are partly the same."""
    for account, forms in (("main", ANNA), ("second", BERT)):
        bench.claim(f"{account}-1", account)
        bench.up(f"{account}-1", account, forms)
        bench.feed("identity_linked", account, pn=CARL, lid=CARLS_LID)
    bench.submit("r1", CHAT)
    bench.submit("r2", "15550100003:7@c.us")
    bench.submit("r3", CARLS_LID)
    bench.submit("r4", "15550100003-1426000000@g.us")


@pytest.fixture
def log(path: Path) -> Path:
    with Bench(path) as bench:
        fill(bench)
    return path


@pytest.mark.parametrize(
    "subject",
    [
        *(CARL, CARLS_LID, "+15550100003", "15550100003", "15550100003:9@c.us"),
        *("15550100003@hosted", "100000000000003:2@hosted.lid", " 15550100003@S.WhatsApp.net "),
    ],
)
def test_any_form_erases_the_whole_person(log: Path, subject: str) -> None:
    """Whatever form is given, the linked forms, chats and old groups of the person go too."""
    said = told(log, subject)
    assert said["identities"] == 2
    assert said["chats"] == 3
    assert said["traces"] == []
    assert not held(log, "15550100003", "100000000000003")
    assert held(log, CHAT, ANNA["pn"], BERT["lid"]) == [CHAT, ANNA["pn"], BERT["lid"]]
    sound(log)


def test_each_account_that_holds_a_token_gets_the_record(log: Path) -> None:
    """The record names tokens only, and stands in each stream that holds one, and in no other."""
    assert erase(log, ANNA["pn"]).exit_code == 0
    assert types(log)["main"][-1] == "subject_erased"
    assert types(log)["second"][-1] != "subject_erased"
    assert erase(log, CARL).exit_code == 0
    assert [stream[-1] for stream in types(log).values()] == ["subject_erased"] * 2
    reader = open_reader(log)
    body = list(reader.read_stream("main"))[-1].body
    reader.close()
    assert set(decode(body)["stimulus"]) == {"stimulus", "at", "source", "tokens"}
    assert set(decode(body)["outcome"]) == {"rule"}


def test_a_dry_run_only_counts(log: Path) -> None:
    """What there is, is told; nothing is recorded and nothing goes."""
    before = types(log)
    said = told(log, CARL, "--dry-run")
    assert (said["identities"], said["chats"], said["accounts"]) == (2, 3, {"main": 5, "second": 2})
    assert types(log) == before
    assert held(log, CARL)


def test_erasing_twice_is_fine(log: Path) -> None:
    """The second time there is nothing, nothing is recorded, and that is said."""
    assert erase(log, CHAT).exit_code == 0
    before = types(log)
    again = erase(log, CHAT)
    assert again.exit_code == 0
    assert "holds nothing" in again.output
    assert types(log) == before


def test_what_other_accounts_hold_stays_where_one_is_named(log: Path) -> None:
    """With an account, only what it alone holds goes, and what stays is said with exit code 1."""
    result = erase(log, CARL, "--account", "main")
    assert result.exit_code == 1
    assert "2 values stay" in result.output
    assert types(log)["second"][-1] != "subject_erased"
    assert held(log, CARL)
    assert not held(log, "15550100003-1426000000", "15550100003@c.us")
    sound(log)


def test_a_number_is_of_whom_the_newest_link_says(path: Path) -> None:
    """A number that went to somebody else is theirs: who had it before keeps their LID."""
    with Bench(path) as bench:
        bench.claim()
        bench.feed("identity_linked", pn=CARL, lid=CARLS_LID)
        bench.feed("identity_linked", pn="15550100004@s.whatsapp.net", lid=CARLS_LID)
        bench.feed("identity_linked", pn=CARL, lid=BERT["lid"])
    assert told(path, CARL)["identities"] == 2
    assert held(path, CARLS_LID, BERT["lid"]) == [CARLS_LID]
    assert told(path, CARLS_LID)["identities"] == 2
    assert not held(path, CARLS_LID, "15550100004")


def test_a_running_gateway_erases(path: Path) -> None:
    """Through the channel, without a stop: the values go, and whoever is seen again is new."""
    with opened(path, Scripted(), commands=True) as warden:
        bring_up(warden)
        warden.observe("main", "identity_linked", pn=CARL, lid=CARLS_LID).result(WAIT_S)
        said = told(path, CARL)
        assert said["running"] is True
        assert said["traces"] == []
        assert not held(path, CARL, CARLS_LID)
        again = warden.observe("main", "identity_linked", pn=CARL, lid=CARLS_LID).result(WAIT_S)
        erased = next(
            record for record in warden.projections.reader.read_all()
            if record.type == "subject_erased"
        )  # fmt: skip
        assert decode(again.record.body)["stimulus"]["pn"] not in erased.body.decode()
        assert held(path, CARL) == [CARL]
    assert types(path)["main"].count("subject_erased") == 1
    sound(path)


def test_a_gateway_without_a_channel_is_a_mistake(path: Path) -> None:
    """Whoever holds the log and takes no commands is named, and nothing is erased."""
    with opened(path, Scripted()) as warden:
        bring_up(warden)
        result = erase(path, ANNA["pn"])
        assert result.exit_code == 2
        assert "takes no commands" in result.stderr
        assert held(path, ANNA["pn"])


@pytest.mark.parametrize("subject", ["", "  "])
def test_an_empty_subject_is_a_mistake(log: Path, subject: str) -> None:
    """Nobody is named, so nothing is done."""
    result = CliRunner().invoke(cli_keeping.erase, ["--subject", subject, "--file", str(log)])
    assert result.exit_code == 2


def test_an_unknown_account_is_a_mistake(log: Path) -> None:
    """An account that the log lacks is said, before anything is done."""
    assert erase(log, CARL, "--account", "third").exit_code == 2
    assert held(log, CARL)


def test_the_subject_can_be_typed(log: Path) -> None:
    """Without the option it is asked for, and not shown: it stands in no history of a shell."""
    result = CliRunner().invoke(cli_keeping.erase, ["--file", str(log)], input=f"{CARL}\n")
    assert result.exit_code == 0
    assert CARL not in result.output
    assert not held(log, CARL)


def test_an_erasure_decides_nothing(log: Path) -> None:
    """The account is after the record what it was before."""
    reader = open_reader(log)
    view = Projections(reader).account("main")
    reader.close()
    assert view is not None
    outcome, after = decide(view.machine, SubjectErased(at=view.at, tokens=["idn_1"]))
    assert isinstance(after, Account)
    assert (outcome.changes, outcome.effects, after) == ({}, [], view.machine)


def test_a_reply_to_somebody_erased_has_no_address(path: Path) -> None:
    """Whoever is erased gets nothing any more: what leads to them is gone."""
    with Bench(path) as bench:
        bench.claim()
        submitted = bench.submit("r1")
        token = decode(submitted.record.body)["stimulus"]["chat"]
        bench.feed("subject_erased", tokens=[token])
        bench.up()
        (send,) = bench.of_kind(Send)
        assert send.chat == token
        assert bench.service.tokens.reveal(token) is None
        assert decode(bench.submit("r2").record.body)["stimulus"]["chat"] != token
