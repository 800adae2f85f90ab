"""The hashes, against their definition written out."""

from hashlib import sha256

from linewarden.eventstore import chain


def test_hashes_are_those_of_the_design() -> None:
    """Leaf, link, genesis and commitment are the hashes that the design defines."""
    assert chain.leaf(b"{}") == sha256(b"\x00{}").digest()
    assert chain.link(b"p" * 32, b"l" * 32) == sha256(b"\x11" + b"p" * 32 + b"l" * 32).digest()
    assert chain.genesis(b"i" * 16, "a") == sha256(b"\x13" + b"i" * 16 + b"a").digest()
    promise = sha256(b"\x12" + b"s" * 16 + b"identity\x00value").digest()
    assert chain.commitment(b"s" * 16, "identity", "value") == promise


def test_kinds_of_hashes_never_meet() -> None:
    """The same bytes hash differently as a leaf, a link, a genesis and a commitment."""
    half = b"x" * 32
    assert (
        len(
            {
                chain.leaf(half + half),
                chain.link(half, half),
                chain.genesis(half, half.decode()),
                chain.commitment(half, half.decode(), ""),
            }
        )
        == 4
    )
