"""The puppet with more to it: `puppet_odd.py STRINGS WHAT R W`, where WHAT is `whole` or `unmade`.

What a chat is shown goes through the real methods of the client, down to what the Go library would
be called with. `unmade` is a client that can't be made.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from linewarden.gateway.worker.__main__ import main

REFUSING = "15550100013"
"""A chat that can't be shown anything."""


def command(path: str, what: str = "whole") -> tuple[str, ...]:
    """The command of such a worker, hanging on the strings with this path."""
    return (sys.executable, "-P", __file__, path, what)


def _puppet(path: str) -> Any:
    place = Path(__file__).with_name("puppet.py")
    spec = importlib.util.spec_from_file_location("puppet", place)
    assert spec is not None and spec.loader is not None
    puppet: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(puppet)
    puppet.hand = puppet.Hand(path)
    return puppet


def _made(puppet: Any, session: str, uuid: str) -> Any:
    """A client of the real kind; where the Go library is called, it tells the test instead."""
    neonize, say = puppet.neonize(), puppet.hand.say

    def chat_of(raw: bytes, size: int) -> str:
        jid = neonize.proto.JID.FromString(raw[:size])
        return f"{jid.User}@{jid.Server}"

    def show_typing(_: bytes, raw: bytes, size: int, state: int, media: int) -> bytes:
        chat = chat_of(raw, size)
        say("presence", chat=chat, state=state, media=media)
        return f"no presence for {chat}".encode() if chat.startswith(REFUSING) else b""

    def mark_read(*given: Any) -> bytes:
        _, ids, _, chat, chat_size, sender, sender_size, receipt = given
        chat, sender = chat_of(chat, chat_size), chat_of(sender, sender_size)
        say("read", ids=ids.decode().split(), chat=chat, sender=sender, receipt=receipt.decode())
        return b""

    base: Any = type("Played", (puppet.Played, neonize.client.NewClient), {})

    class Shown(base):  # type: ignore[misc] # the library has no types
        def connect_with_proxy(self, proxy_settings: Any = None) -> None:
            self._NewClient__client = SimpleNamespace(
                SendChatPresence=show_typing, MarkRead=mark_read
            )
            if os.path.isdir("/proc/self/fd"):
                say("descriptors", count=len(os.listdir("/proc/self/fd")))
            # Go's own threads let no interpreter end.
            threading.Thread(target=threading.Event().wait, daemon=False).start()
            super().connect_with_proxy(proxy_settings)

        def get_pn_from_lid(self, jid: Any) -> Any:
            say("asked", kind=jid.Server, wants="pn")
            return super().get_pn_from_lid(jid)

        def get_lid_from_pn(self, jid: Any) -> Any:
            say("asked", kind=jid.Server, wants="lid")
            return super().get_lid_from_pn(jid)

    return Shown(session, uuid)


if __name__ == "__main__":
    played, what = _puppet(sys.argv[1]), sys.argv[2]

    def make(session: str, uuid: str) -> Any:
        """A client, made when the worker has loaded the library."""
        if what == "unmade":
            raise RuntimeError("there is no client for +15550100001")
        return _made(played, session, uuid)

    main(sys.argv[3:], make)
