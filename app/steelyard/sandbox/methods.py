"""The JSON-RPC methods of one node."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from steelyard import __version__
from steelyard.sandbox import arguments as read
from steelyard.sandbox.calls import Calls
from steelyard.sandbox.chain import Block, Location
from steelyard.sandbox.errors import server_error
from steelyard.sandbox.ledger import SharedLedger
from steelyard.sandbox.logquery import read_log_query
from steelyard.sandbox.node import Node
from steelyard.sandbox.transaction import decode_transaction
from steelyard.sandbox.views import block_view, data, logs_view, receipt_view, transaction_view

_STANDARD_PRIVATE = 0
_PRIVACY_FLAGS = (0, 1, 2, 3)
_MODULES = {"eth": "1.0", "net": "1.0", "rpc": "1.0", "web3": "1.0"}


@dataclass(frozen=True, slots=True)
class Method:
    """A method with the number of arguments that it needs, and may have."""

    call: Callable[..., Any]
    required: int = 0
    allowed: int = 0


class NodeMethods:
    """What a node answers; `table` maps the methods' names."""

    def __init__(self, ledger: SharedLedger, node: Node) -> None:
        self._ledger = ledger
        self._chain = ledger.chain
        self._node = node
        calls = Calls(ledger, node)
        chain_id = ledger.chain_id
        self.table: dict[str, Method] = {
            "web3_clientVersion": Method(lambda: f"SteelyardSandbox/v{__version__}/quorum-v24.4.1"),
            "net_version": Method(lambda: str(chain_id)),
            "net_listening": Method(lambda: True),
            "net_peerCount": Method(lambda: hex(len(ledger.nodes) - 1)),
            "rpc_modules": Method(lambda: _MODULES),
            "eth_chainId": Method(lambda: hex(chain_id)),
            "eth_blockNumber": Method(lambda: hex(self._chain.head.number)),
            "eth_syncing": Method(lambda: False),
            "eth_gasPrice": Method(lambda: "0x0"),
            "eth_accounts": Method(list),
            "eth_mining": Method(lambda: True),
            "eth_getBlockByNumber": Method(self._block_by_number, 2, 2),
            "eth_getBlockByHash": Method(self._block_by_hash, 2, 2),
            "eth_getBlockTransactionCountByNumber": Method(self._transactions_in_block, 1, 1),
            "eth_getTransactionByHash": Method(self._transaction, 1, 1),
            "eth_getTransactionByBlockNumberAndIndex": Method(self._transaction_at, 2, 2),
            "eth_getTransactionReceipt": Method(self._receipt, 1, 1),
            "eth_getTransactionCount": Method(self._transaction_count, 2, 2),
            "eth_getLogs": Method(self._logs, 1, 1),
            "eth_sendRawTransaction": Method(self._send, 1, 1),
            "eth_sendRawPrivateTransaction": Method(self._send_private, 2, 2),
            "eth_getQuorumPayload": Method(self._payload, 1, 1),
            "eth_call": Method(calls.call, 2, 3),
            "eth_estimateGas": Method(calls.estimate, 1, 2),
            "eth_getCode": Method(calls.code, 2, 2),
            "eth_getStorageAt": Method(calls.storage, 3, 3),
            "eth_getBalance": Method(calls.balance, 2, 2),
        }

    # -- blocks --------------------------------------------------------------------------------

    def _block_by_number(self, tag: Any, full: Any) -> dict[str, Any] | None:
        head = self._chain.head.number
        number = read.read_block(tag, 0, head)
        full = read.read_flag(full, 1)
        if tag == "pending":
            return self._pending_block(full=full)
        if number > head:
            return None
        return block_view(self._chain.blocks[number], self._chain, full=full)

    def _pending_block(self, *, full: bool) -> dict[str, Any]:
        pending = self._chain.compose(self._chain.head.timestamp, (), (), {})
        view = block_view(pending, self._chain, full=full)
        return {**view, "hash": None, "miner": None, "nonce": None, "totalDifficulty": None}

    def _block_by_hash(self, block_hash: Any, full: Any) -> dict[str, Any] | None:
        block = self._chain.by_hash(read.read_hash(block_hash, 0))
        full = read.read_flag(full, 1)
        return None if block is None else block_view(block, self._chain, full=full)

    def _block_at(self, tag: Any) -> Block | None:
        head = self._chain.head.number
        number = read.read_block(tag, 0, head)
        return self._chain.blocks[number] if number <= head else None

    def _transactions_in_block(self, tag: Any) -> str | None:
        if tag == "pending":
            return "0x0"
        block = self._block_at(tag)
        return None if block is None else hex(len(block.transactions))

    # -- transactions --------------------------------------------------------------------------

    def _transaction(self, transaction_hash: Any) -> dict[str, Any] | None:
        digest = read.read_hash(transaction_hash, 0)
        location = self._chain.locate(digest)
        if location is not None:
            return transaction_view(location.block.transactions[location.index], location)
        waiting = self._ledger.pool.get(digest, self._node.name)
        return None if waiting is None else transaction_view(waiting, None)

    def _transaction_at(self, tag: Any, index: Any) -> dict[str, Any] | None:
        block = self._block_at(tag)
        position = read.read_quantity(index, 1, "hexutil.Uint")
        if block is None or position >= len(block.transactions):
            return None
        return transaction_view(block.transactions[position], Location(block, position))

    def _receipt(self, transaction_hash: Any) -> dict[str, Any] | None:
        location = self._chain.locate(read.read_hash(transaction_hash, 0))
        return None if location is None else receipt_view(self._ledger, self._node, location)

    def _transaction_count(self, address: Any, tag: Any) -> str:
        account = read.read_address(address, 0)
        head = self._chain.head.number
        if tag == "pending":
            return hex(self._ledger.pool.pending_nonce(account))
        number = read.read_block_or_hash(tag, 1, self._chain)
        if number > head:
            raise server_error("header not found")
        return hex(self._ledger.nonce_at(account, number))

    def _send(self, raw: Any) -> str:
        transaction = decode_transaction(read.read_bytes(raw, 0))
        self._ledger.send(self._node, transaction)
        return data(transaction.hash)

    def _send_private(self, raw: Any, options: Any) -> str:
        encoded = read.read_bytes(raw, 0)
        parties, flag = read.read_private_for(options, 1)
        transaction = decode_transaction(encoded)
        if parties is None:
            raise server_error("transaction is not private")
        if flag not in _PRIVACY_FLAGS:
            raise server_error("invalid privacy flag")
        if flag != _STANDARD_PRIVATE:
            raise server_error(
                "PrivacyEnhancements are disabled. Can only accept transactions with "
                "PrivacyFlag=0(StandardPrivate)."
            )
        self._ledger.send_private(self._node, transaction, parties)
        return data(transaction.hash)

    def _payload(self, digest: Any) -> str:
        key = read.read_digest(digest)
        self._node.need_manager()
        return data(self._node.manager.received.get(key, b""))

    # -- logs ----------------------------------------------------------------------------------

    def _logs(self, query: Any) -> list[dict[str, Any]]:
        wanted = read_log_query(query, self._chain)
        return [
            log
            for block in wanted.blocks
            for index in range(len(block.transactions))
            for log in logs_view(self._ledger, self._node, Location(block, index))
            if wanted.takes(log)
        ]
