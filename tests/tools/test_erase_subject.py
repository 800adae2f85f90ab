"""What a subject is read as: numbers as people write them, LIDs, chats, and what is none of it."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from linewarden.tools import cli_keeping

from ..gateway.scripted import ANNA, CHAT, Bench
from .keeping import erase, held, sound, told

CARL, CARLS_LID = "15550100003@s.whatsapp.net", "100000000000003@lid"
OLD_GROUP = "15550100001-1426000000@g.us"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    with Bench(path) as bench:
        bench.claim()
        bench.up("A", "main", ANNA)
        bench.feed("identity_linked", pn=CARL, lid=CARLS_LID)
        bench.submit("r1", CHAT)
    return path


@pytest.mark.parametrize(
    "subject",
    [
        *("+1 555 010 0003", "+1 (555) 010-0003", "1-555-010-0003", "1.555.010.0003"),
        *(f"00{CARL[:11]}", "(+1) 555/010 0003", "+1\u00a0555\u2011010\u20110003"),
        "\u202a+1 555 010 0003\u202c",
        *("tel:+1-555-010-0003", "https://wa.me/15550100003", "WA.me/15550100003?text=hello"),
        *("+1 555 010 0003@s.whatsapp.net", "\u200e100000000000003@lid\u200e"),
    ],
)  # fmt: skip
def test_a_form_as_people_write_it_names_the_person(log: Path, subject: str) -> None:
    """Spaces, brackets, dashes, links and marks that nobody sees change nothing of a number."""
    said = told(log, subject)
    assert (said["identities"], said["traces"]) == (2, [])
    assert said["read_as"] == ("a LID" if "lid" in subject else "a number")
    assert not held(log, "15550100003", CARLS_LID)


@pytest.mark.parametrize(
    "subject",
    [
        *("hello", "idn_00", "+", "@lid", "15550100003@s.whatsapp.net/phone"),
        *("(555) 010-0003", "0555 010 0003", f"0{CARL[1:11]}", f"+1 (0){CARL[1:11]}"),
        *("15550100003 15550100004", "15550100003-1426000000", "https://wa.me/qr/15550100003"),
        *("\u202a\u202c", "15550100003 (Carl)", "15550100003 @g.us"),
    ],
)
def test_what_names_nobody_is_a_mistake(log: Path, subject: str) -> None:
    """It is never said that there is nothing of a subject that was not understood."""
    result = CliRunner().invoke(cli_keeping.erase, ["--subject", subject, "--file", str(log)])
    assert result.exit_code == 2
    assert "is no number" in result.stderr and "hint: " in result.stderr
    assert "555" not in result.output and "hello" not in result.output
    assert held(log, CARL)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [("100000000000003", "a number"), (CARLS_LID, "a LID"), ("status@broadcast", "a chat")],
)
def test_it_is_said_what_a_subject_was_read_as(log: Path, subject: str, kind: str) -> None:
    """So whoever leaves `@lid` away sees it: digits alone are a number."""
    assert f"was read as {kind}." in erase(log, subject, "--dry-run").output


def test_a_chat_is_the_persons_however_it_was_written(log: Path) -> None:
    """A gateway may write to a number as people write it: the chat goes with the person."""
    with Bench(log, seed=2) as bench:
        for number, chat in enumerate(("+1 555 010 0003", "+1 (555) 010-0003@C.US")):
            bench.submit(f"w{number}", chat)
    assert told(log, CARLS_LID)["chats"] == 2
    assert not held(log, "555 010 0003", "555) 010-0003")
    sound(log)


def test_a_group_is_not_who_founded_it(log: Path) -> None:
    """An old group is erased alone, and where there is none nobody is."""
    assert told(log, OLD_GROUP, "--dry-run")["accounts"] == {}
    with Bench(log, seed=2) as bench:
        bench.submit("w1", OLD_GROUP)
    said = told(log, OLD_GROUP)
    assert (said["identities"], said["chats"], said["traces"]) == (0, 1, [])
    assert held(log, OLD_GROUP, *ANNA.values()) == list(ANNA.values())


@pytest.mark.parametrize("other", ["155501000031@s.whatsapp.net", "15550100003@broadcast"])
def test_the_beginning_of_another_value_is_no_trace(tmp_path: Path, other: str) -> None:
    """A chat that was written without a server is gone, though somebody else's begins with it."""
    path = tmp_path / "log.db"
    with Bench(path) as bench:
        bench.claim()
        bench.submit("r1", "15550100003")
        bench.submit("r2", other)
    said = told(path, CARL)
    assert (said["chats"], said["traces"]) == (1, [])
    assert held(path, other)


def test_without_a_terminal_the_subject_is_a_line(log: Path) -> None:
    """What a pipe says is read; where it says nothing, nothing is looked for: a mistake."""
    result = CliRunner().invoke(cli_keeping.erase, ["--file", str(log)], input="")
    assert result.exit_code == 2
    assert "--subject" in result.stderr
    assert held(log, CARL)
