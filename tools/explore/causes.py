"""What caused what in an incident: a stimulus that is taken away takes along what it caused.

A record names the one that caused it: the one that set the timer, or asked for the effect that it
answers. Beside that every word about a reply needs its submission. What a socket does by itself has
no cause in the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from ...eventstore.bundle_format import Bundle
from ...statemachine.account import REPLY_TIMERS, TIMERS
from ...statemachine.stimuli import ReplySubmitted, TimerFired
from ..replay.reading import Fed, content_of, stimuli_of

Causes = Sequence[frozenset[int]]
"""For each stimulus of an incident the places (from 0) of those that it needs, all earlier ones."""


def read(bundle: Bundle) -> tuple[list[Fed], Causes]:
    """The stimuli of an incident, and what each of them needs."""
    stimuli = list(stimuli_of(bundle))
    named = {record.version: content_of(record).causation for record in bundle.records}
    place_of = {fed.version: place for place, fed in enumerate(stimuli)}
    submitted: dict[str, int] = {}
    setters = list(_setters(stimuli))
    causes: list[frozenset[int]] = []
    for place, fed in enumerate(stimuli):
        # What is named is not always what set a timer: a restart takes over those that are set.
        setter = setters[place]
        needed = {place_of.get(named[fed.version] or 0) if setter is None else setter}
        reply = getattr(fed.stimulus, "reply", None)
        if reply is not None:
            needed.add(submitted.get(reply))
            if isinstance(fed.stimulus, ReplySubmitted):
                submitted.setdefault(reply, place)
        causes.append(frozenset(one for one in needed if one is not None and one < place))
    return stimuli, causes


def _setters(stimuli: Iterable[Fed]) -> Iterator[int | None]:
    """For each timer that the clock fired the place of the stimulus that set it."""
    # When a timer is due, and since which place it has been.
    due: dict[tuple[str, str | None], tuple[Any, int]] = {}
    for place, fed in enumerate(stimuli):
        fired, setter = fed.stimulus, None
        if fed.late is not None and isinstance(fired, TimerFired):
            _, setter = due.get((fired.timer, fired.reply), (None, None))
        yield setter
        for timer, at in _set(fed):
            if due.get(timer, (None,))[0] != at:
                due[timer] = at, place


def _set(fed: Fed) -> Iterator[tuple[tuple[str, str | None], Any]]:
    """The timers that a recorded outcome says something of, each with when it is due, or None."""
    changes = fed.recorded.changes
    for timer in TIMERS:
        if timer + "_at" in changes:
            yield (timer, None), changes[timer + "_at"]
    for name, reply in (changes.get("replies") or {}).items():
        for timer in REPLY_TIMERS:
            yield (timer, name), (reply or {}).get(timer + "_at")


def closed(kept: Iterable[int], causes: Causes) -> list[int]:
    """Those of some places, in order, all of whose causes are among them."""
    found: set[int] = set()
    for place in sorted(kept):
        if causes[place] <= found:
            found.add(place)
    return sorted(found)


def caused_by(places: Collection[int], causes: Causes) -> set[int]:
    """Some places, and all that they caused."""
    return set(range(len(causes))) - set(closed(set(range(len(causes))) - set(places), causes))
