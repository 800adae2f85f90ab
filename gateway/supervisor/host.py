"""What a managed connection needs of the `Linewarden` that it belongs to."""

from __future__ import annotations

from typing import Any, Protocol

from ...projections.projections import Projections
from ...statemachine.account import Account
from ..router import Router


class Host(Protocol):
    """Observes, claims and routes, on the service's loop."""

    running: bool
    router: Router

    @property
    def projections(self) -> Projections:
        """The live view of the log."""
        ...

    def machine(self, account: str) -> Account:
        """The state on which the next decision is taken."""
        ...

    def standing(self, account: str, controller: str) -> tuple[int, float] | None:
        """The newest socket of a controller, and its `silence_s`; None where it is not newest."""
        ...

    def observe(self, account: str, name: str, **fields: Any) -> Any:
        """Record a stimulus; gives a receipt and never blocks."""
        ...

    def claim(
        self, account: str, controller: str | None = None, *, driver: Any = None, reason: str = ""
    ) -> Any:
        """Take the account for a new controller, for which the driver acts."""
        ...
