"""What keeps a consortium over restarts: it writes down what happens, and brings it back."""

from steelyard.sandbox.chain import Block
from steelyard.sandbox.errors import RpcError, SandboxProblem
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.pool import Waiting
from steelyard.sandbox.privacy import PrivacyManager
from steelyard.sandbox.rlp import Item
from steelyard.sandbox.store import BLOCK, HELD, LOST, RAW, WAITING, LedgerStore
from steelyard.sandbox.transaction import decode_transaction


class Keeper:
    """Ties a ledger to its store."""

    def __init__(self, ledger: SharedLedger, store: LedgerStore) -> None:
        self._ledger = ledger
        self._store = store
        self._managers = [node.manager for node in ledger.nodes]
        self._indexes = {manager.name: i for i, manager in enumerate(self._managers)}

    def restore(self) -> None:
        """Replay the log into the ledger, and write down everything from then on.

        Executes every transaction again. Raises SandboxProblem if a block comes out different.
        """
        payloads: dict[bytes, bytes] = {}
        for record in self._store.replay():
            self._apply(record, payloads)
        self._ledger.privacy.watcher = self
        self._ledger.pool.watcher = self
        self._ledger.watcher = self

    def taken(self, waiting: Waiting) -> None:
        """A node took a transaction: it waits on after a restart, as in geth's journal."""
        self._store.append([WAITING, self._indexes[waiting.origin], waiting.transaction.raw])

    def lost(self, origin: str) -> None:
        """What a node took and waited is forgotten."""
        self._store.append([LOST, self._indexes[origin]])

    def stored(self, manager: PrivacyManager, digest: bytes, payload: bytes) -> None:
        """A payload was stored at its sender's manager."""
        self._store.append([RAW, self._indexes[manager.name], digest, payload])

    def held(self, manager: PrivacyManager, digest: bytes) -> None:
        """A manager has a payload that may take part in the chain."""
        self._store.append([HELD, self._indexes[manager.name], digest])

    def made(self, block: Block) -> None:
        """A block was made; one that says something is on the disk before it is seen."""
        raws = [transaction.raw for transaction in block.transactions]
        self._store.append([BLOCK, block.timestamp, block.hash, raws], durably=bool(raws))

    def _apply(self, record: list[Item], payloads: dict[bytes, bytes]) -> None:
        try:
            match record:
                case [kind, bytes(index), bytes(digest), bytes(payload)] if kind == RAW:
                    payloads[digest] = payload
                    self._manager(index).raw[digest] = payload
                case [kind, bytes(index), bytes(digest)] if kind == HELD:
                    self._manager(index).received[digest] = payloads[digest]
                case [kind, bytes(index), bytes(raw)] if kind == WAITING:
                    self._ledger.pool.add(decode_transaction(raw), self._manager(index).name)
                case [kind, bytes(index)] if kind == LOST:
                    self._ledger.pool.forget(self._manager(index).name)
                case [kind, bytes(timestamp), bytes(digest), list(raws)] if kind == BLOCK:
                    self._apply_block(int.from_bytes(timestamp, "big"), digest, raws)
                case _:
                    raise SandboxProblem("the ledger has a record of an unknown kind")
        except (IndexError, KeyError, RpcError) as error:
            raise SandboxProblem(f"the ledger has a record that cannot be read: {error}") from error

    def _manager(self, index: bytes) -> PrivacyManager:
        return self._managers[int.from_bytes(index, "big")]

    def _apply_block(self, timestamp: int, block_hash: bytes, raws: list[Item]) -> None:
        transactions = [decode_transaction(raw) for raw in raws if isinstance(raw, bytes)]
        block = self._ledger.apply(transactions, timestamp)
        if block.hash != block_hash:
            raise SandboxProblem(
                f"block {block.number} of the ledger comes out different than it was made: "
                "the log was altered, or written by another version of the sandbox"
            )
