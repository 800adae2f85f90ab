"""Who an account is logged in as: forms, and when two identities are one person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linewarden.statemachine.errors import InputError
from linewarden.statemachine.identity import (
    Identity,
    IdentityError,
    completed,
    normalise,
    overlap,
)

PN, LID = "15550100001", "100000000000001"
_pn = st.sampled_from((None, "p1", "p2", "p3"))
_lid = st.sampled_from((None, "l1", "l2", "l3"))
IDENTITIES = st.builds(Identity, _pn, _lid)
LINKS = st.dictionaries(
    st.sampled_from(("p1", "p2", "p3")), st.sampled_from(("l1", "l2", "l3"))
).map(lambda one: one | {lid: pn for pn, lid in one.items()})


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ({"pn": f"{PN}@s.whatsapp.net"}, {"pn": PN}),
        ({"pn": f"{PN}:12@s.whatsapp.net"}, {"pn": PN}),
        ({"pn": f"{PN}@c.us"}, {"pn": PN}),
        ({"pn": f"{PN}:7@hosted"}, {"pn": PN}),
        ({"pn": f"{PN}@S.WhatsApp.Net"}, {"pn": PN}),
        ({"e164": f"+{PN}"}, {"pn": PN}),
        ({"pn": f"{PN}@s.whatsapp.net", "e164": f"+{PN}"}, {"pn": PN}),
        ({"lid": f"{LID}@lid"}, {"lid": LID}),
        ({"lid": f"{LID}:3@hosted.lid"}, {"lid": LID}),
        ({"pn": f"{LID}:5@hosted.lid"}, {"lid": LID}),
        ({"lid": LID}, {"lid": LID}),
        ({"pn": f"{PN}@s.whatsapp.net", "lid": f"{LID}@lid"}, {"pn": PN, "lid": LID}),
        ({"pn": None, "lid": ""}, {}),
        ({}, {}),
    ],
)
def test_forms_are_normalised(forms: dict[str, str | None], expected: dict[str, str]) -> None:
    """Device suffixes go, servers say what a form is wherever it stands, E.164 is a number."""
    assert normalise(forms) == expected


@pytest.mark.parametrize(
    "forms",
    [
        {"pn": f"{PN}@g.us"},
        {"pn": f"{PN}@broadcast"},
        {"pn": "alice@s.whatsapp.net"},
        {"pn": "@lid"},
        {"lid": 100000000000001},
        {"pn": "1" * 101},
        {f"+{PN}": "x"},
        {"e164": "+1555 010 0001"},
    ],
)
def test_what_is_no_form_is_refused_without_being_shown(forms: dict[str, object]) -> None:
    """A bad form is the caller's fault; the error has a hint and shows no digits of anybody."""
    with pytest.raises(IdentityError) as told:
        normalise(forms)
    assert isinstance(told.value, InputError)
    assert told.value.hint
    assert not any(digits in str(told.value) for digits in (PN, LID, "0001", "alice"))


@given(IDENTITIES, IDENTITIES, LINKS)
def test_overlap_is_symmetric(one: Identity, other: Identity, links: dict[str, str]) -> None:
    """Whoever overlaps is overlapped."""
    assert overlap(one, other, links) == overlap(other, one, links)


@given(_pn, _pn, LINKS)
def test_two_lids_never_overlap(one: str | None, other: str | None, links: dict[str, str]) -> None:
    """Two different LIDs are two persons, even with one number; the same LID is one."""
    assert not overlap(Identity(one, "l1"), Identity(other, "l2"), links)
    assert overlap(Identity(one, "l1"), Identity(other, "l1"), links)


@given(IDENTITIES, LINKS)
def test_nobody_overlaps_nobody(one: Identity, links: dict[str, str]) -> None:
    """An empty identity overlaps nothing, and everybody else overlaps themselves."""
    assert not overlap(Identity(), one, links)
    assert not overlap(None, one, links)
    assert overlap(one, one, links) == (one != Identity())


@pytest.mark.parametrize(
    ("one", "other", "links", "expected"),
    [
        (Identity("p1"), Identity("p1"), {}, True),
        (Identity("p1"), Identity("p2"), {}, False),
        (Identity("p1"), Identity("p1", "l1"), {}, True),
        (Identity("p1"), Identity(None, "l1"), {}, False),
        (Identity("p1"), Identity(None, "l1"), {"p1": "l1", "l1": "p1"}, True),
        (Identity("p1"), Identity("p1", "l2"), {"p1": "l1", "l1": "p1"}, False),
        (Identity("1"), Identity(None, "1"), {}, False),
    ],
)
def test_the_map_completes_before_it_is_compared(
    one: Identity, other: Identity, links: dict[str, str], expected: bool
) -> None:
    """A number and a LID meet through the map; a LID that it adds decides like an observed one."""
    assert overlap(one, other, links) is expected


@given(IDENTITIES, LINKS)
def test_the_map_adds_and_never_replaces(one: Identity, links: dict[str, str]) -> None:
    """What was observed stays; only a missing form is added."""
    full = completed(one, links)
    assert one.pn in (None, full.pn)
    assert one.lid in (None, full.lid)
    assert (full == Identity()) == (one == Identity())
