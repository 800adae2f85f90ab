"""The directory: which live accounts are logged in as whom.

Identities are tokens. An account is found by every token that can lead to it: its own forms, and
those that the library's PN↔LID map ties to them. Whether it is the same person, says `overlap`.
"""

from __future__ import annotations

from ..statemachine.account import Account
from ..statemachine.identity import Identity, overlap


class Directory:
    """Finds live accounts by identity."""

    def __init__(self) -> None:
        self._accounts: dict[str, tuple[Identity, dict[str, str] | None, frozenset[str]]] = {}
        self._by_token: dict[str, set[str]] = {}

    def learn(self, account: str, machine: Account) -> None:
        """The account is live as the identity of its state."""
        identity, links = machine.identity, machine.links
        assert identity is not None
        known = self._accounts.get(account)
        if known is not None:
            if known[0] is identity and known[1] is links:
                return
            self.forget(account)
        tokens = _tokens(identity, links)
        self._accounts[account] = (identity, links, tokens)
        for token in tokens:
            self._by_token.setdefault(token, set()).add(account)

    def forget(self, account: str) -> None:
        """The account is live no more."""
        known = self._accounts.pop(account, None)
        for token in known[2] if known is not None else ():
            holders = self._by_token[token]
            holders.discard(account)
            if not holders:
                del self._by_token[token]

    def find(self, identity: Identity) -> list[str]:
        """The accounts that are live as somebody whom the identity overlaps, by name."""
        candidates: set[str] = set()
        for token in (identity.pn, identity.lid):
            if token is not None:
                candidates |= self._by_token.get(token, set())
        return sorted(
            account
            for account in candidates
            for own, links, _ in [self._accounts[account]]
            if overlap(identity, own, links)
        )


def _tokens(identity: Identity, links: dict[str, str] | None) -> frozenset[str]:
    own = {token for token in (identity.pn, identity.lid) if token is not None}
    if not links:
        return frozenset(own)
    forward = {links[token] for token in own if token in links}
    backward = {token for token, other in links.items() if other in own}
    return frozenset(own | forward | backward)
