"""What a managed connection refuses, or says, before it begins."""

from pathlib import Path
from typing import Any

import pytest

from linewarden import InputError, Linewarden
from linewarden.gateway.supervisor.bot import BotError
from linewarden.gateway.supervisor.settings import LineSettings, read_settings

from .conftest import Stage
from .strings import event, fails, message, wait_until

QR = "https://wa.me/settings/linked_devices#one"


@pytest.mark.parametrize("name", ["log.db", "log.db.lock", "log.db-wal", "log.db.control"])
def test_a_session_is_no_file_of_the_log(tmp_path: Path, name: str) -> None:
    """A purge would delete the log, so such a session is refused."""
    with Linewarden.open(tmp_path / "log.db") as warden:
        with pytest.raises(InputError, match="a file of the log"):
            warden.manage("support", str(tmp_path / name))
        assert not warden.projections.account("support")


def test_two_accounts_have_no_common_session(tmp_path: Path) -> None:
    """The purge of one would delete the other's session, by whatever path it is named."""
    with Linewarden.open(tmp_path / "log.db") as warden:
        shared = tmp_path / "sessions" / "shared.db"
        warden.manage("support", str(shared), worker=("false",))
        with pytest.raises(InputError, match="of another account"):
            warden.manage("sales", str(tmp_path / "sessions" / ".." / "sessions" / "shared.db"))


def test_the_bot_of_the_settings_answers(stage: Stage) -> None:
    """Where no function is given, the one that the settings name is the bot."""
    stage.open()
    stage.manage(bot="linewarden.tools.echo:answer")
    stage.live().play(message("who is there"))
    wait_until(lambda: [text for _, text in stage.string().written] == ["who is there"])


def test_a_bot_that_is_not_there_is_refused(stage: Stage) -> None:
    """A wrong name is an error at once, and no connection without a bot."""
    stage.open()
    with pytest.raises(BotError, match="there is no module"):
        stage.manage(bot="nothing_of_this_name:answer")


def test_pairing_by_code_without_a_number_says_so(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A QR is shown all the same, and the log says why it is one."""
    shown: list[str] = []
    stage.string().at_connect = []
    stage.open()
    stage.manage(pairing="code", on_code=lambda kind, _: shown.append(kind))
    stage.string().puppet().private("Qr", QR)
    wait_until(lambda: shown == ["qr"])
    assert "no pair_phone" in caplog.text and QR not in caplog.text


@pytest.mark.parametrize(
    ("variable", "hint"),
    [("LINEWARDEN_HOLDR", "did you mean LINEWARDEN_HOLDER"), ("LINEWARDEN_XYZQ", "known are")],
)
def test_a_wrong_variable_is_told_from_right_ones(variable: str, hint: str) -> None:
    """The name after the prefix decides what is like it."""
    with pytest.raises(InputError) as caught:
        read_settings(None, {variable: "x"}, ["support"])
    assert hint in caught.value.hint and "LINEWARDEN_LOG?" not in caught.value.hint


@pytest.mark.parametrize(
    ("policy", "told"),
    [({"relink": "maybe"}, "relink is not operator or auto"), ({"after": 3}, "probe or give_up")],
)
def test_a_wrong_word_is_told_from_the_right_ones(policy: dict[str, Any], told: str) -> None:
    """A field that takes words says which."""
    with pytest.raises(InputError, match=told):
        LineSettings(session="s.db", policy=policy)


def test_a_death_tells_its_signal_wherever_it_is_read(stage: Stage) -> None:
    """The timeline shows by which signal a worker died."""
    from linewarden.projections.timeline import timeline
    from linewarden.tools.wording import observed

    stage.open()
    stage.manage()
    stage.live().kill()
    stage.wait_told("worker_died")
    said = [
        observed(entry.stimulus, entry.told)
        for entry in timeline(stage.warden.projections.reader, "main")
    ]
    assert "worker_died signal 9" in said


def test_a_refused_pairing_is_not_called_a_late_one(stage: Stage) -> None:
    """The explanation of a failed pairing covers a refusal by the phone."""
    from linewarden.projections.explanations import explain

    stage.string().at_connect = []
    stage.open()
    stage.manage(on_code=lambda *_: None)
    puppet = stage.string().puppet()
    puppet.private("Qr", QR)
    puppet.play(event("PairStatus", BusinessName="", Platform="", Status=1, Error="no"))
    [failed] = stage.wait_told("pairing_failed")
    assert "refused" in explain(failed.rule)


def test_a_code_that_cannot_be_shown_is_no_secret_in_a_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """An `on_code` that fails holds up nothing, and what it raises is told by its type only."""

    async def refused(_kind: str, value: str) -> None:
        raise RuntimeError(f"nobody can see {value}")

    stage.string().at_connect = []
    stage.open()
    stage.manage(on_code=refused)
    puppet = stage.string().puppet()
    puppet.private("Qr", QR)
    wait_until(lambda: "RuntimeError" in caplog.text)
    assert "linked_devices" not in caplog.text
    puppet.private("LoginStatus", "timeout")
    stage.wait_state("closed")


def test_a_log_line_says_why_a_dial_failed(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """The library's words stand in the log and in the timeline; an address is no phone number."""
    stage.string().at_connect = [fails("dial tcp 10.0.0.7:1080: connect: connection refused")]
    with caplog.at_level("INFO"):
        stage.open()
        stage.manage()
        stage.wait_told("dial_failed")
        wait_until(lambda: "10.0.0.7:1080" in caplog.text)
