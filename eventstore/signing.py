"""Signed anchors: Ed25519, by the library `cryptography` of the extra `audit`.

A signature says that whoever held the key has said this anchor. The service must hold the key, so
one who has taken its machine can sign too: it protects copies of anchors, not the machine.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..statemachine.errors import InputError, LinewardenError
from . import codec
from .anchor import Anchor, BadAnchor

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_SIGNED = b"linewarden anchor\n"
"""Before what is signed, so that no signature of an anchor can be taken for another one's."""

_FILE_BYTES_MAX = 1 << 14
_HEX = re.compile(r"[0-9a-f]{64}")


class SigningUnavailable(LinewardenError):
    """The library that signs is not installed."""


def new_key(path: str | os.PathLike[str]) -> str:
    """Make a key: the private half at `path` (0600), the public one at `path`.pub; return that.

    Both are PEM, as OpenSSL writes them. No file is replaced, and half a pair is not left.
    """
    _, private, serialization = _library()
    key = private.Ed25519PrivateKey.generate()
    place = os.fspath(path)
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    _make(place, key.private_bytes(pem, pkcs8, plain), 0o600)
    try:
        _make(place + ".pub", key.public_key().public_bytes(pem, info), 0o644)
    except InputError:
        os.unlink(place)
        raise
    return _public(key)


def signer(path: str | os.PathLike[str]) -> Callable[[Anchor], Anchor]:
    """What signs anchors with the private key of a file."""
    _, private, serialization = _library()
    place = os.fspath(path)
    content = _content(place, secret=True)
    try:
        key = serialization.load_pem_private_key(content, None)
    except (TypeError, ValueError):
        key = None
    if not isinstance(key, private.Ed25519PrivateKey):
        raise InputError(
            f"{place} is no private Ed25519 key without a password", hint="`linewarden keygen`"
        )
    public = _public(key)

    def sign(anchor: Anchor) -> Anchor:
        named = msgspec.structs.replace(anchor, key=public)
        return msgspec.structs.replace(named, signature=key.sign(_signed(named)).hex())

    return sign


def public_key(word: str) -> str:
    """A public key in hex, from that or from a PEM file (of its private half too)."""
    if _HEX.fullmatch(word):
        return word
    _, private, serialization = _library()
    content = _content(word)
    for load in (
        serialization.load_pem_public_key,
        lambda pem: serialization.load_pem_private_key(pem, None).public_key(),
    ):
        try:
            key = load(content)
        except (TypeError, ValueError):
            continue
        if isinstance(key, private.Ed25519PublicKey):
            return str(key.public_bytes_raw().hex())
    raise InputError(
        f"{word} is no Ed25519 key", hint="give its file.pub, or its 64 hexadecimal digits"
    )


def check_signature(anchor: Anchor, keys: Sequence[str]) -> None:
    """Raise `BadAnchor` unless an anchor is signed by one of the public keys (hex)."""
    invalid, private, _ = _library()
    if anchor.key is msgspec.UNSET or anchor.signature is msgspec.UNSET:
        raise BadAnchor("it is not signed")
    if anchor.key not in keys:
        raise BadAnchor("it is signed by another key")
    try:
        key = private.Ed25519PublicKey.from_public_bytes(bytes.fromhex(anchor.key))
        key.verify(bytes.fromhex(anchor.signature), _signed(anchor))
    except (invalid, ValueError):
        raise BadAnchor("its signature is not of what it says") from None


def _signed(anchor: Anchor) -> bytes:
    """What is signed: the anchor without its signature."""
    content = msgspec.to_builtins(anchor)
    content.pop("signature", None)
    return _SIGNED + codec.encode(content)


def _public(key: Ed25519PrivateKey) -> str:
    return str(key.public_key().public_bytes_raw().hex())


def _library() -> tuple[Any, Any, Any]:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise SigningUnavailable(
            "Keys and signatures need the library cryptography, which is not installed",
            hint="pip install 'linewarden[audit]'",
        ) from None
    return InvalidSignature, ed25519, serialization


def _content(place: str, *, secret: bool = False) -> bytes:
    try:
        with open(place, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_FILE_BYTES_MAX) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise InputError(
            f"The key {place} can't be read: {error.strerror}", hint="`linewarden keygen` makes one"
        ) from None
    if secret and mode & 0o077:
        raise InputError(f"The key {place} can be read by others", hint=f"chmod 600 {place}")
    return content


def _make(place: str, content: bytes, mode: int) -> None:
    try:
        number = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(number)
        except OSError:
            os.unlink(place)
            raise
    except FileExistsError:
        raise InputError(f"There is a file at {place}", hint="choose another name") from None
    except OSError as error:
        raise InputError(f"{place} can't be written: {error.strerror}") from None
