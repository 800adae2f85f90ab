"""Expressions: what they say of a record, and what they refuse."""

import time

import pytest
from msgspec.structs import replace

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine.account import TIMERS
from linewarden.statemachine.outcome import Settled
from linewarden.statemachine.policy import NS
from linewarden.tools.explore.expression import Expression
from linewarden.tools.explore.kinds import FIELDS, NAMED
from linewarden.tools.explore.scene import ATTRIBUTES, NAMES, Scene
from linewarden.tools.explore.words import WORDS, ExpressionError, words_of

from ..replay.logs import steps_of

TRUE = {
    1: [
        "stimulus == 'claimed'",
        "rule == 'claim.first' and state == 'connecting' and phase == 'dialing'",
        "'dial' in effects and len(effects) == 1",
        "before.state is None and before.epoch == 0 and epoch == 1",
        "'overrides' in changed and policy.jitter == 0",
        "overrides['jitter'] == 0 and overrides['max_s'] is None",
    ],
    4: [
        "stimulus.reply == 'r1' and 'send' in effects",
        "reply('r1').outcome == 'sending' and reply('r1').via == 'A'",
        "reply('r2').outcome is None",
        "len(replies) == 1 and 'r1' in replies and replies['r1'].chat == 'chat_r1'",
        "live and not degraded and identity.pn == 'idn_1'",
    ],
    7: [
        "stimulus in ('closed', 'dial_failed') and stimulus.code == 428",
        "stimulus.code == '428' and '428' == stimulus.code",
        "state == 'reconnect-gap'",
        "state == 'reconnect_gap' != before.state",
        "0 < attempt <= 1 and attempt > -1",
        "timers['retry'] > at and 'retry' in timers and timers.retry == retry_at",
        "retry_at >= '2023-11-14T22:14' and retry_at < '2023-11-14T22:15'",
        "hold is None and not (hold.until > '2000-01-01')",
        "at == '2023-11-14 22:14:30' == '2023-11-14T22:14:30.000000000Z' < retry_at",
        "at in ('2023-11-14', '22:14:30') and at < '2023-11-14 23:00'",
        "at > '2023-11-14 22:14:29.999999999' and at < '2023-11-14T22:14:30.000000001Z'",
        "at == '2023-11-15T00:14:30+02:00' and '22:14' < at and hold.until != '22:15'",
        "timers['retry'] == '22:14:32' and recorded.changes['retry_at'] < '22:14:33'",
        "live == false and hold == null and own_doing != true and opened_at != none",
        "reply('r1').outcome == 'sent'",
        "'retry' in rule and 'close' in stimulus and 'gap' in state and 'x' not in cause",
        "rule not in ['close.echo', 'close.late']",
        "position == 7 and version == 7",
        "recorded.rule == rule and not diverges",
    ],
    13: ["state == 'conflict' and 'notify' in effects and socket_state != 'open'"],
}


@pytest.mark.parametrize(("version", "text"), [(key, one) for key in TRUE for one in TRUE[key]])
def test_what_is_so_is_true(bundle: Bundle, version: int, text: str) -> None:
    """An expression is true of the record of which it says what is so, and its denial is not."""
    steps = steps_of(bundle)
    settled: dict[str, Settled] = {}
    for step in steps[:version]:
        settled.update(step.decided.settled)
    scene = Scene(steps[version - 1], settled.get)
    seen = words_of(steps)
    assert Expression(text, seen)(scene)
    assert not Expression(f"not ({text})", seen)(scene)


