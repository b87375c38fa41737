"""The JSON shapes of blocks, transactions, receipts and logs."""

from typing import Any

from steelyard.sandbox.chain import GAS_LIMIT, MIX_HASH, NO_UNCLES, Block, Chain, Location
from steelyard.sandbox.codec import EMPTY_BLOOM, bloom
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.node import Node
from steelyard.sandbox.rlp import encode
from steelyard.sandbox.state import Log
from steelyard.sandbox.transaction import Transaction

_NO_BLOOM = "0x" + EMPTY_BLOOM.hex()


def data(value: bytes) -> str:
    """Bytes as hex with 0x."""
    return "0x" + value.hex()


def block_view(block: Block, chain: Chain, *, full: bool) -> dict[str, Any]:
    """A block as eth_getBlockBy… gives it."""
    transactions: list[Any] = (
        [transaction_view(each, Location(block, i)) for i, each in enumerate(block.transactions)]
        if full
        else [data(each.hash) for each in block.transactions]
    )
    header = encode(block.header(chain.extra))
    return {
        "difficulty": "0x1",
        "extraData": data(chain.extra),
        "gasLimit": hex(GAS_LIMIT),
        "gasUsed": hex(block.gas_used),
        "hash": data(block.hash),
        "logsBloom": data(block.bloom),
        "miner": data(block.miner),
        "mixHash": data(MIX_HASH),
        "nonce": "0x0000000000000000",
        "number": hex(block.number),
        "parentHash": data(block.parent_hash),
        "receiptsRoot": data(block.receipts_root),
        "sha3Uncles": data(NO_UNCLES),
        "size": hex(len(header) + sum(len(each.raw) for each in block.transactions)),
        "stateRoot": data(block.state_root),
        "timestamp": hex(block.timestamp),
        "totalDifficulty": hex(block.number + 1),
        "transactions": transactions,
        "transactionsRoot": data(block.transactions_root),
        "uncles": [],
    }


def transaction_view(transaction: Transaction, location: Location | None) -> dict[str, Any]:
    """A transaction as eth_getTransactionByHash gives it; the same at every node."""
    return {
        "blockHash": data(location.block.hash) if location else None,
        "blockNumber": hex(location.block.number) if location else None,
        "from": data(transaction.sender),
        "gas": hex(transaction.gas),
        "gasPrice": hex(transaction.gas_price),
        "hash": data(transaction.hash),
        "input": data(transaction.data),
        "nonce": hex(transaction.nonce),
        "to": None if transaction.to is None else data(transaction.to),
        "transactionIndex": hex(location.index) if location else None,
        "value": hex(transaction.value),
        "type": "0x0",
        "v": hex(transaction.v),
        "r": hex(transaction.r),
        "s": hex(transaction.s),
    }


def receipt_view(ledger: SharedLedger, node: Node, location: Location) -> dict[str, Any]:
    """A receipt as this node sees it: a non-party's has neither logs nor the true status."""
    transaction = location.block.transactions[location.index]
    public = ledger.receipts[transaction.hash]
    result = node.results.get(transaction.hash)
    logs = logs_view(ledger, node, location)
    contract = transaction.contract
    parts = [bytes.fromhex(part[2:]) for log in logs for part in (log["address"], *log["topics"])]
    return {
        "blockHash": data(location.block.hash),
        "blockNumber": hex(location.block.number),
        "contractAddress": None if contract is None else data(contract),
        "cumulativeGasUsed": hex(public.cumulative_gas),
        "from": data(transaction.sender),
        "gasUsed": hex(public.gas_used),
        "isPrivacyMarkerTransaction": False,
        "logs": logs,
        "logsBloom": data(bloom(parts)) if parts else _NO_BLOOM,
        "status": hex(result.success if result else public.success),
        "to": None if transaction.to is None else data(transaction.to),
        "transactionHash": data(transaction.hash),
        "transactionIndex": hex(location.index),
        "type": "0x0",
    }


def logs_view(ledger: SharedLedger, node: Node, location: Location) -> list[dict[str, Any]]:
    """The events of a transaction that this node knows of."""
    block = location.block
    transaction = block.transactions[location.index]
    if transaction.is_private:
        result = node.results.get(transaction.hash)
        logs: tuple[Log, ...] = result.logs if result else ()
        first = result.first_log if result else 0
    else:
        public = ledger.receipts[transaction.hash]
        logs, first = public.logs, public.first_log
    return [
        {
            "address": data(log.address),
            "topics": [data(topic) for topic in log.topics],
            "data": data(log.data),
            "blockNumber": hex(block.number),
            "transactionHash": data(transaction.hash),
            "transactionIndex": hex(location.index),
            "blockHash": data(block.hash),
            "logIndex": hex(first + position),
            "removed": False,
        }
        for position, log in enumerate(logs)
    ]
