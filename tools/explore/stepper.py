"""The stepper: an incident record by record, forwards and backwards, as today's code decides it.

Each command is a line of text and is answered by lines of text, so a person and a pipe use the same
one. Nothing of it changes the incident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...eventstore.bundle_format import Bundle
from ...projections.explanations import explain, explain_reply
from ...statemachine.errors import InputError
from ...statemachine.outcome import Settled
from ..replay.raised import Raised
from ..replay.reading import stimuli_of
from ..replay.replay import Step, divergence_of, run
from ..replay.telling import harmless, tell_one
from .expression import Expression
from .places import place_of
from .scene import Scene, fate
from .telling import account_diff, account_told, brought, effect_told, line_of, value_told
from .words import words_of

COUNT_MAX = 1_000_000
HELP = (
    ("next [N]", "the next record, or N records on"),
    ("previous [N]", "the record before, or N records back"),
    ("go POS", "a position such as 45, a version such as v12, `first` or `last`"),
    ("break EXPRESSION", 'stop there from now on: break state == "conflict"'),
    ("breaks", "the breakpoints with their numbers"),
    ("delete N", "forget a breakpoint"),
    ("continue", "on to the next breakpoint, or to the last record"),
    ("back", "back to the breakpoint before, or to the first record"),
    ("print EXPRESSION", "what it is here; of a question, whether it is so"),
    ("state [NAME]", "the account after this record, or of it what begins with NAME"),
    ("why [REPLY]", "the rule in a sentence, what was recorded; or what became of a reply"),
    ("diff POS POS", "where the states after two records differ"),
    ("list [N]", "the N records around this one"),
    ("help", "this"),
    ("quit", "the end; Ctrl-D too"),
)
_SHORT = {"n": "next", "p": "previous", "g": "go", "goto": "go", "b": "break", "c": "continue",
          "s": "state", "w": "why", "d": "diff", "l": "list", "h": "help", "?": "help",
          "q": "quit", "exit": "quit"}  # fmt: skip


class Ended(Exception):
    """The person at the stepper has seen enough."""


class Stepper:
    """Stands at one record of an incident; `do` takes a command and gives its answer."""

    def __init__(self, bundle: Bundle) -> None:
        self._steps: Sequence[Step] = list(run(stimuli_of(bundle), bundle.before))
        self._place = 0
        self._words = words_of(self._steps)
        self._breaks: dict[int, Expression] = {}
        self._number = 0
        self._settled: dict[str, tuple[int, Settled]] = {}
        for place, step in enumerate(self._steps):
            for reply, settled in step.decided.settled.items():
                self._settled.setdefault(reply, (place, settled))

    def do(self, line: str) -> list[str]:
        """Carry a command out; raises `InputError` for a bad one and `Ended` for the last."""
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            return []
        name = _SHORT.get(word, word)
        command = self._commands().get(name)
        if command is None:
            raise InputError(f"there is no command {word[:40]!a}", hint="`help` lists them")
        return command(rest.strip())

    def _commands(self) -> dict[str, Callable[[str], list[str]]]:
        return {
            "next": lambda rest: self._move(_count(rest)),
            "previous": lambda rest: self._move(-_count(rest)),
            "go": self._go,
            "break": self._break,
            "breaks": _alone(self._listed_breaks),
            "delete": self._delete,
            "continue": _alone(lambda: self._on(1)),
            "back": _alone(lambda: self._on(-1)),
            "print": self._print,
            "state": self._state,
            "why": self._why,
            "diff": self._diff,
            "list": self._list,
            "help": _alone(lambda: [f"{name:<18} {what}" for name, what in HELP]),
            "quit": _alone(_end),
        }

    def here(self) -> list[str]:
        """The record that it stands at: what came, what was decided, what is asked for."""
        step = self._steps[self._place]
        rows = [f"{self._place + 1} of {len(self._steps)}  (v{step.version})", line_of(step)]
        rows += [f"        with {brought(step.stimulus)}"]
        rows += [f"        asks for {effect_told(one)}" for one in step.decided.effects]
        rows += [
            f"        {reply} is {settled.outcome}" + (f": {settled.reason}" * bool(settled.reason))
            for reply, settled in step.decided.settled.items()
        ]
        return [harmless(row) for row in rows] + self._divergence()

    def _divergence(self) -> list[str]:
        found = divergence_of(self._steps[self._place])
        return [f"        diverges: {tell_one(found)}"] if found is not None else []

    def _scene(self, place: int) -> Scene:
        def settled(name: str) -> Settled | None:
            at, one = self._settled.get(name, (place + 1, None))
            return one if at <= place else None

        return Scene(self._steps[place], settled)

    # Moving

    def _move(self, count: int) -> list[str]:
        wanted = self._place + count
        self._place = max(0, min(len(self._steps) - 1, wanted))
        if wanted == self._place:
            return self.here()
        edge = "first" if wanted < 0 else "last"
        return [*self.here(), f"this is the {edge} record"]

    def _go(self, rest: str) -> list[str]:
        ends = {"first": 0, "last": len(self._steps) - 1}
        self._place = ends[rest] if rest in ends else place_of(rest, self._steps)
        return self.here()

    def _on(self, way: int) -> list[str]:
        """Move to the next record at which a breakpoint is true, or to the end."""
        place = self._place + way
        while 0 <= place < len(self._steps):
            scene = self._scene(place)
            for number, expression in self._breaks.items():
                if expression(scene):
                    self._place = place
                    return [harmless(f"breakpoint {number}: {expression.text}"), *self.here()]
            place += way
        self._place = len(self._steps) - 1 if way > 0 else 0
        return [*self.here(), f"no breakpoint up to the {'last' if way > 0 else 'first'} record"]

    # Breakpoints

    def _break(self, rest: str) -> list[str]:
        expression = Expression(rest, self._words)
        self._number += 1
        self._breaks[self._number] = expression
        return [harmless(f"breakpoint {self._number}: {expression.text}")]

    def _print(self, rest: str) -> list[str]:
        return value_told(Expression(rest, self._words).value(self._scene(self._place)))

    def _listed_breaks(self) -> list[str]:
        rows = [harmless(f"{number}: {one.text}") for number, one in self._breaks.items()]
        return rows or ["there are no breakpoints"]

    def _delete(self, rest: str) -> list[str]:
        number = _number(rest)
        if self._breaks.pop(number, None) is None:
            raise InputError(f"there is no breakpoint {number}", hint="`breaks` lists them")
        return self._listed_breaks()

    # Looking

    def _state(self, rest: str) -> list[str]:
        step = self._steps[self._place]
        rows = account_told(step.after, step.stimulus.at)
        found = [row for row in rows if row.startswith(rest)]
        if not found:
            raise InputError(f"nothing of it begins with {rest[:40]!a}", hint="`state` shows all")
        return found

    def _why(self, rest: str) -> list[str]:
        step = self._steps[self._place]
        if rest:
            return self._why_reply(rest)
        recorded = step.recorded.rule if step.recorded is not None else None
        if isinstance(step.decided, Raised):
            rows = [f"this code raised {step.decided.raised}", "so nothing was decided"]
            return [harmless(row) for row in [*rows, f"it was recorded as {recorded}"]]
        rows = [f"{step.decided.rule}: {explain(step.decided.rule)}"]
        after = step.after
        if after.state is not None:
            because = after.reason or after.cause
            rows.append(
                f"{after.controller} is {after.state.printed}"
                + (f", and the last cause was {because}" if because else "")
            )
        found = self._divergence()
        rows.append(found[0].strip() if found else f"it was recorded so: {recorded}")
        return [harmless(row) for row in rows]

    def _why_reply(self, name: str) -> list[str]:
        """The records up to here that touched a reply, and what became of it."""
        touched = [
            step
            for step in self._steps[: self._place + 1]
            if getattr(step.stimulus, "reply", None) == name
            or name in step.decided.settled
            or name in (step.decided.changes.get("replies") or {})
        ]
        one = fate(self._scene(self._place), name)
        if not touched or one.outcome is None:
            raise InputError("up to here there is no reply of this id", hint="look further on")
        rules = {step.decided.rule for step in touched}
        said = explain_reply(one.outcome, one.reason, rules)
        return [harmless(f"{name} is {one.outcome}. {said}"), *map(line_of, touched)]

    def _diff(self, rest: str) -> list[str]:
        places = rest.split()
        if len(places) != 2:
            raise InputError("diff takes two positions", hint="diff 45 48, or diff v12 v15")
        was, now = (self._steps[place_of(text, self._steps)].after for text in places)
        return account_diff(was, now)

    def _list(self, rest: str) -> list[str]:
        count = _count(rest or "11")
        first = max(0, self._place - count // 2)
        return [
            ("> " if place == self._place else "  ") + line_of(self._steps[place])
            for place in range(first, min(len(self._steps), first + count))
        ]


def _alone(answer: Callable[[], list[str]]) -> Callable[[str], list[str]]:
    def command(rest: str) -> list[str]:
        if rest:
            raise InputError("this command takes nothing behind it", hint="`help` shows how")
        return answer()

    return command


def _end() -> list[str]:
    raise Ended


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 0 < int(text) <= COUNT_MAX):
        raise InputError(f"{text[:40]!a} is no number from 1", hint="`help` shows how")
    return int(text)


def _count(text: str) -> int:
    return _number(text) if text else 1
