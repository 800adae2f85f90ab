"""What an audit found, of a log (`verify`) or of a bundle (`verify_bundle`)."""

import msgspec


class Anchored(msgspec.Struct, frozen=True):
    """The newest anchor that agrees with the log: its position and its time (UTC ns)."""

    position: int
    at: int


class Report(msgspec.Struct, frozen=True):
    """What an audit found. Where `ok` is false, the log is as written up to `last_good_position`.

    `records` were read. `archived` ones were not: they rest on the records that stand for them,
    unless their bundles were asked for and `proven` counts them. `erased` counts the commitments
    whose value was erased from the vault since: that is allowed. `anchors` counts those that agree;
    one that was taken before what is archived now agrees only where the bundles are proven. There
    is no `first_bad_position` where an anchor itself is bad: the log may be as written, but
    after the last good anchor nothing vouches for it.
    """

    ok: bool
    records: int
    streams: int
    last_good_position: int
    commitments: int = 0
    erased: int = 0
    first_bad_position: int | None = None
    stream: str | None = None
    version: int | None = None
    reason: str | None = None
    anchors: int = 0
    archived: int = 0
    last_good_anchor: Anchored | None = None
    proven: int | None = None
