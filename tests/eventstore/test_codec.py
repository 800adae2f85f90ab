"""The canonical JSON of records."""

import math

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.eventstore.codec import decode, encode, from_order, in_order, is_canonical, same
from linewarden.eventstore.errors import InvalidContent

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20
)
CONTENTS = st.dictionaries(TEXT, VALUES)


class Mapped(msgspec.Struct, omit_defaults=True):
    maps: dict[str, dict[str, str] | str | list[dict[str, int]]] = {}


MAPS = st.dictionaries(
    TEXT,
    TEXT
    | st.dictionaries(TEXT, TEXT).filter(lambda one: set(one) != {"in_order"})
    | st.lists(st.dictionaries(TEXT, st.integers(0, 9)), max_size=2),
)


@given(MAPS)
def test_maps_keep_their_order(maps: dict[str, object]) -> None:
    """The maps of a struct come back in their order, though canonical JSON sorts keys."""
    written = encode(in_order(Mapped(maps)))
    assert is_canonical(written)
    again = msgspec.convert(from_order(decode(written)), Mapped)
    assert msgspec.json.encode(again) == msgspec.json.encode(Mapped(maps))


def test_the_same_is_in_the_same_order() -> None:
    """Structs whose maps hold the same in another order are equal, and not the same."""
    one, other = Mapped({"m": {"a": "1", "b": "2"}}), Mapped({"m": {"b": "2", "a": "1"}})
    assert one == other
    assert same(one, Mapped({"m": {"a": "1", "b": "2"}}))
    assert not same(one, other)
    assert not same(one, None)
    assert same(None, None)


@pytest.mark.parametrize("pairs", [[1], [["a"]], [[1, 2]], [["a", 1, 2]]])
def test_an_order_that_is_none_is_refused(pairs: list[object]) -> None:
    """What stands for a map and is no list of pairs is an error, not a guess."""
    with pytest.raises(InvalidContent, match="list of pairs"):
        from_order({"maps": {"in_order": pairs}})


@given(CONTENTS)
def test_content_comes_back(content: dict[str, object]) -> None:
    """What was encoded decodes to the same content, and its bytes are canonical."""
    body = encode(content)
    assert decode(body) == content
    assert is_canonical(body)


@given(CONTENTS)
def test_order_of_keys_does_not_matter(content: dict[str, object]) -> None:
    """Contents that are equal have equal bytes, whatever order their keys were given in."""
    assert encode(dict(reversed(content.items()))) == encode(content)


@pytest.mark.parametrize(
    "value", [0.5, 1.0, math.nan, math.inf, {"deep": [1, {"er": 2.0}]}, (1, 2), b"x", object()]
)
def test_what_is_not_exact_is_refused(value: object) -> None:
    """A float, NaN or anything that JSON has no one text for is refused, with its place."""
    with pytest.raises(InvalidContent, match=r"\.here"):
        encode({"here": value})


@pytest.mark.parametrize("key", [1, None, 1.5, ("a",)])
def test_keys_are_text(key: object) -> None:
    """A key that is not text is refused, at any depth."""
    with pytest.raises(InvalidContent):
        encode({"outer": {key: 1}})


@pytest.mark.parametrize("content", [{"a": 2**64}, {"a": "\ud800"}, {"\ud800": 1}])
def test_what_json_cannot_say_is_refused(content: dict[str, object]) -> None:
    """Integers beyond 64 bits and half characters are refused."""
    with pytest.raises(InvalidContent):
        encode(content)


def test_content_that_never_ends_is_refused() -> None:
    """Content that holds itself is refused instead of exhausting the stack."""
    content: dict[str, object] = {}
    inner = content
    for _ in range(5000):
        deeper: dict[str, object] = {}
        inner["in"] = deeper
        inner = deeper
    with pytest.raises(InvalidContent):
        encode(content)


@pytest.mark.parametrize("content", [[], "text", None, 1])
def test_a_record_is_an_object(content: object) -> None:
    """Content other than one object is refused, in both directions."""
    with pytest.raises(InvalidContent):
        encode(content)  # type: ignore[arg-type] # what the checker forbids is what is tried
    with pytest.raises(InvalidContent):
        decode(orjson.dumps(content))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":2}', b'{"a":1.0}', b"{", b"\xff",
        b'{"a":[{"b":0.5}]}', b'{"a":1e5}', b'{"a":-0}', b'{"a":18446744073709551616}',
        b'{"a":"\\ud800"}', b'{"a":"\\u00e9"}', b'{"a":"\xff"}', b"[]", b"1", b"",
        b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)  # fmt: skip
def test_bytes_from_elsewhere_are_not_taken_for_canonical(body: bytes) -> None:
    """Spaces, other orders, doubled keys and floats are told from canonical bytes."""
    assert not is_canonical(body)
