"""linewarden: the lifecycle of WhatsApp connections as an event-sourced state machine.

This face is light: what it names is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linewarden.gateway.driver import Driver, IdentityMismatch, NotSent, Outgoing, SendRejected
    from linewarden.gateway.receipt import ReplyResult
    from linewarden.gateway.router import Skipped
    from linewarden.gateway.supervisor.inbound import Message
    from linewarden.gateway.supervisor.line_settings import LineSettings
    from linewarden.gateway.warden import Linewarden
    from linewarden.statemachine.errors import InputError, LinewardenError

_HOMES = {
    "Driver": "gateway.driver",
    "IdentityMismatch": "gateway.driver",
    "InputError": "statemachine.errors",
    "LineSettings": "gateway.supervisor.line_settings",
    "Linewarden": "gateway.warden",
    "LinewardenError": "statemachine.errors",
    "Message": "gateway.supervisor.inbound",
    "NotSent": "gateway.driver",
    "Outgoing": "gateway.driver",
    "ReplyResult": "gateway.receipt",
    "SendRejected": "gateway.driver",
    "Skipped": "gateway.router",
}

__all__ = [
    "Driver",
    "IdentityMismatch",
    "InputError",
    "LineSettings",
    "Linewarden",
    "LinewardenError",
    "Message",
    "NotSent",
    "Outgoing",
    "ReplyResult",
    "SendRejected",
    "Skipped",
]


def __getattr__(name: str) -> Any:
    """Load a name from its home at its first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'linewarden' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"linewarden.{home}"), name)
