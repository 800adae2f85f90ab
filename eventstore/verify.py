"""Audits a log: every record is what was written, where it was written, and none is missing.

What this catches: any changed, missing, moved or doubled record, columns that say something else
than the hashed bytes, and vault values that are not those that were committed to. What it doesn't:
records cut off the end, and chains that were computed anew. Those are caught by an anchor that was
taken before (`anchors`), where whoever did it could not change it too.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

import msgspec
import orjson

from . import chain
from .anchors import Anchor, BadAnchor
from .beginnings import Beginnings
from .errors import Corrupt
from .records import Head, Record
from .report import Anchored, Report
from .store import Reader

__all__ = ["Anchored", "Report", "verify"]

_Row = tuple[int, int | str, int, bytes, bytes, bytes]


class _Stimulus(msgspec.Struct, gc=False):
    stimulus: str
    at: int
    reply: str | None = None


class _Changes(msgspec.Struct, gc=False):
    state: str | msgspec.UnsetType | None = msgspec.UNSET


class _Outcome(msgspec.Struct, gc=False):
    changes: _Changes | None = None


class _Content(msgspec.Struct):
    stimulus: _Stimulus
    outcome: _Outcome | None = None
    commitments: dict[str, str] | None = None


class _BadRecord(Exception):
    """A record that is not as it was written."""

    def __init__(self, position: int, stream: str | None, version: int | None, reason: str) -> None:
        super().__init__(reason)
        self.position, self.stream, self.version, self.reason = position, stream, version, reason


class _Audit:
    """How far an audit came, and what it learnt of every stream."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._decoder = msgspec.json.Decoder(_Content)
        self.position = 0
        # By the number of the stream where chains alone are walked, else by its name.
        self.heads: dict[int | str, tuple[int, bytes]] = {}
        self.commitments = 0
        self.erased = 0
        self.begun = Beginnings(reader)
        self._states = self.begun.states
        self.anchors = 0
        self.anchored: Anchored | None = None

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
            except _BadRecord as earlier:
                bad = earlier
            if promised:
                self._check_vault(promised)
            if bad is not None:
                raise bad

    def agree(self, anchor: Anchor) -> None:
        """Compare where the streams end at the position of an anchor with what it says."""
        heads = {self.name(stream): head for stream, head in self.heads.items()}
        good = self.anchored.position if self.anchored is not None else 0
        for stream in sorted({*heads, *anchor.heads}):
            said, (version, chained) = anchor.heads.get(stream), heads.get(stream, (0, b""))
            if said is not None and said.version <= self.begun.head(stream)[0]:
                version, chained = self.begun.head(stream)
                if said.version < version:
                    continue  # the bundle has it
            if said is None or (said.version, said.chain) != (version, chained.hex()):
                where = f"between positions {good + 1} and {anchor.position}"
                reason = f"{where} the log is not what was anchored"
                raise _BadRecord(good + 1, stream, None, reason)
        self.anchors += 1
        self.anchored = Anchored(anchor.position, anchor.at)

    def _walk(self, page: Sequence[_Row]) -> tuple[int, _BadRecord | None]:
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
                    bad = _diagnose(
                        position, expected, self.name(stream), version, head, leaf, body
                    )
                    break
            except TypeError:
                bad = _BadRecord(expected, self.name(stream), version, "the record has no bytes")
                break
            heads[stream] = (version, chained)
        else:
            expected += 1
        self.position = expected - 1
        return self.position - start, bad

    def _compare(self, record: Record) -> _Content:
        try:
            content = self._decoder.decode(record.body)
            written = orjson.dumps(orjson.loads(record.body))
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise _bad(record, "the bytes are not the content of a record") from None
        if written != record.body:
            raise _bad(record, "the bytes are JSON of another hand: a key may stand there twice")
        stimulus, outcome, stream = content.stimulus, content.outcome, record.stream
        if outcome is not None and outcome.changes is not None:
            state = outcome.changes.state
            if state is not msgspec.UNSET:
                self._states[stream] = state
        if record.type != stimulus.stimulus:
            raise _bad(record, "the column type is not what the record says")
        if record.at != stimulus.at:
            raise _bad(record, "the column at is not what the record says")
        if record.reply != stimulus.reply:
            raise _bad(record, "the column reply is not what the record says")
        if record.state != self._states.get(stream):
            raise _bad(record, "the column state is not what the records say")
        return content

    def _check_vault(self, promised: list[tuple[Record, dict[str, str]]]) -> None:
        entries = self._reader.vault_entries({token for _, tokens in promised for token in tokens})
        for record, tokens in promised:
            for token, promise in tokens.items():
                entry = entries.get(token)
                if entry is None:
                    self.erased += 1
                elif chain.commitment(entry.salt, entry.kind, entry.value).hex() != promise:
                    raise _bad(record, f"the vault's value of {token} was changed")
                self.commitments += 1


def verify(reader: Reader, *, columns: bool = True, anchors: Iterable[Anchor] = ()) -> Report:
    """Audit a log up to its newest record; other processes may append meanwhile.

    `columns` compares the columns with the hashed bytes and the vault with its commitments too;
    without it only the chains are walked, at more than 400,000 records a second. `anchors`, by
    position, are compared on the way (`anchors.read_anchors`). Raises `StoreUnavailable` where the
    log can't be read; what is damaged is in the report.
    """
    audit = _Audit(reader)
    go_on = audit.records if columns else audit.links
    doubt: BadAnchor | None = None
    try:
        upto = reader.last_position()
        try:
            for anchor in anchors:
                if anchor.position > upto:
                    upto = reader.last_position()  # it may have been taken since
                _reach(audit, go_on, min(anchor.position, upto))
                if anchor.position > upto:
                    reason = f"an anchor knows of records up to position {anchor.position}"
                    raise _BadRecord(upto + 1, None, None, reason)
                audit.agree(anchor)
        except BadAnchor as error:
            doubt = error
        _reach(audit, go_on, upto)
        audit.begun.check_complete()
        _compare_heads(audit, reader)
    except Corrupt as error:
        return _report(audit, _BadRecord(audit.position + 1, None, None, error.message))
    except _BadRecord as bad:
        return _report(audit, bad)
    report = _report(audit, None)
    if doubt is None:
        return report
    good = report.last_good_anchor.position if report.last_good_anchor is not None else 0
    return msgspec.structs.replace(report, ok=False, last_good_position=good, reason=doubt.message)


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


def _diagnose(
    position: int,
    expected: int,
    stream: str,
    version: int,
    head: tuple[int, bytes],
    leaf: bytes,
    body: bytes,
) -> _BadRecord:
    if position != expected:
        reason = f"record {expected} is missing"
    elif chain.leaf(body) != leaf:
        reason = "the bytes of the record are not what was hashed"
    elif version != head[0] + 1:
        reason = f"version {version} follows version {head[0]} of its stream"
    else:
        reason = "the chain does not continue from the record before"
    return _BadRecord(expected, stream, version, reason)


def _bad(record: Record, reason: str) -> _BadRecord:
    return _BadRecord(record.position, record.stream, record.version, reason)


def _report(audit: _Audit, bad: _BadRecord | None) -> Report:
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
