"""Where a command is carried out: by whoever holds the log, or here where nobody does."""

from __future__ import annotations

from typing import Any

from ..eventstore import open_store
from ..eventstore.errors import StoreLocked, StoreUnavailable
from ..gateway.clock import SystemClock
from ..gateway.commands import Command, Erasure, answer_of, hand_over
from ..gateway.dice import Dice
from ..gateway.receipt import Decided
from ..gateway.service import Service
from ..statemachine.errors import LinewardenError


def carry_out(path: str, command: Command | Erasure, name: str) -> dict[str, Any]:
    """What became of a command; `running` says whether somebody holds the log and acts on it.

    Where nobody does it is recorded and nothing more: what it asks for is left to the next run.
    `name` tells others who holds the log meanwhile. Raises `LinewardenError`.
    """
    answer = hand_over(path, command)
    if answer is not None:
        return {**answer, "running": True}
    try:
        store = open_store(path, name=f"linewarden {name}")
    except StoreLocked as error:
        raise LinewardenError(
            f"{error.message}, which takes no commands",
            hint="if it has just started, try again; a gateway takes commands where it is opened "
            "with commands=True, as `linewarden run` does",
        ) from None
    try:
        service = Service(store, holder=None, clock=SystemClock(), dice=Dice())
        return {**answer_of(_recorded(service, command)), "running": False}
    finally:
        store.close()


def _recorded(service: Service, command: Command | Erasure) -> Decided:
    """The newest decision of those that a command asks for, all in one transaction."""
    answers: list[Decided | Exception] = []
    for account, stimulus, said in command.asked:
        clean = service.check(account, {"at": service.now(), "stimulus": stimulus, **said})
        service.observe(account, service.admit(clean), answers.append)
    while len(answers) < len(command.asked):
        service.flush()
        if service.behind and len(answers) < len(command.asked):
            raise StoreUnavailable("the store can't be written", hint="look at its disk, try again")
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    newest = answers[-1]
    assert isinstance(newest, Decided)
    return newest
