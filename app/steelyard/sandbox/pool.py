"""Transactions that wait for a block, with the checks and words of GoQuorum's pool."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from steelyard.sandbox.codec import intrinsic_gas
from steelyard.sandbox.errors import server_error
from steelyard.sandbox.transaction import Transaction

SIZE_LIMIT = 128 * 1024  # the genesis' txnSizeLimit
_SLOTS_OF_A_SENDER = 16_384


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction in the pool and the node that took it."""

    transaction: Transaction
    origin: str


class PoolWatcher(Protocol):
    """Is told what waits, so that it can be kept."""

    def taken(self, waiting: Waiting) -> None:
        """A node took a transaction."""
        ...

    def lost(self, origin: str) -> None:
        """What a node took and waited is forgotten."""
        ...


class Pool:
    """One pool for the consortium; gossip is immediate, but for transactions behind a gap."""

    def __init__(self, gas_limit: int, next_nonce: Callable[[bytes], int]) -> None:
        self._gas_limit = gas_limit
        self._next_nonce = next_nonce
        self._senders: dict[bytes, dict[int, Waiting]] = {}
        self._hashes: dict[bytes, Waiting] = {}
        self._arrived = asyncio.Event()
        self.watcher: PoolWatcher | None = None

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, transaction: Transaction, origin: str) -> None:
        """Take a transaction. Raises RpcError with what is wrong with it."""
        if transaction.hash in self._hashes:
            raise server_error("already known")
        self._validate(transaction)
        queue = self._senders.setdefault(transaction.sender, {})
        if transaction.nonce in queue:
            raise server_error("replacement transaction underpriced")
        if len(queue) >= _SLOTS_OF_A_SENDER:
            raise server_error("txpool is full")
        waiting = Waiting(transaction, origin)
        queue[transaction.nonce] = waiting
        self._hashes[transaction.hash] = waiting
        if self.watcher is not None:
            self.watcher.taken(waiting)
        self._arrived.set()

    def _validate(self, transaction: Transaction) -> None:
        if len(transaction.raw) > SIZE_LIMIT:
            raise server_error("oversized data")
        if transaction.gas > self._gas_limit:
            raise server_error("exceeds block gas limit")
        sender = transaction.sender
        if transaction.gas_price:
            raise server_error("Gas price not 0")
        if transaction.is_private and (not transaction.data or transaction.value):
            raise server_error("ether value is not supported for private transactions")
        if transaction.nonce < self._next_nonce(sender):
            raise server_error("nonce too low")
        if transaction.value:
            raise server_error("insufficient funds for gas * price + value")
        if transaction.gas < intrinsic_gas(transaction.data, creates=transaction.creates):
            raise server_error("intrinsic gas too low")

    def get(self, transaction_hash: bytes, node: str) -> Transaction | None:
        """A waiting transaction as a node sees it: others' nodes do not hear of queued ones."""
        waiting = self._hashes.get(transaction_hash)
        if waiting is None:
            return None
        seen = waiting.origin == node or self._is_executable(waiting.transaction)
        return waiting.transaction if seen else None

    def _is_executable(self, transaction: Transaction) -> bool:
        return transaction.nonce < self.pending_nonce(transaction.sender)

    def pending_nonce(self, sender: bytes) -> int:
        """The nonce after the transactions that wait without a gap."""
        nonce = self._next_nonce(sender)
        queue = self._senders.get(sender, {})
        while nonce in queue:
            nonce += 1
        return nonce

    def has_executable(self) -> bool:
        """Whether the next block would have a transaction."""
        return any(self._next_nonce(sender) in queue for sender, queue in self._senders.items())

    async def work(self) -> None:
        """Wait until the next block would have a transaction."""
        while not self.has_executable():
            self._arrived.clear()
            await self._arrived.wait()

    def take(self, gas_limit: int) -> list[Transaction]:
        """The transactions of the next block, each sender's in the order of nonces.

        They stay in the pool until `remove`.
        """
        taken: list[Transaction] = []
        gas = 0
        for sender, queue in self._senders.items():
            nonce = self._next_nonce(sender)
            while nonce in queue:
                transaction = queue[nonce].transaction
                # A private transaction costs the block its intrinsic gas limit only while it runs.
                if not transaction.is_private:
                    gas += transaction.gas
                if gas > gas_limit:
                    return taken
                taken.append(transaction)
                nonce += 1
        return taken

    def remove(self, transaction: Transaction) -> None:
        """Forget a transaction that is in a block."""
        if self._hashes.pop(transaction.hash, None) is None:
            return
        queue = self._senders[transaction.sender]
        del queue[transaction.nonce]
        if not queue:
            del self._senders[transaction.sender]

    def forget(self, origin: str) -> int:
        """Forget what a node took; gives how many transactions that were."""
        lost = [one.transaction for one in self._hashes.values() if one.origin == origin]
        for transaction in lost:
            self.remove(transaction)
        if self.watcher is not None:
            self.watcher.lost(origin)
        return len(lost)
