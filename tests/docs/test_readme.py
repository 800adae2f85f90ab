"""The README is true: its examples run, its commands exit as it says, its picture is the table."""

import asyncio
import functools
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from linewarden import Linewarden
from linewarden.eventstore import decode, open_reader
from linewarden.tools.chart import chart

from .pages import ROOT, Command, Line, block, documented, text_of

README = "README.md"
EMBEDDING_LINES_MAX = 15
CHAT = "15550100009@s.whatsapp.net"
OURS, THEIRS = "15550100001@s.whatsapp.net", "15550100002@s.whatsapp.net"
WAIT_S = 20.0


class Engine:
    """A scripted WhatsApp side: a message comes in, and the socket drops while the bot thinks."""

    def __init__(self, *numbers: str) -> None:
        self.numbers = list(numbers)
        self.sent: list[tuple[str, Any]] = []
        self.inbox: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.loop = asyncio.get_running_loop()
        self.seen: Callable[..., Any] = lambda _: None

    def connect(self, seen: Callable[..., Any]) -> None:
        self.seen = seen
        seen("opened")
        seen("identity_observed", forms={"pn": self.numbers.pop(0)})
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, (CHAT, "Is it open today?"))

    async def messages(self) -> AsyncIterator[tuple[str, str]]:
        yield await self.inbox.get()

    async def think(self, _question: str) -> str:
        self.seen("closed", code=408)
        return "Until six."

    def send(self, chat: str, message: Any) -> str:
        self.sent.append((chat, message))
        return "3EB0"


def rules_of(path: Path) -> list[str]:
    reader = open_reader(path)
    try:
        return [decode(record.body)["outcome"]["rule"] for record in reader.read_all()]
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("successor", "outcome", "writes"),
    [(OURS, "sent", 1), (THEIRS, "refused", 0)],
    ids=["the same number", "another number"],
)
def test_the_embedding_example_runs(
    successor: str,
    outcome: str,
    writes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The example for any engine brings a reply over a drop of the socket, or has it refused."""
    monkeypatch.chdir(tmp_path)
    hasty = functools.partial(Linewarden.open, policy={"initial_s": 0.01})
    monkeypatch.setattr(Linewarden, "open", hasty)
    example: dict[str, Any] = {}
    exec(compile(block(README, "python any-engine"), "README.md", "exec"), example)

    async def serve() -> Engine:
        engine = Engine(OURS, successor)
        await asyncio.wait_for(example["serve"](engine, engine.think), WAIT_S)
        return engine

    engine = asyncio.run(serve())
    assert f"outcome='{outcome}'" in capsys.readouterr().out
    assert engine.sent == [(CHAT, "Until six.")] * writes
    rules = rules_of(tmp_path / "linewarden.db")
    assert rules.index("close.transient.retry") < rules.index("reply.held")


def test_the_example_for_neonize_runs(tmp_path: Path) -> None:
    """A message comes in on an attached client, and the answer leaves through it."""
    example = tmp_path / "example.py"
    example.write_text(block(README, "python neonize"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, ROOT / "tests/docs/scripted_client.py", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[CHAT, "We are on it."]]
    rules = rules_of(tmp_path / "linewarden.db")
    assert "identity.proven" in rules and "reply.sending" in rules


def test_the_embedding_example_is_short() -> None:
    """A gateway of one's own is attached in at most 15 lines."""
    lines = [line for line in block(README, "python any-engine").splitlines() if line.strip()]
    assert len(lines) <= EMBEDDING_LINES_MAX


def test_commands_do_what_the_readme_says(demo: tuple[Path, str], command: Command) -> None:
    """Every command line of the README exits as it says, and prints what it shows."""
    wrong: list[str] = []
    shown: list[Line] = documented()
    assert len(shown) > 10
    for line in shown:
        done = command(line.command)
        rest = iter(done.stdout.splitlines())
        if done.returncode != line.code or not all(row in rest for row in line.output):
            wrong.append(f"{line.command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    assert not wrong, "\n".join(wrong)


def test_the_demo_prints_what_the_readme_shows(demo: tuple[Path, str]) -> None:
    """The excerpt in the README is what the demo prints, in that order."""
    rest = iter(demo[1].splitlines())
    missing = [row for row in block(README, "text demo").splitlines() if row not in rest]
    assert not missing, "\n".join(missing)


def test_the_picture_is_the_table() -> None:
    """The chart in the README is drawn from the transition table as it is."""
    found = re.search(r"<!-- chart:begin -->\n(.*?)<!-- chart:end -->", text_of(README), re.DOTALL)
    assert found is not None
    drawn = chart().strip()
    fenced = drawn if drawn.startswith("```") else f"```mermaid\n{drawn}\n```"
    assert found[1].strip() == fenced


def test_the_targets_of_make_are_there() -> None:
    """Every target of make that a document names is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    pages = [README, "docs/performance.md", "docs/architecture.md"]
    named = {target for page in pages for target in re.findall(r"\bmake ([a-z]+)", text_of(page))}
    assert {"demo", "test"} <= named & targets
    assert named <= targets, named - targets


def test_the_wheel_shows_the_readme() -> None:
    """The README is the description of the package, so it has to be where the package says."""
    assert 'readme = "README.md"' in text_of("pyproject.toml")
    assert (ROOT / README).read_text(encoding="utf-8").startswith("# linewarden\n")
