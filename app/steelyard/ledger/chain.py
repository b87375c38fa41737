"""The chain of hashes from a block towards the head, walked in batches of headers."""

from collections.abc import Sequence
from dataclasses import dataclass

from steelyard.ledger import block
from steelyard.ledger.encoding import Rlp, to_hex
from steelyard.ledger.jsonrpc import Json
from steelyard.ledger.node import Node

BATCH = 250  # headers in one exchange: about 600 KB


@dataclass(frozen=True, slots=True)
class Walk:
    """The blocks behind one block, as far as they were looked at.

    `problem` names the first block that does not follow; `top` is the last header that does, and
    `changed` the first block with another list of validators than the block began with.
    """

    first: int
    last: int
    head: int
    top: Sequence[Rlp]
    problem: str | None = None
    changed: int | None = None

    @property
    def seen(self) -> str:
        """What was seen, in one phrase."""
        if self.problem is not None:
            return self.problem
        if self.last == self.first:
            return f"block {self.first} is the head"
        reached = "the head" if self.last == self.head else f"the head is {self.head}"
        return f"blocks {self.first + 1} to {self.last}, {reached}"


async def walk(node: Node, start: Sequence[Rlp], most: int | None) -> Walk:
    """Follow the parents' hashes from the block with the header `start` for `most` blocks."""
    (number,) = (start[block.NUMBER],)
    first = number if isinstance(number, int) else 0
    head = await node.block_number()
    if head < first:
        return Walk(first, first, head, start, f"the head is block {head} only")
    end = head if most is None else min(head, first + most)
    at = Walk(first, first, head, start)
    while at.last < end and at.problem is None:
        numbers = range(at.last + 1, min(at.last + BATCH, end) + 1)
        at = _follow(at, await node.headers(numbers))
    return at


def _follow(at: Walk, found: Sequence[dict[str, Json] | None]) -> Walk:
    top, changed, problem = at.top, at.changed, None
    last, above = at.last, block.hash_of_header(at.top)
    for one in found:
        fields = block.header_fields(one or {})
        reached = None if fields is None else block.hash_of_header(fields)
        problem = _fault(one, fields, reached, last + 1, above)
        if problem is not None or fields is None:
            break
        if changed is None and _validators(fields) != _validators(top):
            changed = last + 1
        top, last, above = fields, last + 1, reached
    return Walk(at.first, last, at.head, top, problem, changed)


def _fault(
    found: dict[str, Json] | None,
    fields: Sequence[Rlp] | None,
    reached: str | None,
    number: int,
    above: str | None,
) -> str | None:
    if found is None:
        return f"block {number} is not there"
    if fields is None or reached is None or fields[block.NUMBER] != number:
        return f"block {number} has no header that can be hashed"
    if found.get("hash") != reached:
        return f"block {number} has another hash than its header"
    parent = fields[block.PARENT]
    if not isinstance(parent, bytes) or to_hex(parent) != above:
        return f"block {number} does not follow block {number - 1}"
    return None


def _validators(fields: Sequence[Rlp]) -> list[Rlp]:
    extra = block.extra_data(fields) if block.is_byzantine(fields) else None
    return extra[1:2] if extra else []