HOSTILE = [
    "__import__('os').system('true')",
    "open('/etc/passwd')",
    "().__class__.__bases__[0].__subclasses__()",
    "state.__class__",
    "stimulus.__struct_config__",
    "reply.__globals__",
    "(lambda: 1)()",
    "[x for x in effects]",
    "attempt + 1 > 3",
    "2 ** 999999999",
    "'a' * 999999999 == rule",
    "f'{state}'",
    "state := 'conflict'",
    "state = 'conflict'",
    "state == 'conflict'; rule",
    "reply(*effects)",
    "reply(reply='r1')",
    "reply(state)",
    "reply('a', 'b')",
    "replies[state]",
    "replies[0:1]",
    "~attempt",
    "1 if state else 2",
    "await state",
    "b'x' == rule",
    "1j == attempt",
    "... == rule",
    "not " * 230 + "live",
    "(" * 400 + "live" + ")" * 400,
    "-" * 900 + "1 == attempt",
    "live and " * 120 + "live",
    "live" + " " * 2_000 + "and live",
    "x" * 2_000,
    "state == '\x00'",
    "9" * 990 + " == attempt == {",
    "\u202elive",
    "",
    "   ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_not_of_the_language_is_refused(text: str) -> None:
    """Whatever is not on the short list is refused with a sentence, at once and unexecuted."""
    begun = time.perf_counter()
    with pytest.raises(ExpressionError) as caught:
        Expression(text)
    assert time.perf_counter() - begun < 0.1
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("stat == 'closed'", "no name 'stat' (at character 1)", "state"),
        ("state == 'conflcit'", "no state 'conflcit' (at character 10)", "conflict"),
        ("'conflcit' != state", "no state", "conflict"),
        ("state in ('closed', 'open')", "no state 'open'", "conn"),
        ("stimulus == 'close'", "no stimulus 'close'", "closed"),
        ("rule == 'close.confict'", "no rule", "close.upgrade.conflict"),
        ("'dail' in effects", "no effect 'dail'", "dial"),
        ("before.sate == 'closed'", "no field 'sate'", "state"),
        ("reply('r1').outcome == 'send'", "no outcome 'send'", "sent"),
        ("timers['retrx'] > at", "no timer 'retrx' (at character 8)", "retry"),
        ("timers.retrx > at", "no timer 'retrx'", "retry"),
        ("timers.state", "no timer 'state'", "stability"),
        ("overrides['max'] == 1", "no field 'max'", "max_s"),
        ("recorded.changes['sate'] == 1", "no field 'sate'", "state"),
        ("recorded.rule == 'close.confict'", "no rule 'close.confict'", "close.upgrade.conflict"),
        ("cause == 'transiet'", "no cause 'transiet'", "transient"),
        ("before.cause != 'transiet'", "no cause 'transiet'", "transient"),
        ("reason == 'gaveup'", "no reason 'gaveup'", "gave_up"),
        ("'atempt' in changed", "no field 'atempt'", "attempt"),
        ("hold.kind == 'band'", "no kind 'band'", "banned"),
        ("stimulus.by == 'oprator'", "no by 'oprator'", "operator"),
        ("socket_state == 'opn'", "no socket_state 'opn'", "open"),
        ("effects == 'dial'", "effects at character 1 holds several words", '"dial" in effects'),
        ("changed in ('attempt', 'state')", "changed at character 1 holds several", "in changed"),
        ("count(effects) > 1", "no function 'count'", "len"),
        ("state ==", "can't be read at character", "for example"),
        ("at >= 'yesterday'", "'yesterday' (at character 7) is no time", "02:56"),
        ("retry_at in ('2023-11-14', '15m')", "'15m' (at character 28) is no time", "02:56"),
        ("'' < before.since", "'' (at character 1) is no time", "02:56"),
        ("timers.retry > 5", "'timers.retry' (at character 1) is a time, and never a number", "a"),
        ("timers['retry'] > 5", "is a time, and never a number", "a time with a time"),
        ("at > position", "'at' (at character 1) is a time, and never a number", "a time"),
        ("cause == 5", "'cause' (at character 1) is text, and never a number", "with text"),
        ("3 in (1, state)", "'3' (at character 1) is a number, and never text", "with a number"),
        ("live == 'yes'", "'live' (at character 1) is yes or no, and never text", "not live"),
        ("not live == 1", "'live' (at character 5) is yes or no, and never a number", "not live"),
        ("hold == 'banned'", "'hold' (at character 1) is an object with fields", "text"),
        ("state in 'connected'", "'connected' (at character 10) is no list", "or in ("),
        ("'1' in attempt", "'attempt' (at character 8) is a number, and never a list", "text"),
        ("5 in effects", "'5' (at character 1) is a number, and never text", "text"),
        ("len(5) == 1", "'5' (at character 5) is a number, and never a list", "text"),
        ("len(identity)", "'identity' (at character 5) is an object with fields", "text"),
        ("controller > 3", "'controller' (at character 1) is text, and never a number", "text"),
        ("attempt + 1", "BinOp at character 1 is not part of the language", "comparisons"),
    ],
)
def test_a_slip_of_the_pen_is_told(text: str, message: str, hint: str) -> None:
    """A word that is never so is an error with its place and what was meant, not just untrue."""
    with pytest.raises(ExpressionError) as caught:
        Expression(text)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_words_of_the_incident_are_known(bundle: Bundle) -> None:
    """What older or other code recorded can be asked for; a reply that nobody knows can't."""
    steps = [
        replace(step, recorded=replace(step.recorded, rule="close.of_old"))
        for step in steps_of(bundle)
        if step.recorded is not None
    ]
    scene = Scene(steps[0], {}.get)
    seen = words_of(steps)
    assert Expression("recorded.rule == 'close.of_old'", seen)(scene)
    with pytest.raises(ExpressionError, match=r"no rule 'close\.of_old'"):
        Expression("recorded.rule == 'close.of_old'")
    for text in ("reply('r3').outcome == 'sent'", "'r3' in replies", "replies['r3'].chat == 'x'"):
        with pytest.raises(ExpressionError, match="no reply 'r3'") as caught:
            Expression(text, seen)
        assert caught.value.hint == "did you mean r1, r2"
        Expression(text.replace("r3", "r1"), seen)


