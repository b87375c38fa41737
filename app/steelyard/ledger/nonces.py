"""The nonces of one account key at one node: counted here, one writer at a time.

The node's own count lags behind a fast sender, so it is read only at the start and after an
error. A nonce counts as used when the node has taken its transaction, never before: what was
refused, or given up half-way, leaves no hole. What the node took and has not put into a block is
remembered, so that it can be sent again as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A signed transaction and the parties (base64 keys) whose privacy managers get its payload.

    `digest` names the payload.
    """

    nonce: int
    hash: str
    raw: str = field(repr=False)
    parties: tuple[str, ...]
    digest: bytes


class Nonces:
    """The next nonce and the transactions under way. Hold `lock` while sending."""

    def __init__(self, read_pending: Callable[[], Awaitable[int]]) -> None:
        self.lock = asyncio.Lock()
        self.unclear: Outgoing | None = None
        """Sent, and the answer was lost: to be cleared up before anything else is sent."""
        self._read_pending = read_pending
        self._next: int | None = None
        self._under_way: dict[int, Outgoing] = {}

    async def next(self) -> int:
        """The nonce to sign with. Asking again gives the same one until `taken` or `forget`."""
        if self._next is None:
            self._next = await self._read_pending()
        return self._next

    def taken(self, transaction: Outgoing) -> None:
        """The node has the transaction in its pool or in a block."""
        self._under_way[transaction.nonce] = transaction
        if self._next is None or self._next <= transaction.nonce:
            self._next = transaction.nonce + 1

    def forget(self) -> None:
        """Ask the node again before the next transaction: someone else used the nonce."""
        self._next = None

    def mined(self, nonce: int) -> None:
        """A block holds this nonce, so that all before it are used up as well."""
        for done in [one for one in self._under_way if one <= nonce]:
            del self._under_way[done]

    def under_way(self, nonce: int) -> Outgoing | None:
        """Our transaction with this nonce, unless we have seen it in a block."""
        return self._under_way.get(nonce)
