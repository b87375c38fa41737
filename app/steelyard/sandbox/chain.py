"""Blocks, their hashes and the links between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from steelyard.sandbox.codec import (
    EMPTY_BLOOM,
    EMPTY_CODE_HASH,
    EMPTY_ROOT,
    list_root,
    trie_root,
)
from steelyard.sandbox.rlp import Encodable, encode
from steelyard.sandbox.state import BlockContext, Log
from steelyard.sandbox.transaction import Transaction

GAS_LIMIT = 700_000_000  # as in the genesis that `steelyard network` writes
NO_UNCLES = keccak(encode([]))
# keccak of the name of QBFT's ancestor, by which clients tell the family of consensus.
MIX_HASH = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
VANITY = b"steelyard sandbox, no consensus".ljust(32, b"\0")


@dataclass(frozen=True, slots=True)
class Block:
    """A block; its hash is that of the header's RLP, with QBFT's extra data and no seals."""

    number: int
    parent_hash: bytes
    timestamp: int
    miner: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    gas_used: int
    bloom: bytes
    transactions: tuple[Transaction, ...]
    hash: bytes = b""

    def header(self, extra: bytes) -> list[bytes | int]:
        """The fifteen fields of the header."""
        return [
            self.parent_hash,
            NO_UNCLES,
            self.miner,
            self.state_root,
            self.transactions_root,
            self.receipts_root,
            self.bloom,
            1,
            self.number,
            GAS_LIMIT,
            self.gas_used,
            self.timestamp,
            extra,
            MIX_HASH,
            bytes(8),
        ]


@dataclass(frozen=True, slots=True)
class PublicReceipt:
    """What every node agrees on about a transaction: for a private one, nothing but that it is."""

    success: bool = True
    gas_used: int = 0
    cumulative_gas: int = 0
    bloom: bytes = EMPTY_BLOOM
    logs: tuple[Log, ...] = ()
    first_log: int = 0

    def encoded(self) -> bytes:
        """RLP as in the receipts' trie."""
        logs: list[Encodable] = [[log.address, list(log.topics), log.data] for log in self.logs]
        return encode([int(self.success), self.cumulative_gas, self.bloom, logs])


@dataclass(frozen=True, slots=True)
class Location:
    """Where a transaction is."""

    block: Block
    index: int


class Chain:
    """The blocks from the genesis on, and an index of their transactions."""

    def __init__(self, validators: Sequence[bytes]) -> None:
        self.validators = tuple(sorted(validators))
        self.extra = encode([VANITY, list(self.validators), [], 0, []])
        self.blocks: list[Block] = []
        self.filled: list[int] = []  # the numbers of the blocks that have transactions
        self._numbers: dict[bytes, int] = {}
        self._locations: dict[bytes, tuple[int, int]] = {}
        self.append(self._genesis())

    @property
    def head(self) -> Block:
        """The newest block."""
        return self.blocks[-1]

    def _genesis(self) -> Block:
        return self.seal(
            Block(
                0, bytes(32), 0, bytes(20), EMPTY_ROOT, EMPTY_ROOT, EMPTY_ROOT, 0, EMPTY_BLOOM, ()
            )
        )

    def seal(self, block: Block) -> Block:
        """The block with its hash."""
        fields = {name: getattr(block, name) for name in Block.__slots__}
        fields["hash"] = keccak(encode(block.header(self.extra)))
        return Block(**fields)

    def compose(
        self,
        timestamp: int,
        transactions: Sequence[Transaction],
        receipts: Sequence[PublicReceipt],
        nonces: dict[bytes, int],
    ) -> Block:
        """The block after the head, not appended yet. `nonces` are the accounts after it."""
        head = self.head
        number = head.number + 1
        block = Block(
            number=number,
            parent_hash=head.hash,
            timestamp=timestamp,
            miner=self.validators[number % len(self.validators)],
            state_root=_state_root(nonces) if transactions else head.state_root,
            transactions_root=list_root([transaction.raw for transaction in transactions]),
            receipts_root=list_root([receipt.encoded() for receipt in receipts]),
            gas_used=receipts[-1].cumulative_gas if receipts else 0,
            bloom=_union([receipt.bloom for receipt in receipts]),
            transactions=tuple(transactions),
        )
        return self.seal(block)

    def append(self, block: Block) -> None:
        """Make a block the head."""
        self.blocks.append(block)
        self._numbers[block.hash] = block.number
        if block.transactions:
            self.filled.append(block.number)
        for index, transaction in enumerate(block.transactions):
            self._locations[transaction.hash] = (block.number, index)

    def by_hash(self, block_hash: bytes) -> Block | None:
        """The block with this hash."""
        number = self._numbers.get(block_hash)
        return None if number is None else self.blocks[number]

    def locate(self, transaction_hash: bytes) -> Location | None:
        """Where a transaction is, if it is in a block."""
        found = self._locations.get(transaction_hash)
        return None if found is None else Location(self.blocks[found[0]], found[1])


def context_of(block: Block) -> BlockContext:
    """What a call on this block's state sees."""
    return BlockContext(block.number, block.timestamp, block.miner)


def _state_root(nonces: dict[bytes, int]) -> bytes:
    return trie_root(
        {
            keccak(address): encode([nonce, 0, EMPTY_ROOT, EMPTY_CODE_HASH])
            for address, nonce in nonces.items()
        }
    )


def _union(blooms: Sequence[bytes]) -> bytes:
    bits = 0
    for each in blooms:
        if each is not EMPTY_BLOOM:
            bits |= int.from_bytes(each, "big")
    return bits.to_bytes(256, "big") if bits else EMPTY_BLOOM
