"""The door for stimuli from outside: what it lets in, and how it refuses the rest."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.statemachine.errors import InputError
from linewarden.statemachine.parsing import StimulusError, parse
from linewarden.statemachine.stimuli import KINDS, Closed, name_of

PHONE = "15550100001"
CLOSED = {"stimulus": "closed", "controller": "A", "source": "baileys", "at": 1}
REPLY = {"stimulus": "reply_submitted", "source": "router", "reply": "r1", "chat": "chat_1"}


def refused(fields: dict[str, Any]) -> StimulusError:
    """The error of fields that are no stimulus: with a hint, and without the caller's data."""
    with pytest.raises(StimulusError) as told:
        parse(fields)
    assert isinstance(told.value, InputError)
    assert told.value.hint
    assert PHONE not in str(told.value)
    return told.value


@pytest.mark.parametrize(
    ("code", "expected"),
    [(440, 440), ("440", 440), (" 440 ", 440), ("ENOTFOUND", "ENOTFOUND"), (None, None)],
)
def test_codes_come_as_numbers_or_text(code: object, expected: object) -> None:
    """The text "440" is 440; a word stays a word."""
    stimulus = parse(CLOSED | {"code": code})
    assert isinstance(stimulus, Closed)
    assert stimulus.code == expected


@pytest.mark.parametrize("code", [4.4, True, [440], {"code": 440}])
def test_a_code_of_another_type_is_refused(code: object) -> None:
    """A code is a number or text, and the error says how to write one."""
    assert "code" in str(refused(CLOSED | {"code": code}))


@pytest.mark.parametrize("name", [None, "opend", "", 7, PHONE, f"closed {PHONE}"])
def test_an_unknown_stimulus_is_refused(name: object) -> None:
    """The hint of an unknown stimulus lists the known ones."""
    hint = refused({"stimulus": name, "controller": "A"}).hint
    assert all(known in hint for known in KINDS)


@pytest.mark.parametrize("field", ["colour", PHONE, f"{PHONE}@s.whatsapp.net", "A'B`C"])
def test_an_unknown_field_is_refused(field: str) -> None:
    """A field that no stimulus has is refused, and the hint lists those it has."""
    error = refused(CLOSED | {field: 1})
    assert "code" in error.hint
    assert "socket" in error.hint


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (CLOSED | {"socket": "1"}, "socket"),
        (CLOSED | {"socket": 0}, "socket"),
        (CLOSED | {"socket": -1}, "socket"),
        (CLOSED | {"at": "now"}, "at"),
        (CLOSED | {"jitter": -1}, "jitter"),
        (CLOSED | {"jitter": 1_000_001}, "jitter"),
        (CLOSED | {"detail": 7}, "detail"),
        (CLOSED | {"source": "Bad Source"}, "source"),
        (CLOSED | {"source": PHONE}, "source"),
        (CLOSED | {"controller": None}, "controller"),
        ({"stimulus": "opened"}, "controller"),
        ({"stimulus": "claimed", "controller": "A"}, "holder"),
        ({"stimulus": "restart_requested", "by": PHONE}, "by"),
        ({"stimulus": "restart_requested", "by": f"'{PHONE}"}, "by"),
        ({"stimulus": "activity", "controller": "A", "evidence": "hope"}, "evidence"),
        ({"stimulus": "keepalive_timeout", "controller": "A", "count": 0}, "count"),
        ({"stimulus": "banned", "controller": "A", "expires_s": -1}, "expires_s"),
        ({"stimulus": "banned", "controller": "A", "expires_s": "soon"}, "expires_s"),
        ({"stimulus": "banned", "controller": "A", "expires_s": True}, "expires_s"),
        ({"stimulus": "silence", "controller": "A", "kind": "app", "seconds": "nan"}, "seconds"),
        ({"stimulus": "timer_fired", "controller": "A", "timer": "lunch"}, "timer"),
        ({"stimulus": "send_failed", "reply": "r1", "kind": "maybe"}, "kind"),
        (REPLY | {"held_elsewhere": -1}, "held_elsewhere"),
        (REPLY | {"deadline_s": -1}, "deadline_s"),
        (REPLY | {"earlier": 0}, "earlier"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, Any], named: str) -> None:
    """The error names the field that is wrong."""
    assert named in refused({"source": "gateway"} | fields).message


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", "ä", "a/b", "a\n", "a" * 129, "💬", f"{PHONE}@s.whatsapp.net"]
)
@pytest.mark.parametrize("field", ["controller", "reply", "captured_on"])
def test_an_odd_name_is_refused(field: str, name: str) -> None:
    """A name is letters, digits and . _ : - after a letter or digit, at most 128."""
    assert field in refused(REPLY | {field: name}).message


@pytest.mark.parametrize("name", [PHONE, f"+{PHONE}", "1555010"])
@pytest.mark.parametrize("field", ["controller", "reply", "captured_on"])
def test_a_name_that_looks_like_a_phone_number_is_refused(field: str, name: str) -> None:
    """Names stand in logs, so none may be a phone number; the error does not repeat it."""
    error = refused(REPLY | {field: name})
    assert field in error.message
    assert name not in str(error)


@pytest.mark.parametrize("name", ["A", "r1", "0192f3c4-aaaa:bot.7_x", "123456", "a" * 128])
def test_a_plain_name_is_taken(name: str) -> None:
    """Ids of every usual making are names."""
    assert parse(REPLY | {"reply": name}) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("service_started", "service_stopped", "lease_lapsed", "restart_requested"),
        *("stop_requested", "release_requested", "relink_requested", "identity_linked"),
        *("reply_submitted", "send_acked", "send_failed", "reply_cancelled"),
    ],
)
def test_commands_links_and_replies_need_no_controller(name: str) -> None:
    """What concerns the account as a whole may name no controller."""
    asked = {
        "holder": "host-1", "by": "operator", "pn": "idn_1", "lid": "idn_2",
        "reply": "r1", "chat": "chat_1", "kind": "unknown",
    }  # fmt: skip
    known = KINDS[name].__struct_fields__
    fields = {key: value for key, value in asked.items() if key in known}
    assert parse({"stimulus": name, **fields}).controller is None


def test_decimals_stand_as_text() -> None:
    """A fraction of a second is kept as text, because a record holds no floats."""
    silence = parse({"stimulus": "silence", "controller": "A", "kind": "app", "seconds": 0.5})
    whole = parse({"stimulus": "silence", "controller": "A", "kind": "app", "seconds": 2.0})
    assert silence.seconds == "0.5"
    assert whole.seconds == 2


def test_a_stimulus_knows_its_name() -> None:
    """The name of a stimulus is the one it is parsed by."""
    assert {name: name_of(kind) for name, kind in KINDS.items()} == {name: name for name in KINDS}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(PHONE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = sorted({field for kind in KINDS.values() for field in kind.__struct_fields__})


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(_FIELDS) | st.text(max_size=12), _JSON, max_size=6),
)
def test_anything_is_a_stimulus_or_an_input_error(name: str, fields: dict[str, Any]) -> None:
    """Whatever comes in is parsed or refused as the caller's fault, never shown, never a crash."""
    shown = ""
    try:
        parse({**fields, "stimulus": name})
    except InputError as error:
        shown = str(error)
    assert PHONE not in shown
