"""The managed connections of a service: which line acts for which account."""

from __future__ import annotations

from ...eventstore import decode
from ...eventstore.records import check_stream
from ...statemachine.errors import InputError
from ...statemachine.lifecycle import ENDS
from ...statemachine.stimuli import ServiceStarted
from ..hands import Hands
from ..receipt import Decided
from ..redaction import package_logger
from ..service import Service
from .host import Host
from .line import Line
from .session import files_of, files_of_log

_SAYS = ("stimulus", "timer", "code", "reason", "signal", "exit_code")
"""What a log line tells of the stimulus that changed the state."""

DETAIL_MAX = 120
"""Characters of what a library says that a log line keeps."""

log = package_logger("linewarden.supervisor")


class Lines:
    """Knows every line, and takes up what the log knows of its account."""

    def __init__(self, warden: Host, service: Service, log_path: str) -> None:
        self._warden = warden
        self._log_path = log_path
        self._service = service
        self._hands: Hands | None = None
        self._lines: dict[str, Line] = {}

    @property
    def all(self) -> list[Line]:
        """Every line, in the order in which they came."""
        return list(self._lines.values())

    def add(self, line: Line) -> Line:
        """Remember a line.

        Raises `InputError` where its account has one or can't be named so, and where its session
        would be a file of the log or of another session: a purge would delete both.
        """
        check_stream(line.account)
        taken = set(files_of_log(self._log_path))
        taken.update(
            *(files_of(one.session.path) for one in self.all if one.account != line.account)
        )
        if not taken.isdisjoint(files_of(line.session.path)):
            raise InputError(
                f"the session of account {line.account} is a file of the log or of another account",
                hint="give each account a session of its own",
            )
        if self._lines.setdefault(line.account, line) is not line:
            raise InputError(
                f"account {line.account} is managed already", hint="keep what manage() returned"
            )
        self._service.known.set_policy(line.account, line.settings.policy)
        return line

    # On the loop

    def bind(self, hands: Hands) -> None:
        """The lines act for what the log knows of their controllers, before anything is asked."""
        self._hands = hands
        for line in self.all:
            self._bind(line)

    def begin(self) -> None:
        """Claim what has to be claimed, once the service has started."""
        for line in self.all:
            self._begin(line)

    def take_up(self, line: Line) -> None:
        """Do the same, and start the service of this account, for a line that comes later."""
        self._bind(line)
        state = self._service.account(line.account)
        if state.holder is not None and self._service.mine(state):
            started = ServiceStarted(at=self._service.now(), holder=state.holder)
            self._service.observe(line.account, started)
        self._begin(line)

    def decided(self, decided: Decided) -> None:
        """A decision is in the log."""
        line = self._lines.get(decided.account)
        if line is None:
            return
        line.decided(decided)
        state = decided.outcome.changes.get("state")
        if state is not None:
            stimulus = decode(decided.record.body)["stimulus"]
            told = " ".join(str(stimulus[key]) for key in _SAYS if key in stimulus)
            detail = f" ({stimulus['detail']})" if "detail" in stimulus else ""
            told, rule = told + detail[:DETAIL_MAX], decided.outcome.rule
            log.info("account %s: %s on %s (%s)", decided.account, state.printed, told, rule)

    def _bind(self, line: Line) -> None:
        assert self._hands is not None
        state = self._service.account(line.account)
        for name in {state.controller, *(state.lingering or ())} - {None}:
            self._hands.bind(line.account, str(name), line)

    def _begin(self, line: Line) -> None:
        """Claim what nobody ever claimed, or another holder that is gone; never over an end."""
        state = self._service.account(line.account)
        if state.controller is None or (state.state not in ENDS and not self._service.mine(state)):
            self._warden.claim(line.account, driver=line, reason="start")
