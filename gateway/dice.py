"""Where chance comes from: ids, tokens, salts and jitter, injected so that a test owns them."""

from __future__ import annotations

import random

TOKEN_BYTES = 9
"""72 random bits a token: no two of a log meet, and none says anything about its value."""


class Dice:
    """Draws from the system's randomness, or from a seed."""

    def __init__(self, seed: int | None = None) -> None:
        self._random: random.Random = random.SystemRandom() if seed is None else random.Random(seed)

    def record_id(self, now: int) -> bytes:
        """A UUIDv7 in 16 bytes for an instant (UTC ns): 48 bits of milliseconds, then chance."""
        number = (now // 1_000_000 & (1 << 48) - 1) << 80 | self._random.getrandbits(80)
        number = number & ~(0xF << 76) | 0x7 << 76
        number = number & ~(0x3 << 62) | 0x2 << 62
        return number.to_bytes(16, "big")

    def token(self, prefix: str) -> str:
        """A new token of the vault, such as `idn_…`."""
        return prefix + self._random.randbytes(TOKEN_BYTES).hex()

    def salt(self) -> bytes:
        """The salt of a commitment."""
        return self._random.randbytes(16)

    def jitter(self, share: float) -> int:
        """A share of a delay to add, from 0 to `share`, in millionths."""
        return self._random.randrange(int(share * 1_000_000) + 1) if share > 0 else 0
