"""A node: what it alone knows, because its privacy manager got the payload."""

from collections.abc import Callable
from dataclasses import dataclass

from steelyard.sandbox.codec import intrinsic_gas
from steelyard.sandbox.errors import Ended
from steelyard.sandbox.privacy import PrivacyManager
from steelyard.sandbox.state import BlockContext, Log, Outcome, WorldState
from steelyard.sandbox.transaction import Transaction


@dataclass(frozen=True, slots=True)
class PrivateResult:
    """How a private transaction ended at a party's node. `first_log` counts within the block."""

    success: bool
    logs: tuple[Log, ...]
    first_log: int


class Node:
    """One node of the consortium with its privacy manager and its private state."""

    def __init__(self, name: str, manager: PrivacyManager, chain_id: int) -> None:
        self.name = name
        self.manager = manager
        self.state = WorldState(chain_id)
        self.results: dict[bytes, PrivateResult] = {}
        self.on_end: Callable[[], None] | None = None
        self._log_counts: tuple[int, int] = (0, 0)

    def need_manager(self) -> None:
        """Raises Ended when the privacy manager is away, as GoQuorum exits (status 112)."""
        if not self.manager.up:
            raise Ended

    def execute(self, transaction: Transaction, context: BlockContext) -> Outcome | None:
        """Run a private transaction here if this node is a party; None if it is not.

        A node whose privacy manager is away ends over it, a party or not, and catches up later.
        """
        if not self.manager.up and self.on_end is not None:
            self.on_end()
        payload = self.manager.received.get(transaction.data[:64].rjust(64, b"\0"))
        if payload is None:
            return None
        outcome = self.state.execute(
            transaction.sender,
            transaction.nonce,
            transaction.to,
            payload,
            # The public part's gas is paid for the hash, whatever the payload's size.
            transaction.gas - intrinsic_gas(transaction.data, creates=transaction.creates),
            context,
        )
        block, counted = self._log_counts
        first = counted if block == context.number else 0
        self._log_counts = (context.number, first + len(outcome.logs))
        self.results[transaction.hash] = PrivateResult(outcome.success, outcome.logs, first)
        return outcome
