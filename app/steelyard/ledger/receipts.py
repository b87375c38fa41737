"""Waiting for the blocks of transactions: one look at a node for all that wait there.

A node is asked for its head, which costs it next to nothing, and only when that has moved for the
receipts, all in one exchange: what it has to answer does not grow with the transactions that wait.
"""

import asyncio
from collections.abc import Sequence

from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.node import Mined, Node

_AT_ONCE = 100  # receipts in one exchange


class Receipts:
    """The receipts of one node, for any number of waiters. `poll` is in seconds."""

    def __init__(self, node: Node, poll: float) -> None:
        self._node = node
        self._poll = poll
        self._waiting: dict[str, asyncio.Future[Mined]] = {}
        self._unseen: set[str] = set()  # waited for since the last look: may be in an old block
        self._task: asyncio.Task[None] | None = None

    async def wait(self, transaction_hash: str, seconds: float) -> Mined | None:
        """The transaction's receipt, or None where there is none after so many seconds.

        That the node does not answer is no error here: it has the transaction, and tells later.
        """
        waiter = self._waiting.get(transaction_hash)
        if waiter is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting[transaction_hash] = waiter
        self._unseen.add(transaction_hash)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        done, _ = await asyncio.wait([waiter], timeout=seconds)
        return waiter.result() if done else None

    def forget(self, transaction_hash: str) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(transaction_hash, None)
        self._unseen.discard(transaction_hash)

    async def close(self) -> None:
        """Stop looking; whoever waits gets nothing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        seen = -1
        while self._waiting:
            await asyncio.sleep(self._poll)
            wanted = set(self._unseen)
            try:
                head = await self._node.block_number()
                await self._look(list(self._waiting) if head != seen else list(wanted))
            except NodeUnavailable:
                continue
            seen = head
            self._unseen -= wanted

    async def _look(self, hashes: Sequence[str]) -> None:
        for at in range(0, len(hashes), _AT_ONCE):
            chunk = hashes[at : at + _AT_ONCE]
            for name, mined in zip(chunk, await self._node.mined_many(chunk), strict=True):
                waiter = self._waiting.get(name)
                # A node that mixes up its answers must not give tickets another one's receipt.
                if mined is not None and waiter is not None and mined.transaction_hash == name:
                    self.forget(name)
                    waiter.set_result(mined)
