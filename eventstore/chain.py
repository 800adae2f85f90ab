"""The hash chain of a stream, and what else is hashed beside it.

Each kind of hash begins with a byte of its own, so that no leaf can be passed off as a link:

    leaf       = sha256(0x00 | record bytes)
    chain      = sha256(0x11 | chain before | leaf)
    commitment = sha256(0x12 | salt | kind | 0x00 | value)
    genesis    = sha256(0x13 | log id | stream)
    anchor     = sha256(0x14 | line of the anchor)
    archived   = sha256(0x15 | log id | stream | "/" | last version), cut to a UUID
"""

from hashlib import sha256


def leaf(body: bytes) -> bytes:
    """Hash the stored bytes of a record."""
    return sha256(b"\x00" + body).digest()


def link(previous: bytes, leaf: bytes) -> bytes:
    """Hash a record's leaf onto the chain of its stream."""
    return sha256(b"\x11" + previous + leaf).digest()


def genesis(log_id: bytes, stream: str) -> bytes:
    """Begin the chain of a stream: no two logs and no two streams begin alike."""
    return sha256(b"\x13" + log_id + stream.encode()).digest()


def commitment(salt: bytes, kind: str, value: str) -> bytes:
    """Commit to a value of the vault without telling it.

    The salt has 16 bytes or more: without it a phone number could be guessed from its hash.
    """
    return sha256(b"\x12" + salt + kind.encode() + b"\x00" + value.encode()).digest()


def anchor(line: bytes) -> bytes:
    """Hash an anchor's line, which the next anchor names."""
    return sha256(b"\x14" + line).digest()


def archived(log_id: bytes, stream: str, last: int) -> bytes:
    """Hash what a record stands for, of which the id follows: a stream up to its version `last`."""
    return sha256(b"\x15" + log_id + f"{stream}/{last}".encode()).digest()
