"""The last check before a write: is this controller live, now, for the identity of the capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..statemachine.account import Account
from ..statemachine.identity import Identity, completed, overlap
from ..statemachine.outcome import Send
from .driver import Outgoing

if TYPE_CHECKING:
    from .router import Router
    from .service import Service


def outgoing_of(service: Service, router: Router, account: str, effect: Send) -> Outgoing | None:
    """What to write for a send effect; None where the controller must not write it any more."""
    state = service.account(account)
    reply = (state.replies or {}).get(effect.reply)
    if reply is None or reply.via != effect.controller or state.controller != effect.controller:
        return None
    if not router.has_message(account, effect.reply):
        return None
    if not state.live or not overlap(reply.captured, state.identity, state.links):
        return None
    identity = completed(reply.captured or Identity(), state.links)
    tokens = {"pn": identity.pn, "lid": identity.lid}
    forms = {kind: service.tokens.reveal(token) for kind, token in tokens.items() if token}
    chat = service.tokens.reveal(effect.chat)
    if chat is None:
        return None
    return Outgoing(
        account=account,
        controller=effect.controller,
        reply=effect.reply,
        chat=chat,
        message=router.message_of(account, effect.reply),
        identity={kind: form for kind, form in forms.items() if form is not None},
    )


def guarded_target(state: Account, captured_on: str | None) -> str | None:
    """The live controller for what was captured on a controller, or None."""
    if not state.live:
        return None
    if captured_on is not None:
        retired = (state.retired or {}).get(captured_on)
        captured = state.proven if captured_on == state.controller else retired
        if not overlap(captured, state.identity, state.links):
            return None
    return state.controller
