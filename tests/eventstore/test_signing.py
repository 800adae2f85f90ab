"""Signed anchors: keys, signatures, and a library that is missing."""

import builtins
import errno
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linewarden.eventstore import signing
from linewarden.eventstore.anchor import BadAnchor, line_of
from linewarden.eventstore.anchors import AnchorFile, anchor_of, anchors_path, read_anchors
from linewarden.eventstore.sqlite import SQLiteStore
from linewarden.statemachine.errors import InputError

from .material import START_NS, Make

LOG = bytes(range(16))

pytest.importorskip("cryptography", reason="the extra `audit` is not installed")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    signing.new_key(tmp_path / "anchors.key")
    return tmp_path / "anchors.key"


@pytest.fixture
def public(key: Path) -> str:
    return signing.public_key(f"{key}.pub")


def grow(path: Path, make: Make, key: Path | None, times: int = 1) -> None:
    """Append and anchor, signed where there is a key."""
    with SQLiteStore.open(path, log_id=LOG) as store:
        sign = signing.signer(key) if key is not None else None
        anchors = AnchorFile(store, anchors_path(path), sign)
        for _ in range(times):
            store.append("a", [make()])
            assert anchors.add(START_NS)


def read(path: Path, *keys: str) -> list[int]:
    anchors = read_anchors(anchors_path(path), LOG.hex(), keys=keys, copy=False)
    return [anchor.position for anchor in anchors]


def test_a_key_is_made_once_and_kept_private(key: Path, tmp_path: Path) -> None:
    """The private half is 0600, the public one is for all, and no file is replaced."""
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(InputError, match="There is a file"):
        signing.new_key(key)
    assert key.read_bytes() == before
    public = signing.public_key(f"{key}.pub")
    assert signing.public_key(str(key)) == public == signing.public_key(public)


@pytest.mark.parametrize("half", [1, 2])
def test_half_a_pair_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: int
) -> None:
    """On a full disk no file stays that the next try would take for a key."""
    real, calls = os.fsync, []

    def full(number: int) -> None:
        calls.append(number)
        if len(calls) == half:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="can't be written"):
        signing.new_key(tmp_path / "k")
    assert list(tmp_path.iterdir()) == []
    signing.new_key(tmp_path / "k")


def test_a_signed_anchor_is_checked(path: Path, make: Make, key: Path, public: str) -> None:
    """Anchors that are signed by the key count, and without a key they are read as others are."""
    grow(path, make, key, 3)
    assert read(path) == read(path, public) == read(path, "0" * 64, public) == [1, 2, 3]


def test_every_field_is_signed(store: SQLiteStore, make: Make, key: Path, public: str) -> None:
    """No field of a signed anchor can be changed."""
    store.append("a", [make()])
    anchor = signing.signer(key)(anchor_of(store, START_NS))
    signing.check_signature(anchor, [public])
    for change in (
        {"at": START_NS + 1},
        {"heads": {}},
        {"position": 2},
        {"log": "0" * 32},
        {"previous": "0" * 64},
        {"signature": "0" * 128},
        {"signature": msgspec.UNSET},
    ):
        with pytest.raises(BadAnchor):
            signing.check_signature(msgspec.structs.replace(anchor, **change), [public])


def test_another_key_does_not_count(path: Path, make: Make, public: str, tmp_path: Path) -> None:
    """An anchor that is signed by a key that was not given is a fault."""
    signing.new_key(tmp_path / "thief.key")
    grow(path, make, tmp_path / "thief.key")
    with pytest.raises(BadAnchor, match="line 1: it is signed by another key"):
        read(path, public)


def test_signing_may_begin_late_but_not_end(path: Path, make: Make, key: Path, public: str) -> None:
    """Unsigned anchors before the first signed one don't count; after it they are a fault."""
    grow(path, make, None, 2)
    assert read(path, public) == []
    grow(path, make, key, 2)
    assert read(path, public) == [3, 4]
    grow(path, make, None)
    with pytest.raises(BadAnchor, match="line 5: it is not signed"):
        read(path, public)


def test_a_signature_that_was_taken_off_is_told(
    path: Path, make: Make, key: Path, public: str
) -> None:
    """Taking the signature off the newest anchor is found with the key, and only with it."""
    grow(path, make, key, 2)
    anchors = list(read_anchors(anchors_path(path), LOG.hex()))
    bare = msgspec.structs.replace(anchors[1], key=msgspec.UNSET, signature=msgspec.UNSET)
    first = Path(anchors_path(path)).read_bytes().splitlines()[0]
    Path(anchors_path(path)).write_bytes(first + b"\n" + line_of(bare) + b"\n")
    assert read(path) == [1, 2]
    with pytest.raises(BadAnchor, match="not signed"):
        read(path, public)


def test_keys_that_can_not_be_used_are_told(key: Path, tmp_path: Path) -> None:
    """A key that is missing, something else, or open to others' eyes gives a clear error."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    wrong = tmp_path / "wrong.key"
    wrong.touch(0o600)
    for content in (
        b"",
        b"nonsense",
        (tmp_path / "anchors.key.pub").read_bytes(),
        other.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    ):
        wrong.write_bytes(content)
        with pytest.raises(InputError, match="no private Ed25519 key"):
            signing.signer(wrong)
    with pytest.raises(InputError, match="can't be read"):
        signing.signer(tmp_path / "missing")
    with pytest.raises(InputError, match="no Ed25519 key"):
        signing.public_key(str(_text(key)))
    key.chmod(0o644)
    with pytest.raises(InputError, match="read by others"):
        signing.signer(key)


def _text(key: Path) -> Path:
    text = key.with_name("text")
    text.write_text("no key")
    return text


def test_without_the_library_there_is_one_clear_error(
    path: Path, make: Make, key: Path, public: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that needs the library says which, and how to install it; the rest works without."""
    grow(path, make, key)
    imported = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return imported(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    for use in (
        lambda: signing.new_key(path.with_suffix(".key")),
        lambda: signing.signer(key),
        lambda: signing.public_key(f"{key}.pub"),
        lambda: read(path, public),
    ):
        with pytest.raises(signing.SigningUnavailable) as caught:
            use()
        assert "cryptography" in caught.value.message
        assert "linewarden[audit]" in caught.value.hint
    assert read(path) == [1]
