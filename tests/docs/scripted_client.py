"""Runs an example for neonize, given as a file, on a real client whose network is scripted.

It is a program, run in a process of its own: neonize brings threads, a Go library and an import
that leaves a pipe open. It prints what the client was asked to send, as JSON.
"""

import ctypes
import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from linewarden.gateway.whatsapp.adapter import load_neonize

load_neonize()

from neonize import events as ev  # noqa: E402 - it is only found where libmagic was brought first
from neonize.client import NewClient  # noqa: E402 - for the same reason
from neonize.proto import Neonize_pb2 as proto  # noqa: E402 - for the same reason

TEXT = 9
WAIT_S = 20.0

SENT: list[tuple[str, str]] = []
WRITTEN = threading.Event()


def filled(message: Any) -> Any:
    """The message with every required field that it lacks set to nothing in particular."""
    for field in message.DESCRIPTOR.fields:
        if field.is_required and not message.HasField(field.name):
            if field.message_type is not None:
                getattr(message, field.name).SetInParent()
            else:
                setattr(message, field.name, "" if field.type == TEXT else field.default_value)
        one = field.message_type is not None and not field.is_repeated
        if one and message.HasField(field.name):
            filled(getattr(message, field.name))
    return message


def dispatch(client: Any, code: int, message: Any) -> None:
    """Give a client an event as the Go library does."""
    raw = filled(message).SerializeToString()
    buffer = ctypes.create_string_buffer(raw, len(raw) or 1)
    client.event.execute(client.uuid, ctypes.addressof(buffer), len(raw), code)


def connect(client: Any, _proxy: Any = None) -> None:
    """Log in, receive one message, and stay until an answer is written."""
    device = proto.Device()
    device.JID.User, device.JID.Server = "15550100001", "s.whatsapp.net"
    dispatch(client, 0, device)
    dispatch(client, ev.EVENT_TO_INT[ev.ConnectedEv], ev.ConnectedEv())
    message = ev.MessageEv()
    chat = message.Info.MessageSource.Chat
    chat.User, chat.Server = "15550100009", "s.whatsapp.net"
    dispatch(client, ev.EVENT_TO_INT[ev.MessageEv], message)
    assert WRITTEN.wait(WAIT_S)


def send_message(_client: Any, to: Any, message: Any) -> Any:
    SENT.append((f"{to.User}@{to.Server}", message.conversation))
    WRITTEN.set()
    return SimpleNamespace(ID="3EB0")


if __name__ == "__main__":
    NewClient.connect_with_proxy = connect
    NewClient.send_message = send_message
    example = Path(sys.argv[1])
    exec(compile(example.read_text("utf-8"), example.name, "exec"), {"__name__": "__main__"})
    print(json.dumps(SENT))
