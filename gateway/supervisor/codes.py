"""Codes to pair with, on their way to whoever shows them: secrets that go nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from ..redaction import package_logger
from ..threads import in_thread

log = package_logger("linewarden.supervisor")


class Codes:
    """Hands the codes of an account to `on_code(kind, value)`, in a thread: it may take its time.

    `pairing` is the kind that the settings want; a QR comes in the place of a code to type in
    where no number was given to ask one for.
    """

    def __init__(
        self, account: str, pairing: str, on_code: Callable[[str, str], Any] | None
    ) -> None:
        self._account = account
        self._pairing = pairing
        self._on_code = on_code

    async def show(self, kind: str, value: str) -> None:
        """Have a code shown; what goes wrong with that is logged by its type only."""
        if self._on_code is None:
            log.warning("account %s waits to be paired: give manage() an on_code", self._account)
            return
        if kind != self._pairing:
            log.warning("account %s: there is no pair_phone to pair by code", self._account)
        try:
            shown = await in_thread(asyncio.get_running_loop(), self._on_code, kind, value)
            if isawaitable(shown):
                await shown
        except Exception as error:  # noqa: BLE001 - it is the gateway's, and may quote the code
            name = type(error).__name__
            log.error("account %s: the code could not be shown: %s", self._account, name)
