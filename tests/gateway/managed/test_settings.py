"""What an operator sets is read from a file and the environment, and checked before anything."""

import logging
import os
from pathlib import Path

import pytest

from linewarden.gateway.supervisor.settings import LineSettings, SettingsError, read_settings
from linewarden.statemachine.policy import policy_of

NUMBER = "+15550100001"
SECRET = "socks5://user:hunter2@proxy.example:1080"
WHOLE = f"""
log = "data/lines.db"
holder = "berlin-1"
sessions = "keys"

[policy]
preset = "openclaw"
stability_s = 30

[accounts.support]
session = "own/support.db"
pairing = "code"
pair_phone = "{NUMBER}"
proxy = "{SECRET}"
allow = ["+15550100002", "100000000000001@lid", "15550100003@s.whatsapp.net"]
bot = "answers:reply"

[accounts.support.policy]
stability_s = 45
jitter = 0.5

[accounts.sales]
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "lw.toml"
    path.touch(mode=0o600)
    return path


def refusal(config: Path | None, **environ: str) -> str:
    """What is said of settings that are refused; it never holds a value."""
    with pytest.raises(SettingsError) as refused:
        read_settings(config, environ)
    text = str(refused.value)
    assert refused.value.hint
    assert not [value for value in (NUMBER, NUMBER[1:], "hunter2") if value in text]
    return text


def test_a_file_says_everything(config: Path) -> None:
    """Each key is read, relative paths start at the file, and policies lie over each other."""
    config.write_text(WHOLE)
    settings = read_settings(config, {})
    support, sales = settings.accounts["support"], settings.accounts["sales"]
    assert (settings.log, settings.holder) == (str(config.parent / "data/lines.db"), "berlin-1")
    assert support == LineSettings(
        session=str(config.parent / "own/support.db"),
        pairing="code",
        pair_phone=NUMBER,
        proxy=SECRET,
        allow=("+15550100002", "100000000000001@lid", "15550100003@s.whatsapp.net"),
        bot="answers:reply",
        policy={"preset": "openclaw", "stability_s": 45, "jitter": 0.5},
    )
    assert sales == LineSettings(
        session=str(config.parent / "keys/sales.db"),
        policy={"preset": "openclaw", "stability_s": 30},
    )


def test_without_a_file_the_names_are_enough(tmp_path: Path) -> None:
    """Accounts of the command line get defaults, and sessions lie in a folder beside the log."""
    settings = read_settings(None, {}, ["support", "sales", "support"])
    assert settings.log == str(tmp_path / "cwd" / "linewarden.db")
    assert settings.holder == "main"
    assert settings.accounts == {
        name: LineSettings(session=str(tmp_path / "cwd" / "sessions" / f"{name}.db"))
        for name in ("support", "sales")
    }


def test_names_choose_among_the_accounts_of_a_file(config: Path) -> None:
    """With names given only those are kept, and one that the file lacks is added."""
    config.write_text(WHOLE)
    settings = read_settings(config, {}, ["sales", "new"])
    assert list(settings.accounts) == ["sales", "new"]
    assert settings.accounts["new"].policy == settings.accounts["sales"].policy


def test_the_environment_lies_over_the_file(config: Path, tmp_path: Path) -> None:
    """Each variable replaces what the file says, for every account, its own policy included."""
    config.write_text(WHOLE)
    environ = {
        "LINEWARDEN_LOG": "here.db",
        "LINEWARDEN_HOLDER": "oslo",
        "LINEWARDEN_SESSIONS": "keys/",
        "LINEWARDEN_PROXY": "http://127.0.0.1:3128",
        "LINEWARDEN_PAIR_PHONE": "+15550100009",
        "LINEWARDEN_POLICY_RELINK": "auto",
        "LINEWARDEN_POLICY_STABILITY_S": "20",
        "LINEWARDEN_POLICY_JITTER": "0.1",
        "LINEWARDEN_POLICY_DURABLE_OUTBOX": "true",
        "PATH": "not/ours",
    }
    settings = read_settings(config, environ, ["sales"])
    sales = settings.accounts["sales"]
    assert (settings.log, settings.holder) == (str(tmp_path / "cwd/here.db"), "oslo")
    assert sales.session == str(tmp_path / "cwd/keys/sales.db")
    assert (sales.proxy, sales.pair_phone) == ("http://127.0.0.1:3128", "+15550100009")
    policy = policy_of(sales.policy)
    assert (policy.preset, policy.relink, policy.stability_s) == ("openclaw", "auto", 20)
    assert (policy.jitter, policy.durable_outbox) == (0.1, True)
    assert (
        policy_of(read_settings(config, environ, ["support"]).accounts["support"].policy) == policy
    )
    assert policy_of(settings.policy) == policy


def test_what_a_container_sets_by_itself_is_passed_over() -> None:
    """Empty variables, and those of a cluster beside a service named linewarden, mean nothing."""
    environ = {
        "LINEWARDEN_PROXY": "",
        "LINEWARDEN_SERVICE_HOST": "10.0.0.1",
        "LINEWARDEN_PORT": "tcp://10.0.0.1:80",
        "LINEWARDEN_PORT_80_TCP_ADDR": "10.0.0.1",
        "LINEWARDEN_WEB_SERVICE_PORT": "80",
    }
    assert read_settings(None, environ, ["support"]) == read_settings(None, {}, ["support"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sesions = "x"', ["the top of the file", "sesions", "did you mean sessions?"]),
        ('[accounts.a]\npair_fone = "x"', ["[accounts.a]", "pair_fone", "did you mean pair_phone"]),
        ("[policy]\nrelnk = 1", ["[policy]", "relnk", "did you mean relink?"]),
        ("[accounts.a.policy]\nmax = 1", ["[accounts.a.policy]", "max"]),
        ("[accounts.a.policy]\nmax_s = -1", ["[accounts.a.policy]", "max_s"]),
        ('[policy]\npreset = "fast"', ["[policy]", "preset"]),
        ("policy = 3", ["$.policy"]),
        ("accounts = 3", ["$.accounts"]),
        ("[accounts]\na = 3", ["$.accounts"]),
        ("log = 3", ["$.log"]),
        ('log = "data/"', ["log", "names no file"]),
        ('sessions = ""', ["sessions", "names no file"]),
        ('holder = "no spaces"', ["holder"]),
        ('[accounts."a b"]', ["[accounts]", "characters"]),
        (f'[accounts."{NUMBER[1:]}"]', ["[accounts]", "phone number"]),
        ("[accounts.a]\npolicy = 3", ["[accounts.a]", "$.policy"]),
        (f"[accounts.a]\npair_phone = {NUMBER[1:]}", ["[accounts.a]", "$.pair_phone"]),
        (f'[accounts.a]\npair_phone = "{NUMBER[1:]}"', ["[accounts.a]", "pair_phone"]),
        (f'[accounts.a]\npairing = "{NUMBER}"', ["[accounts.a]", "pairing"]),
        ('[accounts.a]\nproxy = "ftp://user:hunter2@host"', ["[accounts.a]", "proxy"]),
        (f'[accounts.a]\nallow = "{NUMBER}"', ["[accounts.a]", "$.allow"]),
        (f'[accounts.a]\nallow = ["{NUMBER}", ""]', ["[accounts.a]", "allow, entry 2"]),
        (f'[accounts.a]\nallow = ["{NUMBER}@g.us"]', ["[accounts.a]", "allow, entry 1"]),
        ('[accounts.a]\nsession = "postgres://u:hunter2@h/d"', ["[accounts.a]", "session"]),
        (f"[accounts.a]\npair_phone = +{NUMBER}", ["no TOML", "line 2"]),
        (f'[accounts.a]\n"{NUMBER}" = 1', ["[accounts.a]", "[number]"]),
        ("", ["no account is named"]),
    ],
)
def test_an_error_says_where_and_never_what(config: Path, text: str, words: list[str]) -> None:
    """What is not understood is told with file, table and key, with a hint, without the value."""
    config.write_text(text)
    told = refusal(config)
    assert not [word for word in words if word not in told], told
    assert "lw.toml" in told or not text


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LINEWARDEN_POLICY_FOO", "1", "LINEWARDEN_POLICY_FOO"),
        ("LINEWARDEN_POLICY_RELNK", "auto", "did you mean LINEWARDEN_POLICY_RELINK?"),
        ("LINEWARDEN_HOLDR", "x", "did you mean LINEWARDEN_HOLDER?"),
        ("LINEWARDEN_POLICY_RELINK", "maybe", "LINEWARDEN_POLICY_RELINK"),
        ("LINEWARDEN_POLICY_FAST_ATTEMPTS", "1.5", "LINEWARDEN_POLICY_FAST_ATTEMPTS"),
        ("LINEWARDEN_POLICY_MAX_S", "nan", "LINEWARDEN_POLICY_MAX_S"),
        ("LINEWARDEN_POLICY_MAX_S", "-5", "LINEWARDEN_POLICY_MAX_S"),
        ("LINEWARDEN_PROXY", "user:hunter2@host:1", "LINEWARDEN_PROXY"),
        ("LINEWARDEN_PAIR_PHONE", NUMBER[1:], "LINEWARDEN_PAIR_PHONE"),
        ("LINEWARDEN_LOG", "data/", "LINEWARDEN_LOG"),
        ("LINEWARDEN_SESSIONS", "/", "LINEWARDEN_SESSIONS"),
        ("LINEWARDEN_HOLDER", "a b", "LINEWARDEN_HOLDER"),
    ],
)
def test_a_wrong_variable_is_named(config: Path, name: str, value: str, words: str) -> None:
    """An unknown variable of ours, or a value that can't be, is told by the variable's name."""
    config.write_text("[accounts.a]")
    assert words in refusal(config, **{name: value})


def test_a_file_that_cannot_be_read_is_told(config: Path) -> None:
    """A missing file, a folder and a file that is no UTF-8 are told as such."""
    assert "No such file" in refusal(config.with_name("none.toml"))
    assert "Is a directory" in refusal(config.parent)
    config.write_bytes(b'log = "\xff"')
    assert "no UTF-8" in refusal(config)
    config.write_bytes(b"a = " + b"[" * 100_000)
    assert "no TOML" in refusal(config)


def test_a_file_of_another_system_is_read(config: Path) -> None:
    """A byte order mark and the line ends of Windows are no errors."""
    config.write_bytes(b'\xef\xbb\xbfholder = "oslo"\r\n[accounts.a]\r\n')
    assert read_settings(config, {}).holder == "oslo"


@pytest.mark.parametrize(
    "session", ["b.db", "link.db", "b.db-wal", "lw.toml", "log.db", "log.db-shm"]
)
def test_no_purge_can_delete_what_is_not_its_own(config: Path, session: str) -> None:
    """Two accounts never share a file, by whatever name, nor one with the log or the settings."""
    (config.parent / "link.db").symlink_to("b.db")
    config.write_text(
        f'log = "log.db"\n[accounts.b]\nsession = "b.db"\n[accounts.a]\nsession = "{session}"'
    )
    assert "session is a file of" in refusal(config)


def test_one_number_is_not_given_to_several_accounts(config: Path) -> None:
    """A number in the environment is for one account; several need theirs in the file."""
    config.write_text("[accounts.a]\n[accounts.b]")
    assert "several accounts" in refusal(config, LINEWARDEN_PAIR_PHONE=NUMBER)


@pytest.mark.parametrize(
    ("line", "mode", "warned"),
    [
        (f'pair_phone = "{NUMBER}"', 0o640, True),
        (f'proxy = "{SECRET}"', 0o604, True),
        (f'allow = ["{NUMBER}"]', 0o644, True),
        (f'pair_phone = "{NUMBER}"', 0o600, False),
        ('proxy = "http://proxy.example:3128"', 0o644, False),
    ],
)
def test_a_file_with_secrets_that_others_can_read_is_warned_of(
    config: Path, caplog: pytest.LogCaptureFixture, line: str, mode: int, warned: bool
) -> None:
    """Numbers and credentials in a file that others can read get a warning without them."""
    config.write_text(f"[accounts.a]\n{line}")
    os.chmod(config, mode)
    with caplog.at_level(logging.DEBUG):
        read_settings(config, {})
    assert ("others can read it" in caplog.text) is warned
    assert NUMBER not in caplog.text and "hunter2" not in caplog.text


def test_no_repr_shows_a_value(config: Path) -> None:
    """Settings in a log line or a traceback show no number, no credential and no path."""
    config.write_text(WHOLE)
    settings = read_settings(config, {})
    shown = repr(settings) + repr(settings.accounts)
    assert "support" in shown
    assert not [value for value in (NUMBER, "hunter2", "1555", "own/") if value in shown]
