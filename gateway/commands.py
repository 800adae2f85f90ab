"""The channel by which another process hands a command to the one that holds the log.

A Unix socket beside the log, `<log>.control`, that only its user and root may use. One line of JSON
goes in, a `Command` or an `Erasure`; one comes out: what `answer_of` makes of the decision, or an
`error` with a `hint`. The command is a stimulus like any other, so what it does stands in the log
and nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Annotated, Any, Literal

import msgspec

from ..eventstore.records import check_stream
from ..projections.explanations import explain
from ..statemachine.errors import InputError, LinewardenError, shown
from ..statemachine.parsing import parse
from ..statemachine.stimuli import Token
from .control import address_of, connect, control_of
from .receipt import Decided, Receipt
from .redaction import package_logger

LINE_BYTES_MAX = 1 << 20
"""Bounds a line, and with it an erasure: some 40,000 tokens."""

REASON_LENGTH_MAX = 4_000
TOKENS_MAX = 1_000
"""Tokens that one record may erase; more are erased by several, in the same commit."""

CLIENTS_MAX = 8
SPEAK_S = 5.0
"""How long a client may take to say what it wants."""

ANSWER_S = 10.0
"""How long a command may take to be on disk."""

END_S = 1.0
"""How long an end waits for commands that are under way."""

GRANTED = frozenset(
    "restart.granted relink.granted release.hold release.conflict stop.closed stop.ended".split()
)
"""The rules by which a command is done, or was done already; all others refuse it."""

_PATIENCE = "it may still be taken up: `linewarden timeline` shows whether it was"

log = package_logger("linewarden.commands")


Asked = tuple[str, str, dict[str, Any]]
"""An account, a stimulus, and what it says."""


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="command"):
    """What an operator wants of an account. `reason` is free text."""

    account: str
    stimulus: Literal[
        "restart_requested", "stop_requested", "release_requested", "relink_requested"
    ]
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LENGTH_MAX)] | None = None

    def __repr__(self) -> str:
        return f"Command({self.stimulus})"

    @property
    def asked(self) -> list[Asked]:
        """What is to be observed; whoever may use the channel is an operator."""
        said = {"by": "operator", "source": "operator", "reason": self.reason}
        return [(self.account, self.stimulus, said)]


class Erasure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="erasure"):
    """Tokens that are to be erased, by the accounts that hold them: of all of these at once."""

    held: dict[str, list[Token]]

    @property
    def asked(self) -> list[Asked]:
        """What is to be observed, of an account with very many tokens several times."""
        return [
            (name, "subject_erased", {"source": "operator", "tokens": tokens[n : n + TOKENS_MAX]})
            for name, tokens in self.held.items()
            for n in range(0, len(tokens), TOKENS_MAX)
        ]


_COMMANDS = msgspec.json.Decoder(Command | Erasure)


def command_of(account: str, stimulus: str, reason: str | None = None) -> Command:
    """A command that is understood; raises `InputError`, and never shows the reason."""
    check_stream(account)
    given = {"type": "command", "account": account, "stimulus": stimulus, "reason": reason}
    try:
        command = msgspec.convert(given, Command)
    except msgspec.ValidationError as error:
        raise InputError(
            f"the command is not understood: {shown(str(error))}",
            hint=f"a reason has at most {REASON_LENGTH_MAX:,} characters",
        ) from None
    for _, name, said in command.asked:
        parse({"stimulus": name, **said})
    return command


def answer_of(decided: Decided) -> dict[str, Any]:
    """What became of a command, as data: what was decided and why, and which record says so."""
    rule = decided.outcome.rule
    return {
        "account": decided.account,
        "rule": rule,
        "granted": rule in GRANTED,
        "explanation": explain(rule),
        "state": decided.record.state,
        "position": decided.record.position,
        "version": decided.record.version,
    }


class CommandServer:
    """Takes commands on the loop of the service that holds the log.

    `take(account, stimulus, fields)` observes one, as `Linewarden.observe` does. Where the system
    allows no socket beside the log a warning says so, and everything else goes on.
    """

    def __init__(
        self,
        log_path: str | os.PathLike[str],
        take: Callable[[str, str, dict[str, Any]], Receipt],
    ) -> None:
        self._path = control_of(log_path)
        self._take = take
        self._open = ExitStack()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Only for the one who holds the log's lock: an older socket is a dead one's."""
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, sock=self._bound(), limit=LINE_BYTES_MAX
            )
        except OSError as error:
            self._open.close()
            log.warning(
                "no commands are taken from other processes: the socket beside the log can't be "
                "made (%s); put the log where sockets can be, under a shorter name",
                error.strerror or error,
            )

    async def end(self) -> None:
        """Take nothing new, and answer what is under way."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        if self._clients:
            _, late = await asyncio.wait(self._clients, timeout=END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._open.close()

    def _bound(self) -> socket.socket:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.lstat(self._path).st_mode):
                os.unlink(self._path)
        address = self._open.enter_context(address_of(self._path))
        listener = self._open.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(address)
        os.chmod(self._path, 0o600)  # nobody can connect before it listens
        return listener

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            answer = await self._answer(reader, writer)
            writer.write(msgspec.json.encode(answer) + b"\n")
        except OSError:  # it said nothing in time, or is gone
            return
        finally:
            self._clients.discard(task)
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> dict[str, Any]:
        try:
            # Read first: a socket that is closed with words unread takes its answer back.
            async with asyncio.timeout(SPEAK_S):
                line = await _line(reader)
            if len(self._clients) > CLIENTS_MAX:
                raise LinewardenError("too many commands at once", hint="try again in a moment")
            if _peer_uid(writer.get_extra_info("socket")) not in (0, os.geteuid()):
                raise LinewardenError(
                    "commands are taken only from the user that the gateway runs as",
                    hint="run the command as that user",
                )
            return answer_of(await self._decided(line))
        except LinewardenError as error:
            return {"error": error.message, "hint": error.hint}
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may be personal: only its type is told
            log.error("a command failed: %s", type(error).__name__)
            return {"error": "the command failed", "hint": "look at the log of the gateway"}

    async def _decided(self, line: bytes) -> Decided:
        try:
            command = _COMMANDS.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(
                f"the command is not understood: {shown(str(error))}",
                hint="use the `linewarden` of the same version as the gateway's",
            ) from None
        for account, _, _ in command.asked:
            check_stream(account)  # all are looked at before any is taken
        # In one turn of the loop, so that they share a transaction.
        receipts = [self._take(*one) for one in command.asked]
        if not receipts:
            raise InputError("the command concerns no account", hint="name one")
        try:
            async with asyncio.timeout(ANSWER_S):
                return [await receipt for receipt in receipts][-1]
        except TimeoutError:
            raise LinewardenError("the command is not in the log yet", hint=_PATIENCE) from None


def hand_over(
    log_path: str | os.PathLike[str], command: Command | Erasure
) -> dict[str, Any] | None:
    """Hand a command to the process that holds the log; None where nobody takes any.

    Gives what `answer_of` says. Raises `LinewardenError` where it was refused a hearing or no
    answer came; each has a hint.
    """
    line = msgspec.json.encode(command) + b"\n"
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(SPEAK_S + ANSWER_S)
        if not connect(channel, control_of(log_path)):
            return None
        if len(line) > LINE_BYTES_MAX:
            raise InputError(
                "it is too much for a gateway that runs", hint="stop the gateway, and do it then"
            )
        try:
            channel.sendall(line)
            with channel.makefile("rb") as answers:
                answer = msgspec.json.decode(answers.readline(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError):
            raise LinewardenError(
                "the process that holds the log gave no answer", hint=_PATIENCE
            ) from None
    if "error" in answer:
        raise LinewardenError(answer["error"], hint=answer["hint"])
    return answer


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:
        raise InputError("the command is too long", hint="say less in one command") from None


def _peer_uid(channel: Any) -> int:
    """The user at the other end; where a system doesn't tell, the file's mode has kept others out.

    Root is let in too: in a container it is often who runs the command.
    """
    if sys.platform != "linux":
        return os.geteuid()
    size = struct.calcsize("iII")
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = struct.unpack("iII", credentials)[1]
    return uid
