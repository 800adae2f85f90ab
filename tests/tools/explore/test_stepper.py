"""The stepper: forwards, backwards, breakpoints, and what is so at a record."""

import pytest
from click.testing import CliRunner, Result

from linewarden.eventstore.bundle_format import Bundle
from linewarden.statemachine import closing
from linewarden.statemachine.errors import InputError
from linewarden.tools.explore import cli
from linewarden.tools.explore.stepper import HELP, Ended, Stepper

from ..replay.test_mutations import retried


@pytest.fixture
def stepper(bundle: Bundle) -> Stepper:
    return Stepper(bundle)


def place(rows: list[str]) -> str:
    """Which record an answer shows."""
    return next(row.split()[0] for row in rows if " of 13" in row)


def test_next_and_previous_move(stepper: Stepper) -> None:
    """One record or several, forwards and backwards, and no further than the ends."""
    moves = {"next": "2", "n 3": "5", "previous": "4", "p 2": "2", "next 100": "13", "p 99": "1"}
    for line, expected in moves.items():
        assert place(stepper.do(line)) == expected
    assert stepper.do("previous")[-1] == "this is the first record"


def test_go_takes_a_position_or_a_version(stepper: Stepper) -> None:
    """A number is a position, `v` and a number a version."""
    moves = {"go 7": "7", "go v9": "9", "goto first": "1", "g last": "13", "go V2": "2"}
    for line, expected in moves.items():
        assert place(stepper.do(line)) == expected


def test_a_record_is_shown_with_its_effects(stepper: Stepper) -> None:
    """What came, what was decided, how the state moved, what is asked for and settled."""
    rows = stepper.do("go 13")
    assert rows[0] == "13 of 13  (v13)"
    assert rows[1].endswith("closed 440  close.replaced.conflict  connected > conflict")
    assert rows[2] == "        with controller=A source=baileys code=440"
    assert "        asks for notify controller=A notice=conflict" in rows
    assert "        r1 is sent" in stepper.do("go 5")


def test_breakpoints_stop_it_on_both_ways(stepper: Stepper) -> None:
    """It stops where an expression comes true, and says at which breakpoint."""
    assert stepper.do("breaks") == ["there are no breakpoints"]
    assert stepper.do("break stimulus == 'timer_fired'") == [
        "breakpoint 1: stimulus == 'timer_fired'"
    ]
    stepper.do("b reply('r2').outcome == 'held'")
    found = [stepper.do("continue") for _ in range(4)]
    assert [place(rows) for rows in found] == ["6", "8", "9", "10"]
    assert found[1][0] == "breakpoint 2: reply('r2').outcome == 'held'"
    assert stepper.do("delete 2") == ["1: stimulus == 'timer_fired'"]
    ended = stepper.do("c")
    assert (place(ended), ended[-1]) == ("13", "no breakpoint up to the last record")
    assert [place(stepper.do("back")) for _ in range(3)] == ["9", "6", "1"]


def test_state_shows_the_account(stepper: Stepper) -> None:
    """All that is not empty, timers with what remains of them; or what begins with a word."""
    stepper.do("go 7")
    rows = {row.split()[0]: row.split(maxsplit=1)[1] for row in stepper.do("state")}
    assert rows["state"] == "reconnect_gap"
    assert rows["retry_at"].endswith("Z (in 2 s)")
    assert "hold" not in rows
    assert [row.split()[0] for row in stepper.do("state retry")] == ["retry_at"]


def test_why_explains_the_rule(stepper: Stepper) -> None:
    """The rule in a sentence, the state, and that it was recorded so."""
    stepper.do("go 13")
    assert stepper.do("why") == [
        "close.replaced.conflict: Somebody we don't know took the session: "
        "an operator must decide.",
        "A is conflict, and the last cause was replaced",
        "it was recorded so: close.replaced.conflict",
    ]


def test_why_follows_a_reply(stepper: Stepper) -> None:
    """What became of a reply up to here, with every record that touched it."""
    with pytest.raises(InputError, match="no reply of this id"):
        stepper.do("why r2")
    stepper.do("go 9")
    assert stepper.do("why r2")[0].startswith("r2 is held. ")
    stepper.do("go last")
    rows = stepper.do("why r2")
    assert rows[0].startswith("r2 is sent. ")
    assert [row.split()[0] for row in rows[1:]] == ["8", "11", "12"]


def test_diff_compares_two_positions(stepper: Stepper) -> None:
    """Where the states after two records differ, and nothing where they don't."""
    rows = {row.split()[0]: row.split(maxsplit=1)[1] for row in stepper.do("diff 6 v7")}
    assert rows["state"] == "connected -> reconnect_gap"
    assert rows["identity.pn"] == "idn_1 -> none"
    assert stepper.do("d 6 6") == ["nothing differs"]