def test_every_word_that_a_decision_writes_is_known(incidents: dict[str, Bundle]) -> None:
    """The causes and reasons of all scenarios are words that an expression may name."""
    met: dict[str, set[str]] = {"cause": set(), "reason": set(), "rule": set()}
    for bundle in incidents.values():
        seen = words_of(steps_of(bundle))
        for name, words in met.items():
            words |= seen[name]
    for name, words in met.items():
        assert words <= set(WORDS[name]), name
    assert set(WORDS["reason"]) == met["reason"]


def test_what_has_no_order_is_told(bundle: Bundle) -> None:
    """A list has no size to compare by; nothing is smaller than what is not there."""
    scene = Scene(steps_of(bundle)[0], {}.get)
    with pytest.raises(ExpressionError, match="a list or an object at character 1 have no order"):
        Expression("changed > effects")(scene)
    assert not Expression("retry_at > '2000-01-01' or retry_at <= '2000-01-01'")(scene)


def test_a_time_without_a_day_asks_for_an_incident_of_one_day(bundle: Bundle) -> None:
    """Where an incident is on two days, which one is meant has to be written."""
    steps = steps_of(bundle)
    later = replace(steps[-1].stimulus, at=steps[-1].stimulus.at + 86_400 * NS)
    seen = words_of([*steps, replace(steps[-1], stimulus=later)])
    with pytest.raises(ExpressionError, match=r"'22:14' \(at character 6\) is no time"):
        Expression("at > '22:14'", seen)
    Expression("at > '2023-11-14 22:14'", seen)


def test_every_name_has_its_kind() -> None:
    """What can be named is of one kind, and what stands behind a dot of some; so slips are told."""
    assert NAMES.keys() <= NAMED.keys() and ATTRIBUTES - {*TIMERS} <= FIELDS.keys()
    assert all(len(NAMED[name]) == 1 for name in NAMES)
