"""A stage: the real `Linewarden` on a real file, real workers, and puppets in them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from linewarden.eventstore import decode, open_reader
from linewarden.gateway.supervisor.line import Line
from linewarden.gateway.supervisor.line_settings import LineSettings
from linewarden.gateway.warden import Linewarden

from .strings import WAIT_S, Puppet, Strings, wait_until

QUICK = {
    "initial_s": 0.02, "factor": 1, "max_s": 0.02, "jitter": 0, "fast_attempts": 1000,
}  # fmt: skip
"""A ladder without patience."""

STOP_S = 5.0
"""How long a stop may take."""


class Told(NamedTuple):
    """One record: the stimulus, the rule, the state after it, and what was asked for."""

    stimulus: dict[str, Any]
    rule: str
    state: str | None
    effects: list[dict[str, Any]]
    changes: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.stimulus["stimulus"])


class Stage:
    """What a test plays on: accounts with their strings, in one service at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "linewarden.db"
        self.warden: Any = None
        self.strings: dict[str, Strings] = {}
        self.lines: list[Line] = []
        self._stack = ExitStack()
        self._reader: Any = None

    def open(self, **policy: Any) -> Linewarden:
        """Start the service, with a quick ladder."""
        opened = Linewarden.open(self.path, policy={**QUICK, **policy})
        self.warden = self._stack.enter_context(opened)
        if self._reader is None:
            self._reader = open_reader(self.path)
        return opened

    def end(self) -> None:
        """End the service, which takes no longer than it may, whatever its workers do."""
        begun = time.monotonic()
        self._stack.close()
        assert time.monotonic() - begun < STOP_S

    def close(self) -> None:
        """End the service; a worker that outlives it is an orphan."""
        self.end()
        for strings in self.strings.values():
            wait_until(lambda strings=strings: not strings.alive, 5)

    def drop(self) -> None:
        """End whatever is left, however the test went."""
        try:
            self._stack.close()
        finally:
            if self._reader is not None:
                self._reader.close()
            for strings in self.strings.values():
                strings.__exit__()

    def string(self, account: str = "main") -> Strings:
        """The strings of an account; they stay over services."""
        if account not in self.strings:
            self.strings[account] = Strings().__enter__()
        return self.strings[account]

    def session(self, account: str = "main") -> Path:
        return self.folder / f"{account}.session"

    def manage(self, account: str = "main", **how: Any) -> Line:
        """Manage an account with puppets, or with `worker=None` with the real client."""
        names = set(LineSettings.__struct_fields__)
        settings = {key: how.pop(key) for key in list(how) if key in names}
        worker = how.pop("worker", self.string(account).command)
        line: Line = self.warden.manage(
            account,
            LineSettings(**{"session": str(self.session(account)), **settings}),
            **({"worker": worker} if worker else {}),
            **how,
        )
        self.lines.append(line)
        return line

    def live(self, account: str = "main", number: int = 0) -> Puppet:
        """The worker with this number, once the account is live through it."""
        puppet = self.string(account).puppet(number)
        self.wait_state("connected", account)
        wait_until(lambda: self.warden.projections.live(account))
        return puppet

    def told(self, account: str = "main", name: str | None = None) -> list[Told]:
        """The records of an account, or those of one stimulus."""
        told = []
        for record in self._reader.read_stream(account):
            content = decode(record.body)
            outcome = content["outcome"]
            told.append(
                Told(
                    content["stimulus"], outcome["rule"], record.state,
                    outcome.get("effects", []), outcome.get("changes", {}),
                )
            )  # fmt: skip
        return [one for one in told if name in (None, one.name)]

    def wait_told(self, name: str, account: str = "main", count: int = 1) -> list[Told]:
        """Wait until a stimulus stands in the log so often."""
        wait_until(lambda: len(self.told(account, name)) >= count)
        return self.told(account, name)

    def state(self, account: str = "main") -> str | None:
        told = self.told(account)
        return told[-1].state if told else None

    def wait_state(self, state: str, account: str = "main") -> None:
        wait_until(lambda: self.state(account) == state)

    def observe(self, name: str, account: str = "main", **fields: Any) -> Any:
        """Record a stimulus, such as a command, and wait until it stands in the log."""
        return self.warden.observe(account, name, **fields).result(WAIT_S)

    def reply(self, text: str, account: str = "main", chat: str = "15550100002", **how: Any) -> Any:
        """Submit a reply; gives its handle."""
        return self.warden.router.reply(account, f"{chat}@s.whatsapp.net", text, **how)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    try:
        yield made
        made.close()
    finally:
        made.drop()


@pytest.fixture
def processes() -> Callable[[str], list[int]]:
    """Numbers the processes that have a word in their command and are not over."""

    def found(word: str) -> list[int]:
        numbers = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue  # it ended as it was looked at
            if word in command:
                numbers.append(int(folder.name))
        return numbers

    return found
