"""Sending the private transactions of one key through one node, each exactly once.

Only the node's taking of a transaction goes one by one (docs/decisions/ledger-nonces.md);
storing payloads before it and waiting for blocks after it happen side by side.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

import structlog

from steelyard.ledger.encoding import to_hex
from steelyard.ledger.errors import LedgerProblem, NodeUnavailable, TransactionPending
from steelyard.ledger.jsonrpc import NodeError, NodeUnreached
from steelyard.ledger.node import Mined, Node
from steelyard.ledger.nonces import Nonces, Outgoing
from steelyard.ledger.protocol import NodeRef, SigningKey
from steelyard.ledger.receipts import Receipts
from steelyard.ledger.refusals import Verdict, judge, problem_of
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.signer import PrivateTransaction, sign
from steelyard.ledger.tessera import Tessera

logger = structlog.get_logger(__name__)

_Result = TypeVar("_Result")
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds, after someone else used our nonce
_REPLACEMENTS = 3  # how often a transaction is signed anew because its nonce went to another


@dataclass(frozen=True, slots=True)
class Order:
    """A private transaction to be made. `to` is None for a deployment."""

    key: SigningKey
    to: str | None
    payload: bytes = field(repr=False)
    gas: int
    parties: tuple[str, ...]


class _RefusedError(Exception):
    """The node certainly did not take the transaction, and its nonce is free."""

    def __init__(self, problem: LedgerProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Sender:
    """One key's transactions at one node. No state of it needs to survive the process."""

    def __init__(
        self,
        address: str,
        ref: NodeRef,
        node: Node,
        receipts: Receipts,
        tessera: Tessera,
        settings: LedgerSettings,
    ) -> None:
        self._address = address
        self._ref = ref
        self._node = node
        self._receipts = receipts
        self._tessera = tessera
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.nonces = Nonces(lambda: node.transaction_count(address, "pending"))

    async def execute(self, order: Order) -> Mined:
        """Make the transaction and wait for its block, whether it succeeded there or not.

        Raises TransactionPending when the node took it and no block did in time, and other
        LedgerProblems when it was not taken. The caller may be cancelled at any time.
        """
        async with self._slots:
            for _ in range(_REPLACEMENTS):
                sent = await self._uninterrupted(self._hand_over(order))
                mined = await self._wait_for_block(order.key, sent)
                if mined is not None:
                    return mined
        raise self._crowded()

    async def close(self) -> None:
        """Let what is being handed over come to its end."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=self._settings.send_timeout)
        for task in set(self._tasks):
            task.cancel()

    # -- handing over to the node

    async def _hand_over(self, order: Order) -> Outgoing:
        digest = await self._store(order.payload)
        async with self.nonces.lock:
            await self._clear_up()
            for pause in _PAUSES:
                nonce = await self.nonces.next()
                outgoing = _sign(order, nonce, digest)
                if await self._offer(outgoing):
                    return outgoing
                logger.info("nonce used elsewhere", node=self._ref.name, nonce=nonce)
                self.nonces.forget()
                await asyncio.sleep(pause)
                # A payload's name can be distributed once only, and this one may have been.
                digest = await self._store(order.payload)
        raise self._crowded()

    async def _store(self, payload: bytes) -> bytes:
        return await self._tessera.store_raw(payload, self._ref.tessera_key)

    async def _offer(self, outgoing: Outgoing) -> bool:
        """Whether the node took it; if not, another transaction has the nonce."""
        self.nonces.unclear = outgoing
        try:
            taken = await self._give_or_recover(outgoing)
        except NodeUnreached:
            self.nonces.unclear = None
            raise
        except _RefusedError as refused:
            self.nonces.unclear = None
            raise refused.problem from None
        self.nonces.unclear = None
        if taken:
            self.nonces.taken(outgoing)
        return taken

    async def _give_or_recover(self, outgoing: Outgoing) -> bool:
        try:
            return await self._give(outgoing)
        except NodeUnreached:
            raise
        except NodeUnavailable:
            logger.warning("answer lost", node=self._ref.name, transaction=outgoing.hash)
        try:
            return await self._recover(outgoing, self._settings.recovery_timeout)
        except NodeUnreached as problem:
            # Unlike before, the node may have the transaction: it stays unclear.
            raise NodeUnavailable(problem.detail) from None

    async def _clear_up(self) -> None:
        """Find out about the transaction whose answer was lost, before another is sent."""
        outgoing = self.nonces.unclear
        if outgoing is None:
            return
        try:
            taken = await self._recover(outgoing, 0)
        except _RefusedError:
            taken = False
        self.nonces.unclear = None
        if taken:
            self.nonces.taken(outgoing)
        else:
            self.nonces.forget()

    async def _recover(self, outgoing: Outgoing, patience: float) -> bool:
        """Look for the transaction, else send the very same again, until the node answers."""
        until = monotonic() + patience
        while True:
            try:
                return await self._is_known(outgoing) or await self._give(outgoing)
            except NodeUnavailable:
                if monotonic() >= until:
                    raise
            await asyncio.sleep(self._settings.poll_seconds)

    async def _give(self, outgoing: Outgoing) -> bool:
        """Send once. True: taken. False: the nonce belongs to another transaction.

        Raises _RefusedError when it is certainly not taken, NodeUnavailable when nobody knows.
        """
        wait = self._settings.send_timeout
        try:
            await self._node.send_private(outgoing.raw, outgoing.parties, wait)
        except NodeError as error:
            verdict = judge(error)
            if not await self._was_distributed(outgoing, verdict):
                return await self._follow(outgoing, verdict, error)
        else:
            return True
        try:
            await self._node.send_raw(outgoing.raw, wait)
        except NodeError as error:
            return await self._follow(outgoing, judge(error), error)
        return True

    async def _was_distributed(self, outgoing: Outgoing, verdict: Verdict) -> bool:
        """Whether the parties have the payload: the node tells, or its privacy manager has it."""
        if verdict is Verdict.UNEXPLAINED:
            return bool(await self._node.payload(to_hex(outgoing.digest)))
        return verdict is Verdict.DISTRIBUTED

    async def _follow(self, outgoing: Outgoing, verdict: Verdict, error: NodeError) -> bool:
        if verdict is Verdict.KNOWN:
            return True
        if verdict is Verdict.NONCE_USED:
            return await self._is_known(outgoing)
        logger.warning("transaction refused", node=self._ref.name, reason=error.message[:200])
        raise _RefusedError(problem_of(error, self._ref.name))

    async def _is_known(self, outgoing: Outgoing) -> bool:
        return await self._node.transaction(outgoing.hash) is not None

    # -- waiting for the block

    async def _wait_for_block(self, key: SigningKey, sent: Outgoing) -> Mined | None:
        """The receipt, or None when another transaction has certainly used the nonce."""
        settings = self._settings
        until = monotonic() + settings.confirm_timeout
        try:
            while (left := until - monotonic()) > 0:
                mined = await self._receipts.wait(sent.hash, min(settings.stall_after, left))
                if mined is not None:
                    self.nonces.mined(sent.nonce)
                    return mined
                if not await self._uninterrupted(self._look_after(key, sent)):
                    return None
        finally:
            self._receipts.forget(sent.hash)
        raise TransactionPending(
            f"The transaction {sent.hash} is in no block after {settings.confirm_timeout:g} s"
        )

    async def _look_after(self, key: SigningKey, sent: Outgoing) -> bool:
        """See that a transaction which no block takes can be mined. False: it never will."""
        async with self.nonces.lock:
            try:
                if await self._is_known(sent):
                    await self._fill_gap_before(key, sent.nonce)
                    return True
                logger.warning("transaction lost", node=self._ref.name, transaction=sent.hash)
                if await self._give(sent):
                    return True
            except (NodeUnavailable, _RefusedError):
                return True  # it is tried again after the next pause
            self.nonces.forget()
            return False

    async def _fill_gap_before(self, key: SigningKey, nonce: int) -> None:
        """Supply what the node misses before `nonce`: our own transactions, else empty ones.

        A node queues what comes after a gap without a word. Where its count only lags, it
        refuses what it has.
        """
        first = await self._node.transaction_count(self._address, "pending")
        for missing in range(first, nonce):
            ours = self.nonces.under_way(missing) or await self._filler(key, missing)
            logger.info("nonce gap filled", node=self._ref.name, nonce=missing)
            await self._give(ours)

    async def _filler(self, key: SigningKey, nonce: int) -> Outgoing:
        """A transaction to the key's own address, private to this node, that does nothing."""
        digest = await self._store(b"\0")
        order = Order(key, self._address, b"", self._settings.gas_base, ())
        return _sign(order, nonce, digest)

    # -- tasks

    async def _uninterrupted(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Await work that goes on when the caller is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            # The caller gets it, if there is still one; asyncio must not report it as unseen.
            logger.debug("hand-over ended", node=self._ref.name, problem=type(problem).__name__)

    def _crowded(self) -> NodeUnavailable:
        return NodeUnavailable(
            f"Another process keeps sending with the same key through the node {self._ref.name}"
        )


def _sign(order: Order, nonce: int, digest: bytes) -> Outgoing:
    signed = sign(order.key, PrivateTransaction(nonce, order.gas, order.to, digest))
    return Outgoing(nonce, signed.hash, signed.raw, order.parties, digest)
