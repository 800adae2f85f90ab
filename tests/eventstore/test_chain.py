"""The hashes, against their definition written out."""

from hashlib import sha256

from linewarden.eventstore import chain


def test_hashes_are_those_of_the_design() -> None:
    """Each kind of hash is what the design, or the docstring of the module, defines."""
    assert chain.leaf(b"{}") == sha256(b"\x00{}").digest()
    assert chain.link(b"p" * 32, b"l" * 32) == sha256(b"\x11" + b"p" * 32 + b"l" * 32).digest()
    assert chain.genesis(b"i" * 16, "a") == sha256(b"\x13" + b"i" * 16 + b"a").digest()
    assert chain.anchor(b"{}") == sha256(b"\x14{}").digest()
    assert chain.archived(b"i" * 16, "a", 9) == sha256(b"\x15" + b"i" * 16 + b"a/9").digest()
    promise = sha256(b"\x12" + b"s" * 16 + b"identity\x00value").digest()
    assert chain.commitment(b"s" * 16, "identity", "value") == promise


def test_kinds_of_hashes_never_meet() -> None:
    """The same bytes hash differently as each kind of hash."""
    half = b"x" * 32
    assert (
        len(
            {
                chain.leaf(half + half),
                chain.link(half, half),
                chain.genesis(half, half.decode()),
                chain.commitment(half, half.decode(), ""),
                chain.anchor(half + half),
                chain.archived(half, half.decode(), 1),
            }
        )
        == 6
    )
