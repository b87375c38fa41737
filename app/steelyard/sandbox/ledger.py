"""The consortium without its servers: chain, pool, nodes, and how a block is made."""

import asyncio
import math
import time
from collections.abc import Generator, Sequence
from typing import Protocol, cast

from steelyard.sandbox.chain import GAS_LIMIT, Block, Chain, PublicReceipt, context_of
from steelyard.sandbox.codec import EMPTY_BLOOM, bloom, intrinsic_gas
from steelyard.sandbox.errors import TesseraError, server_error
from steelyard.sandbox.node import Node
from steelyard.sandbox.pool import Pool
from steelyard.sandbox.privacy import PrivacyNetwork
from steelyard.sandbox.state import BlockContext, Outcome, WorldState
from steelyard.sandbox.transaction import Transaction

_BREATH = 0.01  # seconds for which a block's execution may keep answers waiting


class BlockWatcher(Protocol):
    """Is told of each block before anyone else can see it."""

    def made(self, block: Block) -> None:
        """A block was made."""
        ...


class SharedLedger:
    """What all nodes agree on, and the nodes with what each alone knows."""

    def __init__(self, nodes: Sequence[Node], validators: Sequence[bytes], chain_id: int) -> None:
        self.nodes = tuple(nodes)
        self.chain_id = chain_id
        self.chain = Chain(validators)
        self.privacy = PrivacyNetwork([node.manager for node in nodes])
        self.watcher: BlockWatcher | None = None
        self._making = asyncio.Lock()
        self.public = WorldState(chain_id)
        self.receipts: dict[bytes, PublicReceipt] = {}
        self.nonces: dict[bytes, int] = {}
        self.nonce_history: dict[bytes, list[tuple[int, int]]] = {}
        self.pool = Pool(GAS_LIMIT, lambda sender: self.nonces.get(sender, 0))

    def send_private(self, node: Node, transaction: Transaction, parties: Sequence[str]) -> None:
        """Hand the payload to the parties, then put the transaction into the pool.

        Raises RpcError, in the order in which GoQuorum finds fault, and Ended.
        """
        if transaction.data:
            node.need_manager()
            try:
                self.privacy.distribute(node.manager, digest_of(transaction), parties)
            except TesseraError as error:
                raise server_error(f"{error.status} status: {error.message}") from error
        self.send(node, transaction)

    def send(self, node: Node, transaction: Transaction) -> None:
        """Put a transaction into the pool. Raises RpcError."""
        transaction.check_signer(self.chain_id)
        self.pool.add(transaction, node.name)

    def nonce_at(self, address: bytes, number: int) -> int:
        """An account's nonce after a block."""
        found = 0
        for block, nonce in self.nonce_history.get(address, ()):
            if block > number:
                break
            found = nonce
        return found

    async def make_block(self, timestamp: int, seconds: float) -> Block:
        """Execute what the pool has and append the block; answers go on between transactions.

        What does not run within so many seconds waits for the next block. Time never goes back.
        """
        async with self._making:
            timestamp = max(timestamp, self.chain.head.timestamp)
            steps = self._append(self.pool.take(GAS_LIMIT), timestamp, seconds)
            breath = time.monotonic() + _BREATH
            while True:
                try:
                    next(steps)
                except StopIteration as made:
                    return cast("Block", made.value)
                if time.monotonic() > breath:
                    await asyncio.sleep(0)
                    breath = time.monotonic() + _BREATH

    def apply(self, transactions: Sequence[Transaction], timestamp: int) -> Block:
        """Execute exactly these transactions and append their block, as on a replay."""
        steps = self._append(transactions, timestamp, math.inf)
        while True:
            try:
                next(steps)
            except StopIteration as made:
                return cast("Block", made.value)

    def _append(
        self, waiting: Sequence[Transaction], timestamp: int, seconds: float
    ) -> Generator[None, None, Block]:
        """Make a block; stops after each transaction, when the states are ahead of the head.

        Nobody sees that: calls are answered from the states after the head's block.
        """
        number = self.chain.head.number + 1
        validators = self.chain.validators
        context = BlockContext(number, timestamp, validators[number % len(validators)])
        deadline = time.monotonic() + seconds
        transactions: list[Transaction] = []
        receipts: list[PublicReceipt] = []
        gas = first_log = 0
        for transaction in waiting:
            receipt = self._execute(transaction, context, gas, first_log)
            gas = receipt.cumulative_gas
            first_log += len(receipt.logs)
            transactions.append(transaction)
            receipts.append(receipt)
            if time.monotonic() > deadline:
                break
            yield
        block = self.chain.compose(timestamp, transactions, receipts, self.nonces)
        if self.watcher is not None:
            self.watcher.made(block)
        self.chain.append(block)
        for transaction, receipt in zip(transactions, receipts, strict=True):
            self.receipts[transaction.hash] = receipt
            self.pool.remove(transaction)
        return block

    def _execute(
        self, transaction: Transaction, context: BlockContext, gas: int, first_log: int
    ) -> PublicReceipt:
        self._set_nonce(transaction.sender, transaction.nonce + 1, context.number)
        if transaction.is_private:
            if transaction.contract is not None:
                # The public state has the account of a private contract, and nothing of its code.
                self._set_nonce(transaction.contract, 1, context.number)
            for node in self.nodes:
                node.execute(transaction, context)
            return PublicReceipt(cumulative_gas=gas)
        outcome = self._execute_publicly(transaction, context)
        parts = [part for log in outcome.logs for part in (log.address, *log.topics)]
        return PublicReceipt(
            success=outcome.success,
            gas_used=outcome.gas_used,
            cumulative_gas=gas + outcome.gas_used,
            bloom=bloom(parts) if parts else EMPTY_BLOOM,
            logs=outcome.logs,
            first_log=first_log,
        )

    def _execute_publicly(self, transaction: Transaction, context: BlockContext) -> Outcome:
        outcome = self.public.execute(
            transaction.sender,
            transaction.nonce,
            transaction.to,
            transaction.data,
            transaction.gas - intrinsic_gas(transaction.data, creates=transaction.creates),
            context,
        )
        if outcome.success and transaction.contract is not None:
            self._set_nonce(transaction.contract, 1, context.number)
        return outcome

    def _set_nonce(self, address: bytes, nonce: int, number: int) -> None:
        self.nonces[address] = nonce
        history = self.nonce_history.setdefault(address, [])
        if history and history[-1][0] == number:
            history[-1] = (number, nonce)
        else:
            history.append((number, nonce))

    def context(self, number: int) -> BlockContext:
        """What a call after a block sees."""
        return context_of(self.chain.blocks[number])


def digest_of(transaction: Transaction) -> bytes:
    """The privacy manager's hash in a private transaction, cut or padded as GoQuorum does."""
    return transaction.data[:64].rjust(64, b"\0")
