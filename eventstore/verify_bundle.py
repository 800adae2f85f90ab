"""Audits a bundle: its lines fit its chain, and anchors vouch for that chain.

The chain proves the records of a bundle among themselves. Whoever wrote a bundle anew wrote its
chain and its unsigned anchor anew as well: what proves it to a stranger is an anchor of the log
that came another way, or the signature of the one within. The snapshot of the state before the
first record is what the exporter says, unless that record is the account's first.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Sequence

import msgspec

from . import chain
from .anchor import Anchor, BadAnchor
from .bundle_format import LINE_BYTES_MAX, BadBundle, FutureSchema, Header
from .bundle_reading import Reading
from .report import Anchored, Report
from .signing import check_signature


def verify_bundle(
    path: str | os.PathLike[str],
    *,
    anchors: Iterable[Anchor] | None = None,
    keys: Sequence[str] = (),
) -> Report:
    """Audit a bundle; its records count by their positions in the log.

    Given `anchors`, by position (`anchors.read_anchors`), only they can vouch for it. Else its own
    does; with `keys` (hex) only where it is signed by one of them. Raises `BadBundle` for a file
    that is no bundle, `FutureSchema` for one that is too new; what was changed is in the report.
    """
    place = os.fspath(path)
    try:
        reading = Reading(place)
    except FutureSchema:
        raise
    except BadBundle as error:
        if not _says_it_is_one(place):
            raise
        return Report(False, 0, 0, 0, reason=error.message)
    return _Audit(reading, keys).report(anchors)


class _Audit:
    """How far an audit came."""

    def __init__(self, reading: Reading, keys: Sequence[str]) -> None:
        self._reading, self._keys = reading, keys
        self._header: Header = reading.header
        self._records = 0
        self._good = 0
        self._anchors = 0
        self._anchored: Anchored | None = None

    def report(self, anchors: Iterable[Anchor] | None) -> Report:
        header = self._header
        chained, positions = {header.before.version: header.before.chain}, {}
        try:
            for record in self._reading:
                self._records, self._good = self._records + 1, record.position
                chained[record.version], positions[record.version] = record.chain.hex(), self._good
        except FutureSchema:
            raise
        except BadBundle as error:
            return self._bad(error.message, error.position)
        try:
            if anchors is None:
                self._look_within()
            else:
                self._compare(anchors, chained)
        except BadAnchor as error:
            return self._bad(error.message, None)
        except _Other as other:
            first = positions.get(max(header.first, other.good + 1))
            self._good = positions.get(other.good, 0)
            return self._bad("its records are not those that were anchored", first)
        return self._summary(ok=True)

    def _compare(self, anchors: Iterable[Anchor], chained: dict[int, str]) -> None:
        """Compare every version that an anchor knows of with the chain of the bundle."""
        trailer, account = self._reading.trailer, self._header.account
        head, version = bytes.fromhex(trailer.head.chain), trailer.head.version
        for leaf in trailer.onward:
            head, version = chain.link(head, bytes.fromhex(leaf)), version + 1
            chained[version] = head.hex()
        good = 0
        for anchor in anchors:
            said = anchor.heads.get(account)
            if said is None or said.version not in chained:
                continue
            if said.chain != chained[said.version]:
                raise _Other(good)
            good = max(good, said.version)
            if said.version >= trailer.head.version:
                self._count(anchor)

    def _look_within(self) -> None:
        """The bundle's own anchor, which reading has found to be of these records."""
        anchor = self._reading.trailer.anchor
        if anchor is None:
            return
        if self._keys:
            if anchor.signature is msgspec.UNSET:
                return
            try:
                check_signature(anchor, self._keys)
            except BadAnchor as error:
                raise BadAnchor(f"{self._reading.path}, its anchor: {error.message}") from None
        self._count(anchor)

    def _count(self, anchor: Anchor) -> None:
        self._anchors += 1
        self._anchored = Anchored(anchor.position, anchor.at)

    def _bad(self, reason: str, position: int | None) -> Report:
        report = self._summary(ok=False)
        return msgspec.structs.replace(report, first_bad_position=position, reason=reason)

    def _summary(self, *, ok: bool) -> Report:
        return Report(
            ok=ok,
            records=self._records,
            streams=1,
            last_good_position=self._good,
            stream=self._header.account,
            anchors=self._anchors,
            last_good_anchor=self._anchored,
        )


class _Other(Exception):
    """An anchor says another chain; up to version `good` anchors agree."""

    def __init__(self, good: int) -> None:
        super().__init__(good)
        self.good = good


def _says_it_is_one(place: str) -> bool:
    """Whether a file that can't be read as a bundle begins as one, and so was one."""
    if not os.path.isfile(place):
        return False
    try:
        with gzip.open(place) as packed:
            return b'"linewarden":"incident"' in packed.readline(LINE_BYTES_MAX)
    except (OSError, EOFError, zlib.error):
        return False
