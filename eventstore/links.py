"""Which number belongs to which LID, by their tokens, as the records of a log say it.

An erasure follows these links from one form of a person to the others. Numbers change hands, so
the newest position at which a pair was named goes with it.
"""

from collections.abc import Iterable

from .codec import decode
from .records import Record
from .upcast import upcast_record

Links = dict[tuple[str, str], int]
"""Token of a number and token of a LID, with the position of the newest record that tied them."""

_NAMING = frozenset(("identity_linked", "identity_observed"))


def link_of(record: Record) -> tuple[str, str] | None:
    """The number and the LID that a record names together, whatever was decided on it."""
    if record.type not in _NAMING:
        return None
    stimulus = upcast_record(decode(record.body))["stimulus"]
    forms = stimulus.get("forms", stimulus)
    return (forms["pn"], forms["lid"]) if {"pn", "lid"} <= forms.keys() else None


def links_of(records: Iterable[Record]) -> Links:
    """The links that records name."""
    links: Links = {}
    for record in records:
        add_link(links, record)
    return links


def add_link(links: Links, record: Record) -> None:
    """Take up the link that a record names, if it names one."""
    link = link_of(record)
    if link is not None:
        links[link] = max(record.position, links.get(link, 0))
