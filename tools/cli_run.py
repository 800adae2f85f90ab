"""`linewarden run`: the service, the connections of its accounts and their bots, until a signal."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from contextlib import closing
from functools import partial
from queue import SimpleQueue

import click
from msgspec.structs import replace

from ..gateway.redaction import RedactingFilter, package_logger
from ..gateway.supervisor.bot import load_bot
from ..gateway.supervisor.session import Session
from ..gateway.supervisor.settings import LineSettings, read_settings
from ..gateway.warden import Linewarden
from ..statemachine.account import Account
from ..statemachine.errors import LinewardenError
from ..statemachine.lifecycle import ENDS, State
from .cli_shape import DEFAULT_FILE, clear_errors, examples
from .doctor_machine import look_at_neonize
from .pairing import Screen, ask_number

ADVICE = {
    "conflict": "Another client took the session of account {account}: end that one, and then "
    "take the session back with `{release}`.",
    "logged_out": "WhatsApp logged account {account} out: take the phone and link the device anew "
    'with `{relink}`, unless relink = "auto" does it by itself.',
    "gave_up": "Account {account} could not be connected and is not dialed any more: `{why}` says "
    "what failed; begin again with `{start}`.",
    "rejected": "WhatsApp rejected the login of account {account}: `{why}` says how; upgrade "
    "linewarden, and begin again with `{start}`.",
    "forbidden": "WhatsApp forbids account {account} to connect: look on its phone what is asked "
    "of it, and begin again with `{start}`.",
    "pairing_failed": "Account {account} was not paired: have the phone at hand, begin again with "
    "`{start}`, and use the newest code.",
    "banned": "WhatsApp banned account {account} for a time: do nothing, it dials by itself when "
    "the ban is over; `{why}` says until when.",
    "outdated": "WhatsApp refuses this version of the library for account {account}: upgrade "
    "linewarden and run it again; until then it tries again from time to time.",
    "gap": "Account {account} has had no connection for a while and goes on trying: look at the "
    "network and the proxy; `{why}` says what failed.",
}
"""What to do on each notice."""

_BEGINS = {State.LOGGED_OUT: "relink", State.CONFLICT: "release", State.CLOSED: "start"}

log = package_logger("linewarden.run")


@click.command(
    epilog=examples(
        "linewarden run --account support",
        "linewarden run --account support --bot linewarden.tools.echo:answer --pairing code",
        "linewarden run --config linewarden.toml --log-level WARNING",
    )
)
@click.option(
    "--account", "-a", "accounts", multiple=True, help="Run this account; all of the file if none."
)
@click.option("--config", "-c", default=None, help="Settings, a TOML file; see docs/operating.md.")
@click.option(
    "--file", "-f", "path", default=None, help=f"The log; {DEFAULT_FILE} if no setting says so."
)
@click.option("--bot", default=None, help="Who answers messages: module:function.")
@click.option(
    "--pairing", type=click.Choice(["qr", "code"]), default=None, help="How a device is linked."
)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="What is told on standard error.",
)
@clear_errors
def run(
    accounts: tuple[str, ...],
    config: str | None,
    path: str | None,
    bot: str | None,
    pairing: str | None,
    log_level: str,
) -> None:
    """Own the WhatsApp connections of accounts: dial, pair, reconnect and answer, until Ctrl-C.

    Exit code 0 after Ctrl-C or SIGTERM, which end it within 5 s; a second one ends it at once. 2
    on bad input, or where it can't begin.
    """
    _log_to_stderr(log_level)
    environ = {**os.environ, **({"LINEWARDEN_LOG": path} if path is not None else {})}
    settings = read_settings(config, environ, accounts)
    given = {key: value for key, value in (("bot", bot), ("pairing", pairing)) if value}
    lines = {name: replace(line, **given) for name, line in settings.accounts.items()}
    for line in lines.values():
        if line.bot:
            load_bot(line.bot)
        Session(line.session).prepare()
    _look_at_worker()
    screen = Screen(sys.stdout)
    opened = Linewarden.open(
        settings.log,
        holder=settings.holder,
        policy=settings.policy,
        commands=True,
        anchor_sink=settings.anchor_sink,
        anchor_key=settings.anchor_key,
    )
    with closing(opened) as warden:
        for name, line in lines.items():
            view = warden.projections.account(name)
            machine = view.machine if view is not None else Account()
            _tell_of_end(name, machine, settings.log)
            warden.manage(
                name,
                _with_number(name, line, machine),
                on_code=partial(screen.show, name),
                on_notice=partial(_tell, settings.log),
            )
        signals = _signals()
        with warden:
            log.info("linewarden runs %s; Ctrl-C or SIGTERM ends it", ", ".join(lines))
            log.info("linewarden ends on %s", signals.get().name)
    log.info("linewarden has ended")


def _log_to_stderr(level: str) -> None:
    """Log on standard error, whoever logs, the bot included: nothing personal passes."""
    handler = logging.StreamHandler()
    handler.addFilter(RedactingFilter())
    logging.basicConfig(
        level=level, format="%(asctime)s %(levelname)s %(message)s", handlers=[handler]
    )


def _look_at_worker() -> None:
    """Refuse to begin where no worker can: every dial would fail."""
    finding = look_at_neonize(os.environ)
    if finding.level == "bad":
        raise LinewardenError(f"no worker can run here: {finding.found}", hint=finding.advice)


def _with_number(account: str, line: LineSettings, machine: Account) -> LineSettings:
    """The settings with the number to pair by code, asked for where it is needed and missing."""
    linked = machine.known is not None and machine.state is not State.LOGGED_OUT
    if line.pairing != "code" or line.pair_phone is not None or linked:
        return line
    return replace(line, pair_phone=ask_number(account))


def _tell_of_end(account: str, machine: Account, path: str) -> None:
    """Say of an account that ended which command begins again, unless one was given already."""
    if machine.state in ENDS and machine.claim is None:
        command = _command(_BEGINS[machine.state], account, path)
        reason = f" ({machine.reason})" if machine.reason else ""
        _say(
            f"Account {account} ended earlier, in {machine.state.printed}{reason}, and is not "
            f"begun again by a start: run `{command}` beside this."
        )


def _tell(path: str, account: str, controller: str, notice: str) -> None:
    """Tell an operator what to do on a notice; the notice itself is in the log by now."""
    del controller
    begin = {word: _command(word, account, path) for word in _BEGINS.values()}
    why = _command("why --account", account, path)
    _say(ADVICE[notice].format(account=account, why=why, **begin))


def _command(words: str, account: str, path: str) -> str:
    """A command on this account and this log, as it is typed in the folder of this process."""
    file = f" --file {shlex.quote(path)}" if path != os.path.realpath(DEFAULT_FILE) else ""
    return f"linewarden {words} {account}{file}"


def _say(sentence: str) -> None:
    """Not by a logger: what is redacted by its shape may be a part of a path."""
    click.echo(sentence, err=True)


def _signals() -> SimpleQueue[signal.Signals]:
    """Where the signal that ends the service arrives; the next one ends the process at once."""
    arrived: SimpleQueue[signal.Signals] = SimpleQueue()  # the one that a handler may put into
    endings = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup sets it
        endings.append(signal.SIGHUP)

    def take(number: int, _frame: object) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that closes sends it twice
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.SIG_DFL)
        arrived.put(signal.Signals(number))

    for ending in endings:
        signal.signal(ending, take)
    return arrived
