"""What a gateway implements so that linewarden can act: effects as plain method calls.

Every method may be a plain function, which then runs in a thread, or a coroutine function. A driver
implements what it needs; the rest does nothing.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from ..statemachine.errors import LinewardenError

log = logging.getLogger("linewarden.driver")


class NotSent(LinewardenError):
    """The message provably did not leave: it may be written again."""


class IdentityMismatch(NotSent):
    """The connection that was about to write is logged in as somebody else."""


class SendRejected(LinewardenError):
    """The server refused the message: it is not written again."""


def checked_text(text: str) -> str:
    """The text of a message; raises `SendRejected` where half a character stands in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SendRejected(
            "the text of the message holds half a character", hint="give text that is Unicode"
        ) from None
    return text


class Outgoing(msgspec.Struct, frozen=True):
    """One reply to write. `chat` and `identity` are real values: they belong in no log.

    `identity` holds the forms (`pn`, `lid`) that the connection must be logged in as; a driver that
    can ask its client checks them once more at the moment of the write.
    """

    account: str
    controller: str
    reply: str
    chat: str
    message: Any
    identity: dict[str, str]

    def __repr__(self) -> str:
        return f"Outgoing({self.account}, {self.controller}, {self.reply})"


class Driver:
    """The hands of a controller. Subclass it and override what your gateway can do."""

    @property
    def target(self) -> Any:
        """What a callable message or operation is given: the client; by default the driver."""
        return self

    def dial(self, controller: str, socket: int) -> Any:
        """See that exactly one attempt to connect is under way.

        It may block for as long as it is connected: it has a thread of its own. What it comes to is
        observed: `opened`, or `dial_failed`, with this socket.
        """

    def close_socket(self, controller: str, socket: int, force: bool) -> Any:
        """Close the socket, and observe `socket_closed` once it is; `force`: by any means left.

        A successor waits for that, `handover_s` (15 s) at most.
        """

    def purge(self, controller: str) -> Any:
        """Delete the session of a logged-out controller, and observe `session_purged`."""

    def claim(self, account: str, reason: str) -> Any:
        """Start a successor for the account and claim it."""

    def notify(self, account: str, controller: str, notice: str) -> Any:
        """Tell an operator; a notice may come twice after a crash. By default it is logged."""
        log.warning("account %s, controller %s: notice %s", account, controller, notice)

    def send(self, outgoing: Outgoing) -> Any:
        """Write one message and return its id, or None.

        Raise `NotSent` where it provably did not leave and `SendRejected` where the server refused
        it; any other exception leaves the reply uncertain, and it is never written again.
        """
        raise NotSent("the driver can't send", hint="override Driver.send in your gateway")

    def check(self, outgoing: Outgoing) -> None:
        """Look once more, right before the write, whether the client is still that identity.

        Called in the thread of the write; raise `IdentityMismatch` or `NotSent` where it is not.
        """

    def judge(self, error: Exception) -> Exception:
        """What an exception of a callable message proves: `NotSent`, `SendRejected`, or nothing.

        A callable message is given the client and raises the client's own exceptions.
        """
        return error
