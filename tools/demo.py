"""The main job, played: the incident of OpenClaw #85823 through the real service on a real file.

A 408, a restart 114 ms later, two replies captured on the old controller: they were lost then. Here
they are held, and leave once through the successor. Then the twist: the successor is logged in as
somebody else, and the captured reply is refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from ..eventstore import Record, decode, open_reader
from ..eventstore.verify import verify
from ..statemachine.errors import InputError
from ..statemachine.policy import NS
from .scenario_file import Scenario, read_scenario
from .scenario_judge import Result, differences
from .scenario_run import START, Run

PAUSE_S_MAX = 1.2
"""Real seconds between two events at the most: an hour of quiet is nobody's demonstration."""

Say = Callable[[str], Any]

_CHAPTERS = {
    "support": "1. The incident: the successor is the same number",
    "swapped": "2. The twist: the successor is somebody else's number",
}
_REPLIES = (("support", "text"), ("support", "media"), ("swapped", "twist"))


def play(path: str, speed: float, say: Say) -> tuple[dict[str, Any], list[str]]:
    """Play the demo on a new file at `path`; returns what happened, and what should not have."""
    with resources.as_file(resources.files(__package__) / "demo.jsonl") as file:
        scenario = read_scenario(file)
    _make_room(path)
    say("linewarden demo: OpenClaw #85823 (production trace, accelerated)")
    run = Run(scenario, path)
    try:
        _Player(run, speed, say).play(scenario)
        seen = Result(run).as_expect()
    finally:
        run.close()
    _show_replies(path, say)
    wrong = differences(scenario.header.expect, seen)
    for text in wrong:
        say(f"NOT AS EXPECTED: {text}")
    _show_what_to_try(path, say)
    return seen, wrong


def _make_room(path: str) -> None:
    """Begin with a new file; a file that is not from a demo is never touched."""
    place = Path(path)
    if place.exists() and place.parent.name != "demo" and "demo" not in place.name:
        raise InputError(
            f"{path} exists and may be somebody's log", hint="give --file a new name, or demo.db"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm", ".lock"):
        Path(str(place) + suffix).unlink(missing_ok=True)


class _Player:
    """Plays the lines with pauses, and tells each record as it is written."""

    def __init__(self, run: Run, speed: float, say: Say) -> None:
        self._run = run
        self._speed = speed
        self._say = say
        self._position = 0
        self._opened: set[str] = set()

    def play(self, scenario: Scenario) -> None:
        for line in scenario.lines:
            self._live_until(line.t)
            self._run.play(line)
            self._tell()
        self._live_until(scenario.until)

    def _live_until(self, seconds: float | int) -> None:
        """Go on from event to event, as fast as the viewer can follow."""
        while (at := self._run.next_event()) is not None and at < seconds:
            self._pause(at)
            self._run.advance(at)
            self._tell()
        self._pause(seconds)
        self._run.advance(seconds)
        self._tell()

    def _pause(self, seconds: float | int) -> None:
        if self._speed > 0:
            ahead = seconds - (self._run.clock.now() - START) / NS
            time.sleep(max(0.0, min(ahead / self._speed, PAUSE_S_MAX)))

    def _tell(self) -> None:
        for record in self._run.service.store.read_all(self._position):
            self._position = record.position
            if record.stream not in self._opened:
                self._opened.add(record.stream)
                self._say(f"\n{_CHAPTERS[record.stream]}\n")
            for text in _sentences(record):
                self._say(text)


def _sentences(record: Record) -> list[str]:
    """One line for the record, and one for each effect that a viewer should see."""
    content = decode(record.body)
    outcome, stimulus = content["outcome"], content["stimulus"]
    state = str(outcome.get("changes", {}).get("state", "")).replace("_", "-")
    if record.type == "socket_closed":
        return []
    at = (record.at - START) / NS
    who = stimulus.get("reply") or stimulus.get("controller") or ""
    told = record.type.replace("_", " ")
    code = f" {stimulus['code']}" if "code" in stimulus else ""
    timer = f" {stimulus['timer']}" if "timer" in stimulus else ""
    arrow = f"  → {state}" if state else ""
    lines = [f"{at:9.3f} s  {who:<10} {told + code + timer:<24} [{outcome['rule']}]{arrow}"]
    blank = " " * 23
    for name, settled in outcome.get("settled", {}).items():
        reason = f", {settled['reason']}" if "reason" in settled else ""
        lines.append(f"{blank}reply {name}: {settled['outcome'].upper()}{reason}")
    for effect in outcome.get("effects", ()):
        if effect["effect"] == "send":
            lines.append(f"{blank}effect: send {effect['reply']} through {effect['controller']}")
        elif effect["effect"] == "dial":
            lines.append(f"{blank}effect: dial {effect['controller']}")
    if outcome["rule"] == "reply.held":
        lines.append(f"{blank}held: no live controller; it wakes when there is one")
    return lines


def _show_replies(path: str, say: Say) -> None:
    from . import reading, tables

    reader = open_reader(path)
    try:
        for account in _CHAPTERS:
            say(f"\nThe timeline of {account}, from the log:\n")
            say(tables.timeline(reading.timeline(reader, account)))
        for account, reply in _REPLIES:
            say(f"\nWhy, for reply {reply} of {account}:\n")
            say(tables.why(reading.why(reader, account, reply=reply)))
        report = verify(reader)
        say(f"\nThe chain: {'intact' if report.ok else 'NOT INTACT'}, {report.records} records")
    finally:
        reader.close()


def _show_what_to_try(path: str, say: Say) -> None:
    command = "linewarden"
    if os.path.exists(".venv/bin/linewarden"):
        command = ".venv/bin/linewarden"
    say(f"\nThe log is in {path}. Try:\n")
    for words in (
        "status",
        "timeline --account support",
        "why --account swapped --reply twist",
        "gaps --account support",
        "verify",
    ):
        say(f"  {command} {words} --file {path}")
    say(f"  sqlite3 {path} 'select * from log limit 5'")
