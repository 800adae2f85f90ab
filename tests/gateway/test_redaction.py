"""Canaries: nothing personal or secret survives, and what operators need does."""

import logging
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.gateway.redaction import RedactingFilter, install_redaction, package_logger
from linewarden.statemachine.redaction import TEXT_MAX, redact

NUMBER = "15550100001"
PERSONAL = [
    NUMBER,
    f"+{NUMBER}",
    "+1 (555) 010-0001",
    "1.555.010.0001",
    "1 555 010 0001",
    f"{NUMBER}@s.whatsapp.net",
    f"{NUMBER}:12@s.whatsapp.net",
    f"{NUMBER}.0:12@hosted",
    "100000000000001@lid",
    "100000000000001:3@lid",
    "120363000000000001@g.us",
    f"{NUMBER}-1555010000@g.us",
    "someone@example.org",
    f"User:{NUMBER}",
    f"contact_{NUMBER}",
]
SECRET = [
    "https://wa.me/settings/linked_devices#rEf1,bm9pc2U=,aWRlbnRpdHk=,YWR2,3",
    f"https://wa.me/{NUMBER}",
    "chat.whatsapp.com/AbCdEfGhIjK",
    "2@Yx7qLmNo3PqRsT/uvWxYz+AbCd,Ef1gHiJkLmNoPq=,RsTuVw==",
    "Yx7qLmNo3PqRsTuvWxYzAbCdEf1gHiJk",
    "yx7qLmNo3PqRsTuv/xYz+AbCdEf1gHiJkLmNoPqRsTu=",
    "4f3a9c0d1e2b4f3a9c0d1e2b4f3a9c0d",
    "bm9pc2VrZXlub2lzZQ==",
    "ABCD-EFGH",
    "1A2B-3C4D",
]
PLAIN = [
    "closed with code 408, then 428 and 440",
    "HTTP_503",
    "ENOTFOUND ECONNREFUSED UNMAPPED device_removed main_device_gone",
    "proto: required field neonize.TemporaryBan.Code not set",
    "expected handshake response status code 101 but got 503",
    "pairing code expired or rejected",
    "close.upgrade.logged_out",
    "2.5 s after 12 attempts",
    "chat_0123456789abcdef01 of idn_0123456789abcdef01",
    "controller c019aa0d2b3c47a1e8b0c9d8e7f6a5b4c, reply r019aa0d2b3c47a1e8b0c9d8e7f6a5b4c",
    "web.whatsapp.com",
]


@pytest.mark.parametrize("canary", PERSONAL + SECRET)
@pytest.mark.parametrize("around", ["{}", "before {} after", "error: <{}>", '"{}"', "to={}, code"])
def test_canaries_do_not_survive(canary: str, around: str) -> None:
    """No piece of a personal value or of a secret is left, wherever in a text it stands."""
    clean = redact(around.format(canary))
    for piece in re.split(r"[^A-Za-z0-9+/=]", canary):
        if re.search(r"\d", piece) and len(piece) > 3:
            assert piece not in clean
    assert canary not in clean
    assert "[" in clean


@pytest.mark.parametrize("text", PLAIN)
def test_codes_words_and_tokens_stay(text: str) -> None:
    """What an operator needs is left as it is."""
    assert redact(text) == text


@pytest.mark.parametrize("code", ["ABCDEFGH", "ABCD-EFGH", "abcd-efgh", "1A2B3C4D"])
@pytest.mark.parametrize("announced", ["Pair code: {}", "pairing code is {}", "link_code={}"])
def test_announced_pairing_codes_go(code: str, announced: str) -> None:
    """A pairing code is taken out where it is announced as one, with or without its hyphen."""
    assert code not in redact(announced.format(code))


def test_text_is_bounded() -> None:
    """A text of any length comes out at the limit, quickly, and nothing cut through survives."""
    assert len(redact("a word " * 100_000)) == TEXT_MAX
    assert NUMBER[:6] not in redact("x" * 3_000 + " " * 994 + NUMBER, 5_000)


@given(st.text(alphabet="0123456789 +-.()@:/ab\u00a0\u2011", max_size=300))
def test_no_number_survives(text: str) -> None:
    """Seven digits in a row, whatever stands between them, are never left."""
    assert not re.search(r"\d(?:[ +\-.()/\u00a0\u2011]?\d){6}", redact(text))


@given(st.text(max_size=300))
def test_redaction_is_idempotent(text: str) -> None:
    """What was redacted is not changed by being redacted again."""
    once = redact(text)
    assert redact(once) == once


class Lines(logging.Handler):
    """Keeps what a handler would have printed."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def logger(lines: Lines) -> Iterator[logging.Logger]:
    """A filtered logger whose lines are kept."""
    made = logging.getLogger("canary")
    made.addFilter(RedactingFilter())
    made.addHandler(lines)
    yield made
    made.handlers.clear()
    made.filters.clear()


def test_log_lines_are_redacted_with_their_arguments(logger: logging.Logger, lines: Lines) -> None:
    """A line is redacted after its arguments are in it, numbers among them, and keeps its codes."""
    logger.warning("code %d from %s, %d", 408, f"{NUMBER}@s.whatsapp.net", int(NUMBER))
    assert lines.lines == ["canary code 408 from [id], [number]"]
    assert not lines.records[0].args


def test_tracebacks_and_extras_are_redacted(logger: logging.Logger, lines: Lines) -> None:
    """An exception's text and extra fields are redacted, and the exception itself is dropped."""
    try:
        raise ValueError(f"no LID found for {NUMBER}@s.whatsapp.net")
    except ValueError:
        logger.exception("it failed", extra={"jid": f"{NUMBER}@s.whatsapp.net"}, stack_info=True)
    assert "ValueError: no LID found for [id]" in lines.lines[0]
    assert NUMBER not in lines.lines[0] + repr(vars(lines.records[0]))


def test_a_line_that_cannot_be_formatted_is_redacted(logger: logging.Logger, lines: Lines) -> None:
    """Arguments that don't fit are left out instead of being printed by logging's own report."""
    logger.error("one %s and %s", *[NUMBER])
    assert lines.lines == ["canary one %s and %s (its arguments don't fit)"]


def test_every_logger_of_the_package_is_filtered_once(lines: Lines) -> None:
    """Loggers that exist are filtered by the installation, later ones by how they are made."""
    early = logging.getLogger("linewarden.canary.early")
    early.addHandler(lines)
    install_redaction()
    install_redaction()
    late = package_logger("linewarden.canary.late")
    late.addHandler(lines)
    for logger in (early, late):
        logger.warning("hello %s", NUMBER)
        logger.removeHandler(lines)
        assert sum(isinstance(one, RedactingFilter) for one in logger.filters) == 1
    assert [line.split(" ", 1)[1] for line in lines.lines] == ["hello [number]"] * 2
