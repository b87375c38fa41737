"""What eth_getLogs is asked for, read by geth's rules."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from steelyard.sandbox import arguments as read
from steelyard.sandbox.chain import Block, Chain
from steelyard.sandbox.errors import RpcError, invalid_params, server_error
from steelyard.sandbox.views import data


@dataclass(frozen=True, slots=True)
class LogQuery:
    """The blocks to look at, and which logs count: no addresses, and None for a topic, are any."""

    blocks: tuple[Block, ...]
    addresses: frozenset[str]
    topics: tuple[frozenset[str] | None, ...]

    def takes(self, log: dict[str, Any]) -> bool:
        """Whether a log, as JSON-RPC shows it, is one of those asked for."""
        return (
            (not self.addresses or log["address"] in self.addresses)
            and len(self.topics) <= len(log["topics"])
            and all(
                allowed is None or topic in allowed
                for allowed, topic in zip(self.topics, log["topics"], strict=False)
            )
        )


def read_log_query(query: Any, chain: Chain) -> LogQuery:
    """Raises RpcError for what cannot be read, and for a block that is not there."""
    if query is None:
        query = {}
    if not isinstance(query, dict):
        raise read.wrong_type(read.name_of(query), 0, "filters.input")
    topics = _topics(query.get("topics"))
    blocks = _blocks(query, chain)
    return LogQuery(blocks, _addresses(query.get("address")), topics)


def _blocks(query: dict[str, Any], chain: Chain) -> tuple[Block, ...]:
    head = chain.head.number
    wanted = query.get("blockHash")
    block_hash = None if wanted is None else read.read_hash(wanted, 0, "input.blockHash")
    ends = [
        None if query.get(name) is None else read.read_block(query[name], 0, head)
        for name in ("fromBlock", "toBlock")
    ]
    if block_hash is None:
        first, last = (head if end is None else end for end in ends)
        filled = chain.filled
        numbers = filled[bisect_left(filled, first) : bisect_left(filled, last + 1)]
        return tuple(chain.blocks[number] for number in numbers)
    if ends != [None, None]:
        raise _argument(
            "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
        )
    block = chain.by_hash(block_hash)
    if block is None:
        raise server_error("unknown block")
    return (block,)


def _addresses(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset([_exactly(value, 20, "address", "invalid address: ")])
    if not isinstance(value, list):
        raise _argument("invalid addresses in query")
    found = set()
    for at, one in enumerate(value):
        if not isinstance(one, str):
            raise _argument(f"non-string address at index {at}")
        found.add(_exactly(one, 20, "address", f"invalid address at index {at}: "))
    return frozenset(found)


def _topics(value: Any) -> tuple[frozenset[str] | None, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise read.wrong_type(read.name_of(value), 0, "[]interface {}", "input.topics")
    return tuple(_topic(position) for position in value)


def _topic(position: Any) -> frozenset[str] | None:
    if position is None:
        return None
    if isinstance(position, str):
        return frozenset([_exactly(position, 32, "topic")])
    if not isinstance(position, list):
        raise _argument("invalid topic(s)")
    allowed = set()
    for one in position:
        if one is None:  # among the alternatives it matches everything
            return None
        if not isinstance(one, str):
            raise _argument("invalid topic(s)")
        allowed.add(_exactly(one, 32, "topic"))
    return frozenset(allowed) or None


def _exactly(text: str, size: int, what: str, before: str = "") -> str:
    fault = read.hex_fault(text)
    if fault is not None:
        raise _argument(before + fault)
    found = bytes.fromhex(text[2:])
    if len(found) != size:
        raise _argument(
            f"{before}hex has invalid length {len(found)} after decoding; "
            f"expected {size} for {what}"
        )
    return data(found)


def _argument(message: str) -> RpcError:
    return invalid_params(f"invalid argument 0: {message}")