def test_where_today_decides_otherwise_is_marked(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that diverges says so by itself, to `why` and to a breakpoint."""
    monkeypatch.setattr(closing, "classify", retried)
    stepper = Stepper(bundle)
    stepper.do("break diverges and recorded.rule != rule")
    rows = stepper.do("continue")
    assert place(rows) == "13"
    told = "decision, rule close.replaced.conflict -> close.transient.retry"
    assert rows[-1] == f"        diverges: position 13: {told}"
    assert stepper.do("why")[-1] == f"diverges: position 13: {told}"


def test_code_that_raises_is_told_with_its_place(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What, why and where: no rule is explained that there isn't."""

    def broken(*_: object) -> None:
        raise KeyError("of the night")

    monkeypatch.setattr(closing, "classify", broken)
    stepper = Stepper(bundle)
    stepper.do('break rule == "(raised KeyError)"')
    rows = stepper.do("continue")
    assert place(rows) == "7"
    first, second, *_ = stepper.do("why")
    assert first.startswith("this code raised KeyError: 'of the night' (statemachine/closing.py:")
    assert second == "so nothing was decided"
    assert "not known to this version" not in "\n".join(stepper.do("why"))
    assert stepper.do("why")[-1] == "it was recorded as close.transient.retry"


def test_list_and_print(stepper: Stepper) -> None:
    """The records around, what something is here, and whether it is so."""
    stepper.do("go 7")
    assert [row.split()[0] for row in stepper.do("list 3")] == ["6", ">", "8"]
    assert stepper.do("print attempt == 1 and rule == 'close.transient.retry'") == ["yes"]
    assert stepper.do("print live") == ["no"]
    assert stepper.do("print attempt") == ["1"]
    assert stepper.do("print hold") == ["none"] == stepper.do("print effects")
    assert stepper.do("print retry_at") == ["2023-11-14T22:14:32.000000000Z"]
    assert [row.split()[0] for row in stepper.do("print close")] == [
        "socket",
        "at",
        "kind",
        "attempts",
    ]
    assert "state" in stepper.do("print changed")
    stepper.do("go 1")
    assert stepper.do("print effects") == ["dial controller=A socket=1"]
    for line in ("print reply('r9').outcome == 'sent'", "break 'r9' in replies"):
        with pytest.raises(InputError, match="no reply 'r9'"):
            stepper.do(line)


def test_help_names_every_command(stepper: Stepper) -> None:
    """Each command of the help exists, and each that exists is in the help."""
    told = [row.split()[0] for row in stepper.do("help")]
    assert told == [name.split()[0] for name, _ in HELP]
    assert set(told) == set(stepper._commands())
    with pytest.raises(Ended):
        stepper.do("quit")


BAD = [
    "jump", "next 0", "next x", "next -1", "go", "go 99", "go v99", "go x", "delete 1", "diff 1",
    "break", "break stat == 1", "state nothing", "why nobody", "help me", "list 0", "print", "\x1b",
    "next 99999999",
]  # fmt: skip


@pytest.mark.parametrize("line", BAD)
def test_a_bad_command_changes_nothing(stepper: Stepper, line: str) -> None:
    """What is wrong with a command is told with a hint, and it stays where it is."""
    stepper.do("go 4")
    with pytest.raises(InputError) as caught:
        stepper.do(line)
    assert caught.value.hint
    assert caught.value.message.isprintable()
    assert place(stepper.here()) == "4"


def piped(night: str, text: str) -> Result:
    return CliRunner().invoke(cli.step, [night], input=text)


def test_a_pipe_gives_one_command_a_line(night: str) -> None:
    """No prompt, empty lines and comments are passed over, and its end is the end: exit code 0."""
    result = piped(night, "# to the conflict\n\nbreak state == 'conflict'\ncontinue\nprint live\n")
    assert result.exit_code == 0
    rows = result.stdout.splitlines()
    assert rows[:2] == ["breakpoint 1: state == 'conflict'"] * 2
    assert rows[-1] == "no"
    assert "step>" not in result.output
    assert piped(night, "").output == ""
    assert piped(night, "quit\nnonsense\n").exit_code == 0


def test_a_bad_command_ends_a_pipe(night: str) -> None:
    """The first bad command is told with its line, nothing after it is done: exit code 1."""
    result = piped(night, "next\nnonsense\nnext\n")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "line 2: there is no command 'nonsense'"
    assert "3 of 13" not in result.stdout
    assert CliRunner().invoke(cli.step, [night], input=b"\xff\xfe\n").exit_code == 1


def test_a_file_that_is_no_bundle_is_exit_code_2(tmp_path: object) -> None:
    """What can't be opened is said with a hint."""
    result = CliRunner().invoke(cli.step, [f"{tmp_path}/missing"])
    assert result.exit_code == 2 and "hint: " in result.stderr
