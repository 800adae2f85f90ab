"""Audits a log: every record is what was written, where it was written, and none is missing.

What this catches: any changed, missing, moved or doubled record, columns that say something else
than the hashed bytes, and vault values that are not those that were committed to. What it doesn't:
records cut off the end, and chains that were computed anew. Those are caught by an anchor that was
taken before (`anchors`), where whoever did it could not change it too.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

import msgspec

from ..statemachine.errors import LinewardenError
from . import chain, codec
from .anchor import Anchor, BadAnchor
from .beginnings import Beginnings
from .bundle_format import BadBundle
from .columns import UNREADABLE, Columns, columns_of
from .errors import Corrupt
from .records import Head, Record
from .report import Anchored, Report
from .store import Reader
from .verify_archive import audit_archives
from .verify_faults import BadRecord, diagnose, fault

__all__ = ["Anchored", "Report", "verify"]

_Row = tuple[int, int | str, int, bytes, bytes, bytes]


class _Audit:
    """How far an audit came, and what it learnt of every stream."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.position = 0
        # By the number of the stream where chains alone are walked, else by its name.
        self.heads: dict[int | str, tuple[int, bytes]] = {}
        self.commitments = 0
        self.erased = 0
        self.begun = Beginnings(reader)
        self._states = self.begun.states
        self.anchors = 0
        self.anchored: Anchored | None = None
        # What anchors say of archived versions, by account: these anchors wait for the bundles.
        self.behind: dict[str, dict[int, str]] = {}
        self.waiting: list[Anchored] = []
        self.proven: int | None = None

    def name(self, stream: int | str) -> str:
        """Name a stream that stands in `heads`."""
        return stream if isinstance(stream, str) else self._reader.stream_name(stream)

    def links(self, upto: int) -> None:
        """Go on with the chains alone."""
        for page in self._reader.links(self.position, upto):
            _, bad = self._walk(page)
            if bad is not None:
                raise bad

    def records(self, upto: int) -> None:
        """Go on with the chains, and compare every column with the hashed bytes."""
        for page in self._reader.pages(self.position, upto, checked=False):
            good, bad = self._walk(
                [(r.position, r.stream, r.version, r.body, r.leaf, r.chain) for r in page]
            )
            promised: list[tuple[Record, dict[str, str]]] = []
            try:
                for record in page[:good]:
                    content = self._compare(record)
                    if content.commitments:
                        promised.append((record, content.commitments))
            except BadRecord as earlier:
                bad = earlier
            if promised:
                self._check_vault(promised)
            if bad is not None:
                raise bad

    def agree(self, anchor: Anchor) -> None:
        """Compare where the streams end at the position of an anchor with what it says."""
        heads = {self.name(stream): head for stream, head in self.heads.items()}
        good = self.anchored.position if self.anchored is not None else 0
        behind = False
        for stream in sorted({*heads, *anchor.heads}):
            said, (version, chained) = anchor.heads.get(stream), heads.get(stream, (0, b""))
            if said is not None and stream not in heads:
                version, chained = self.begun.head(stream)
                if said.version < version:
                    behind = True
                    known = self.behind.setdefault(stream, {}).setdefault(said.version, said.chain)
                    version, chained = said.version, bytes.fromhex(known)
            if said is None or (said.version, said.chain) != (version, chained.hex()):
                where = f"between positions {good + 1} and {anchor.position}"
                reason = f"{where} the log is not what was anchored"
                raise BadRecord(good + 1, stream, None, reason)
        agreed = Anchored(anchor.position, anchor.at)
        if behind:
            self.waiting.append(agreed)
        else:
            self.anchors, self.anchored = self.anchors + 1, agreed

    def prove(self, folder: str) -> None:
        """Prove what was archived by its bundles; the anchors that waited for them agree then."""
        self.proven = audit_archives(self._reader, folder, self.behind)
        self.anchors += len(self.waiting)
        self.anchored = self.anchored or next(reversed(self.waiting), None)

    def _walk(self, page: Sequence[_Row]) -> tuple[int, BadRecord | None]:
        """Walk a page; return how many of its records are good and the first that is not.

        One turn of this loop is the price of a record, so it calls nothing but the hash.
        """
        heads, start, expected = self.heads, self.position, self.position
        bad = None
        for position, stream, version, body, leaf, chained in page:
            head = heads.get(stream)
            if head is None:
                head = self.begun.head(self.name(stream))
            expected += 1
            if position != expected and self.begun.passed(expected, position):
                expected = position
            try:
                if (
                    sha256(b"\x00" + body).digest() != leaf
                    or sha256(b"\x11" + head[1] + leaf).digest() != chained
                    or position != expected
                    or version != head[0] + 1
                ):
                    bad = diagnose(position, expected, self.name(stream), version, head, leaf, body)
                    break
            except TypeError:
                bad = BadRecord(expected, self.name(stream), version, "the record has no bytes")
                break
            heads[stream] = (version, chained)
        else:
            expected += 1
        self.position = expected - 1
        return self.position - start, bad

    def _compare(self, record: Record) -> Columns:
        try:
            content = columns_of(record.body)
        except UNREADABLE:
            raise fault(record, "the bytes are not the content of a record") from None
        if not codec.is_canonical(record.body):
            raise fault(record, "the bytes are JSON of another hand: a key may stand there twice")
        stimulus, stream = content.stimulus, record.stream
        state = self._states[stream] = content.state(self._states.get(stream))
        if record.type != stimulus.stimulus:
            raise fault(record, "the column type is not what the record says")
        if record.at != stimulus.at:
            raise fault(record, "the column at is not what the record says")
        if record.reply != stimulus.reply:
            raise fault(record, "the column reply is not what the record says")
        if record.state != state:
            raise fault(record, "the column state is not what the records say")
        return content

    def _check_vault(self, promised: list[tuple[Record, dict[str, str]]]) -> None:
        entries = self._reader.vault_entries({token for _, tokens in promised for token in tokens})
        for record, tokens in promised:
            for token, promise in tokens.items():
                entry = entries.get(token)
                if entry is None:
                    self.erased += 1
                elif chain.commitment(entry.salt, entry.kind, entry.value).hex() != promise:
                    raise fault(record, f"the vault's value of {token} was changed")
                self.commitments += 1


