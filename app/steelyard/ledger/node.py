"""A GoQuorum node, as far as the seam asks it anything: the wire's calls with our types."""

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.ledger.contract import Registered, registered_events
from steelyard.ledger.encoding import from_hex, from_quantity, to_hex, to_quantity
from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.jsonrpc import Json, JsonRpc

LARGEST_BLOCK_NUMBER = 2**63 - 1  # what the node takes as a number; above it reads no answer


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction's receipt at this node: for a private one, what it did in private here."""

    transaction_hash: str
    block_number: int
    succeeded: bool
    contract_address: str | None
    logs: tuple[Json, ...]

    def registered(self, address: str) -> tuple[Registered, ...]:
        """What the contract at `address` registered in it. Raises NodeUnavailable."""
        try:
            return registered_events(self.logs, address)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            raise NodeUnavailable("The node gave a receipt with nonsense in its logs") from None


class Node:
    """One node. Raises NodeError for what it refuses, NodeUnavailable where it fails to answer."""

    def __init__(self, rpc: JsonRpc, name: str) -> None:
        self._rpc = rpc
        self._name = name

    async def block_number(self) -> int:
        """The number of the head."""
        return self._quantity(await self._rpc.call("eth_blockNumber"), "eth_blockNumber")

    async def transaction_count(self, address: str, block: str) -> int:
        """How many transactions of an account `latest` or `pending` hold: the next nonce."""
        method = "eth_getTransactionCount"
        return self._quantity(await self._rpc.call(method, address, block), method)

    async def transaction(self, transaction_hash: str) -> dict[str, Json] | None:
        """A transaction in a block or in the pool."""
        return await self._record("eth_getTransactionByHash", transaction_hash)

    async def transactions(self, hashes: Sequence[str]) -> list[dict[str, Json] | None]:
        """Several transactions in one exchange."""
        return await self._records("eth_getTransactionByHash", [[one] for one in hashes])

    async def mined(self, transaction_hash: str) -> Mined | None:
        """The receipt of a transaction, or None while it is in no block."""
        method = "eth_getTransactionReceipt"
        receipt = await self._record(method, transaction_hash)
        if receipt is None:
            return None
        mined = _mined(receipt)
        if mined is None:
            raise self._nonsense(method)
        return mined

    async def mined_many(self, hashes: Sequence[str]) -> list[Mined | None]:
        """The receipts of transactions in one exchange; None for one in no block, or nonsense."""
        receipts = await self._records("eth_getTransactionReceipt", [[one] for one in hashes])
        return [None if receipt is None else _mined(receipt) for receipt in receipts]

    async def block(self, number: int) -> dict[str, Json] | None:
        """A block with its transactions, or None beyond the head."""
        if not 0 <= number <= LARGEST_BLOCK_NUMBER:
            return None
        return await self._record("eth_getBlockByNumber", to_quantity(number), True)

    async def headers(self, numbers: Sequence[int]) -> list[dict[str, Json] | None]:
        """Blocks with their transactions' hashes only, in one exchange; None beyond the head."""
        return await self._records(
            "eth_getBlockByNumber", [[to_quantity(number), False] for number in numbers]
        )

    async def blocks(self, numbers: Sequence[int]) -> list[dict[str, Json] | None]:
        """Blocks with their transactions, in one exchange; None beyond the head."""
        return await self._records(
            "eth_getBlockByNumber", [[to_quantity(number), True] for number in numbers]
        )

    async def code(self, address: str) -> bytes:
        """The code at an address in the state that this node sees."""
        return self._bytes(await self._rpc.call("eth_getCode", address, "latest"), "eth_getCode")

    async def payload(self, digest: str) -> bytes:
        """The clear payload that a 64-byte hash names; empty at a node that is no party."""
        method = "eth_getQuorumPayload"
        return self._bytes(await self._rpc.call(method, digest), method)

    async def payloads(self, digests: Sequence[str]) -> list[bytes]:
        """Several payloads in one exchange."""
        method = "eth_getQuorumPayload"
        answers = await self._rpc.call_many(method, [[digest] for digest in digests])
        return [self._bytes(answer, method) for answer in answers]

    async def calls(self, address: str, many: Sequence[bytes]) -> list[bytes]:
        """What several calls of one contract at the head return, in one exchange."""
        requests = [[{"to": address, "data": to_hex(data)}, "latest"] for data in many]
        answers = await self._rpc.call_many("eth_call", requests)
        return [self._bytes(answer, "eth_call") for answer in answers]

    async def identity(self) -> tuple[int, str]:
        """The chain id, and the program and its version as the node tells them."""
        chain_id = self._quantity(await self._rpc.call("eth_chainId"), "eth_chainId")
        version = await self._rpc.call("web3_clientVersion")
        if not isinstance(version, str):
            raise self._nonsense("web3_clientVersion")
        return chain_id, version

    async def call(self, address: str, data: bytes, sender: str | None = None) -> bytes:
        """What a call at the head returns; raises NodeError with the revert's data."""
        request = {"to": address, "data": to_hex(data)}
        if sender:
            request["from"] = sender
        return self._bytes(await self._rpc.call("eth_call", request, "latest"), "eth_call")

    async def registered_in(self, address: str, block_number: int) -> tuple[Registered, ...]:
        """What the contract at `address` registered in a block."""
        return tuple(event for _, event in await self.registrations(address, block_number))

    async def registrations(
        self, address: str, first: int, last: int | None = None
    ) -> list[tuple[int, Registered]]:
        """What the contract at `address` registered in blocks, with their numbers, in order."""
        wanted = {
            "address": address,
            "fromBlock": to_quantity(first),
            "toBlock": to_quantity(first if last is None else last),
        }
        logs = await self._rpc.call("eth_getLogs", wanted)
        if not isinstance(logs, list):
            raise self._nonsense("eth_getLogs")
        try:
            return [
                (from_quantity(log["blockNumber"]), event)
                for log in logs
                for event in registered_events([log], address)
            ]
        except (KeyError, IndexError, ValueError, TypeError, AttributeError):
            raise self._nonsense("eth_getLogs") from None

    async def send_private(self, raw: str, parties: Sequence[str], wait: float) -> None:
        """Give the node a private transaction; its privacy manager serves the parties first."""
        arguments = {"privateFor": list(parties)}
        await self._rpc.call_once("eth_sendRawPrivateTransaction", raw, arguments, wait=wait)

    async def send_raw(self, raw: str, wait: float) -> None:
        """Put a transaction into the pool whose payload the parties have already."""
        await self._rpc.call_once("eth_sendRawTransaction", raw, wait=wait)

    async def _record(self, method: str, *params: Json) -> dict[str, Json] | None:
        answer = await self._rpc.call(method, *params)
        if answer is not None and not isinstance(answer, dict):
            raise self._nonsense(method)
        return answer

    async def _records(
        self, method: str, many: Sequence[Sequence[Json]]
    ) -> list[dict[str, Json] | None]:
        answers = await self._rpc.call_many(method, many)
        if any(answer is not None and not isinstance(answer, dict) for answer in answers):
            raise self._nonsense(method)
        return answers

    def _quantity(self, answer: Json, method: str) -> int:
        try:
            return from_quantity(answer)
        except ValueError:
            raise self._nonsense(method) from None

    def _bytes(self, answer: Json, method: str) -> bytes:
        try:
            return from_hex(answer)
        except ValueError:
            raise self._nonsense(method) from None

    def _nonsense(self, method: str) -> NodeUnavailable:
        return NodeUnavailable(f"The node {self._name} answered {method} with nonsense")


def _mined(receipt: dict[str, Json]) -> Mined | None:
    """A receipt as the node gave it; None for one without its members."""
    try:
        return Mined(
            transaction_hash=receipt["transactionHash"],
            block_number=from_quantity(receipt["blockNumber"]),
            succeeded=from_quantity(receipt["status"]) == 1,
            contract_address=receipt["contractAddress"],
            logs=tuple(receipt["logs"]),
        )
    except (KeyError, ValueError, TypeError):
        return None
