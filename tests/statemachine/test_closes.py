"""The classes of closing: both columns of the design, §3.2, code by code."""

import pytest

from linewarden.statemachine.closes import CloseClass, classify, is_pairing_401
from linewarden.statemachine.parsing import parse

WHATSMEOW = """
    transient   408 428 499 500 503
    restart     515
    banned      402
    outdated    405
    rejected    400 409 415 418 501
    replaced    440
    logged_out  401 403 406
"""
OTHERS = """
    transient   408 428 429 499 500 502 503 504
    restart     410 515
    banned      402
    outdated    405
    rejected    411
    forbidden   403
    replaced    440
    logged_out  401
"""
SEVERITY = "transient restart unknown banned outdated rejected forbidden replaced logged_out"


def column(text: str) -> dict[int, str]:
    """A column of the design; what it does not name is unknown."""
    named = {
        int(code): name
        for name, *codes in map(str.split, text.strip().splitlines())
        for code in codes
    }
    return {code: named.get(code, "unknown") for code in range(400, 600)}


def class_of(stimulus: str, source: str, **fields: object) -> str:
    given = {"stimulus": stimulus, "controller": "A", "source": source}
    return classify(parse(given | fields)).value


@pytest.mark.parametrize("spelled", [int, str])
@pytest.mark.parametrize(
    ("source", "text"),
    [("whatsmeow", WHATSMEOW), ("baileys", OTHERS), ("worker", OTHERS), ("yowsup", OTHERS)],
)
def test_each_code_has_the_class_of_its_column(source: str, text: str, spelled: type) -> None:
    """Every code from 400 to 599, as a number or as text, has the class of its source's column."""
    for stimulus in ("closed", "dial_failed"):
        found = {code: class_of(stimulus, source, code=spelled(code)) for code in range(400, 600)}
        assert found == column(text)


def test_a_stream_error_401_of_whatsmeow_says_nothing_yet() -> None:
    """For whatsmeow a stream error 401 is unknown; no other code of a stream error differs."""
    found = {code: class_of("stream_error", "whatsmeow", code=code) for code in range(400, 600)}
    assert found == column(WHATSMEOW) | {401: "unknown"}
    others = {code: class_of("stream_error", "baileys", code=code) for code in range(400, 600)}
    assert others == column(OTHERS)


@pytest.mark.parametrize("source", ["whatsmeow", "baileys"])
@pytest.mark.parametrize("code", [None, 401, 403, 408, 440, 515, 599, "ENOTFOUND"])
@pytest.mark.parametrize("stimulus", ["closed", "stream_error", "dial_failed"])
@pytest.mark.parametrize(
    ("tag", "expected"), [("replaced", "replaced"), ("device_removed", "logged_out")]
)
def test_a_tag_says_more_than_any_code(
    source: str, code: int | str | None, stimulus: str, tag: str, expected: str
) -> None:
    """The tags `replaced` and `device_removed` mean the same everywhere, whatever the code."""
    assert class_of(stimulus, source, code=code, tag=tag) == expected


@pytest.mark.parametrize(
    ("stimulus", "source", "code", "expected"),
    [
        ("closed", "whatsmeow", None, "transient"),
        ("closed", "baileys", None, "transient"),
        ("stream_error", "baileys", None, "transient"),
        ("stream_error", "whatsmeow", None, "unknown"),
        ("dial_failed", "whatsmeow", None, "transient"),
        ("dial_failed", "whatsmeow", "tls: handshake", "transient"),
        ("dial_failed", "baileys", "ENOTFOUND", "transient"),
        ("closed", "baileys", "ENOTFOUND", "unknown"),
        ("closed", "whatsmeow", "EOF", "unknown"),
    ],
)
def test_no_code_and_no_number(stimulus: str, source: str, code: str | None, expected: str) -> None:
    """A dial that failed below WhatsApp is transient; a close with an odd word is unknown."""
    assert class_of(stimulus, source, code=code) == expected


@pytest.mark.parametrize(
    ("stimulus", "expected"),
    [
        ("replaced", "replaced"),
        ("logged_out", "logged_out"),
        ("banned", "banned"),
        ("outdated", "outdated"),
        ("worker_died", "transient"),
    ],
)
@pytest.mark.parametrize("source", ["whatsmeow", "baileys"])
def test_a_name_is_its_class(stimulus: str, expected: str, source: str) -> None:
    """A named stimulus needs no code."""
    assert class_of(stimulus, source) == expected


def test_severity_rises_row_by_row() -> None:
    """Severity is the order of the rows."""
    assert " ".join(one.value for one in CloseClass) == SEVERITY
    assert [one.severity for one in CloseClass] == list(range(9))


@pytest.mark.parametrize(
    ("fields", "forgiven"),
    [
        ({"stimulus": "closed", "code": 401}, True),
        ({"stimulus": "closed", "code": "401"}, True),
        ({"stimulus": "dial_failed", "code": 401}, True),
        ({"stimulus": "stream_error", "code": 401}, True),
        ({"stimulus": "stream_error", "code": 401, "tag": "conflict"}, True),
        ({"stimulus": "stream_error", "code": 401, "tag": "device_removed"}, False),
        ({"stimulus": "closed", "code": 401, "tag": "replaced"}, False),
        ({"stimulus": "closed", "code": 403}, False),
        ({"stimulus": "closed", "code": 406}, False),
        ({"stimulus": "logged_out", "reason": "401", "on_connect": True}, True),
        ({"stimulus": "logged_out", "reason": 401, "on_connect": True}, True),
        ({"stimulus": "logged_out", "reason": "LOGGED_OUT", "on_connect": True}, True),
        ({"stimulus": "logged_out", "reason": "401", "on_connect": False}, False),
        ({"stimulus": "logged_out", "reason": 403, "on_connect": True}, False),
        ({"stimulus": "logged_out", "reason": "MAIN_DEVICE_GONE", "on_connect": True}, False),
        ({"stimulus": "logged_out", "reason": "UNKNOWN_LOGOUT", "on_connect": True}, False),
        ({"stimulus": "replaced"}, False),
    ],
)
def test_what_the_pairing_window_forgives(fields: dict[str, object], forgiven: bool) -> None:
    """The pairing window forgives a 401, in the middle only as a code; never a removed device."""
    stimulus = parse({"controller": "A", "source": "whatsmeow", **fields})
    assert is_pairing_401(stimulus) is forgiven