def verify(
    reader: Reader,
    *,
    columns: bool = True,
    anchors: Iterable[Anchor] = (),
    archives: str | None = None,
) -> Report:
    """Audit a log up to its newest record; other processes may append meanwhile.

    `columns` compares the columns with the hashed bytes and the vault with its commitments too;
    without it only the chains are walked, at more than 400,000 records a second. `anchors`, by
    position, are compared on the way (`anchors.read_anchors`). `archives` is the folder of bundles
    by which archived records are proven; without it an anchor from among them counts for nothing.
    Raises `StoreUnavailable` where the log can't be read; what is damaged is in the report.
    """
    audit = _Audit(reader)
    go_on = audit.records if columns else audit.links
    doubt: LinewardenError | None = None
    try:
        upto = reader.last_position()
        try:
            for anchor in anchors:
                if anchor.position > upto:
                    upto = reader.last_position()  # it may have been taken since
                _reach(audit, go_on, min(anchor.position, upto))
                if anchor.position > upto:
                    reason = f"an anchor knows of records up to position {anchor.position}"
                    raise BadRecord(upto + 1, None, None, reason)
                audit.agree(anchor)
        except BadAnchor as error:
            doubt = error
        _reach(audit, go_on, upto)
        audit.begun.check_complete()
        _compare_heads(audit, reader)
    except Corrupt as error:
        return _report(audit, BadRecord(audit.position + 1, None, None, error.message))
    except BadRecord as bad:
        return _report(audit, bad)
    good = audit.position
    if doubt is not None:
        good = audit.anchored.position if audit.anchored is not None else 0
    elif archives is not None:
        try:
            audit.prove(archives)
        except (BadBundle, Corrupt) as error:
            doubt = error
            if isinstance(error, Corrupt) and error.position is not None:
                good = min(good, error.position - 1)
    if doubt is None:
        return _report(audit, None)
    told = {"last_good_position": good, "reason": doubt.message}
    return msgspec.structs.replace(_report(audit, None), ok=False, **told)


def _reach(audit: _Audit, go_on: Callable[[int], None], upto: int) -> None:
    """Go on to a position; raises `Corrupt` at the first record that can't be read."""
    try:
        go_on(upto)
    except Corrupt:
        # A page that can't be read is read again record by record, to the one that can't.
        before = -1
        while before < audit.position < upto:
            before = audit.position
            go_on(before + 1)
    if audit.begun.passed(audit.position + 1, upto + 1):
        audit.position = upto
    if audit.position != upto:
        raise Corrupt(f"record {audit.position + 1} is missing")


def _compare_heads(audit: _Audit, reader: Reader) -> None:
    """Compare where the streams end with where the index of the store says that they do.

    A stream may have grown since it was walked, but not shrunk and not changed.
    """
    heads = reader.heads()
    for stream, (version, chained) in audit.heads.items():
        head = heads.get(audit.name(stream), Head(0, b""))
        if head.version < version or (head.version == version and head.chain != chained):
            raise Corrupt(f"the head of {audit.name(stream)} is not its newest record")


def _report(audit: _Audit, bad: BadRecord | None) -> Report:
    good = audit.position if bad is None else min(audit.position, bad.position - 1)
    report = Report(
        ok=bad is None,
        records=good - audit.begun.skipped,
        archived=audit.begun.skipped,
        streams=len(audit.heads),
        last_good_position=good,
        commitments=audit.commitments,
        erased=audit.erased,
        anchors=audit.anchors,
        last_good_anchor=audit.anchored,
        proven=audit.proven,
    )
    if bad is None:
        return report
    return msgspec.structs.replace(
        report,
        first_bad_position=bad.position,
        stream=bad.stream,
        version=bad.version,
        reason=bad.reason,
    )
