"""Proving a receipt at a party's own node, without the platform.

First everything is asked of the node, then each statement is checked on what it answered. What a
node cannot be asked for is said in LIMITS.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from steelyard.ledger import block, contract
from steelyard.ledger.encoding import from_quantity
from steelyard.ledger.errors import ContractMissing, TransactionFailed
from steelyard.ledger.jsonrpc import Json, NodeError
from steelyard.ledger.node import Mined, Node
from steelyard.ledger.protocol import Check, ContractView, Entry, Proof
from steelyard.ledger.reading import Reader
from steelyard.ticket import Receipt, Ticket

LIMITS = (
    "that the validators sealed the block: this node checked their seals when it took the block",
    "that the node tells the truth: ask your own",
    "that the weighing itself was right: that is the business of the scale and its verification",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a node said about a receipt; None or empty where it knows of nothing."""

    transaction: dict[str, Json] | None
    mined: Mined | None
    block: dict[str, Json] | None
    parent: dict[str, Json] | None
    payload: bytes
    entry: Entry | None
    fingerprints: Mapping[str, bytes]  # by id: what the contract says of the payload's tickets
    station: str | None


async def verify(
    node: Node, reader: Reader, view: ContractView, receipt: Receipt, ticket: Ticket | None
) -> Proof:
    """The proof of a receipt; `ticket` is compared as well when it is given.

    Raises LedgerProblem only when the node does not answer.
    """
    evidence = await gather_evidence(node, reader, receipt)
    checks = tuple(check_all(evidence, view.address, receipt, ticket))
    return Proof(evidence.entry.ticket if evidence.entry else None, checks)


async def gather_evidence(node: Node, reader: Reader, receipt: Receipt) -> Evidence:
    """Ask the node for everything that the checks look at."""
    transaction = await node.transaction(receipt.transaction_hash)
    payload = await _payload(node, transaction)
    entry: Entry | None = None
    fingerprints: Mapping[str, bytes] = {}
    station: str | None = None
    try:
        station = await reader.station()
        ids = [ticket.id for ticket in _tickets_of(payload)]
        fingerprints = dict(zip(ids, await reader.fingerprints(ids), strict=True))
        entry = await reader.get(receipt.ticket_id)
    except (ContractMissing, TransactionFailed, contract.NotATicket):
        pass  # nothing, something else, or no tickets at this address: a finding, not a failure
    return Evidence(
        transaction=transaction,
        mined=await node.mined(receipt.transaction_hash),
        block=await node.block(receipt.block_number),
        parent=await node.block(receipt.block_number - 1),
        payload=payload,
        entry=entry,
        fingerprints=fingerprints,
        station=station,
    )


def _tickets_of(payload: bytes) -> tuple[Ticket, ...]:
    try:
        return contract.decode_registration(payload)
    except ValueError:
        return ()


async def _payload(node: Node, transaction: dict[str, Json] | None) -> bytes:
    if transaction is None:
        return b""
    try:
        return await node.payload(transaction["input"])
    except (NodeError, KeyError):
        return b""  # the input is no payload's name: a public transaction


def check_all(
    evidence: Evidence, address: str, receipt: Receipt, ticket: Ticket | None
) -> Iterator[Check]:
    """Every statement of the proof, in the order in which it builds up."""
    yield from _check_transaction(evidence, address, receipt)
    yield from _check_block(evidence, receipt)
    yield from _check_payload(evidence, address, receipt)
    yield from _check_contract(evidence, address, receipt)
    if ticket is not None:
        entry = evidence.entry
        yield _check(
            "The ticket given is the one that the contract holds",
            entry is not None and ticket == entry.ticket and ticket.id == receipt.ticket_id,
            "every member compared",
        )


def _check_transaction(evidence: Evidence, address: str, receipt: Receipt) -> Iterator[Check]:
    transaction = evidence.transaction
    yield _check(
        "The node knows the transaction",
        transaction is not None and transaction.get("hash") == receipt.transaction_hash,
        "found" if transaction else "no transaction with this hash",
    )
    transaction = transaction or {}
    content = block.content_hash(transaction)
    yield _check(
        "The transaction's content has the receipt's hash",
        content == receipt.transaction_hash,
        content or "nothing to hash",
    )
    target = block.target_of(transaction)
    yield _check(
        "The transaction goes to the station's contract",
        target is not None and target.lower() == address.lower(),
        target or "no target",
    )
    signer = block.signer_of(transaction)
    yield _check(
        "The station's key signed the transaction",
        signer is not None and signer.lower() == evidence.station,
        signer or "no private transaction's signature",
    )


def _check_block(evidence: Evidence, receipt: Receipt) -> Iterator[Check]:
    number = receipt.block_number
    found, parent = evidence.block or {}, evidence.parent or {}
    transaction = evidence.transaction or {}
    yield _check(
        "The transaction is in the receipt's block",
        transaction.get("blockNumber") == hex(number)
        and transaction.get("blockHash") == found.get("hash") is not None
        and receipt.transaction_hash in block.hashes_in(found),
        f"block {_number(transaction)}, receipt says {number}",
    )
    yield _check(
        "The block's transactions have the root in its header",
        (root := block.transactions_root(found)) is not None
        and root == found.get("transactionsRoot"),
        root or "no block",
    )
    header = block.header_hash(found)
    yield _check(
        "The block's header has the block's hash",
        header is not None and header == found.get("hash") and _number_of(found) == number,
        header or "no block",
    )
    before = block.header_hash(parent)
    yield _check(
        "The block follows the block before it",
        before is not None and before == found.get("parentHash") == parent.get("hash"),
        before or "no block before it",
    )


def _check_payload(evidence: Evidence, address: str, receipt: Receipt) -> Iterator[Check]:
    name = "The transaction's payload registers this ticket"
    try:
        tickets = contract.decode_registration(evidence.payload)
    except ValueError as error:
        seen = f"{error}" if evidence.payload else "this node has no payload: it is not a party"
        yield _check(name, holds=False, seen=seen)
        return
    wanted = [one for one in tickets if one.id == receipt.ticket_id]
    yield _check(name, len(wanted) == 1, f"{len(tickets)} tickets, {len(wanted)} with this id")
    entry = evidence.entry
    yield _check(
        "The contract holds the ticket of the payload, unaltered",
        len(wanted) == 1 and entry is not None and entry.ticket == wanted[0],
        "every member compared" if entry else "the contract does not know the id",
    )
    same = [
        one for one in tickets if evidence.fingerprints.get(one.id) == contract.fingerprint(one)
    ]
    yield _check(
        "The contract has the fingerprint of every ticket of the payload",
        len(same) == len(tickets),
        f"{len(same)} of {len(tickets)}",
    )
    events = evidence.mined.registered(address) if evidence.mined else ()
    yield _check(
        "The transaction registered as many tickets as its payload has",
        sum(event.count for event in events) == len(tickets),
        f"{sum(event.count for event in events)} of {len(tickets)}",
    )


def _check_contract(evidence: Evidence, address: str, receipt: Receipt) -> Iterator[Check]:
    mined, entry = evidence.mined, evidence.entry
    yield _check(
        "The transaction succeeded at this node",
        mined is not None and mined.succeeded and mined.block_number == receipt.block_number,
        "no receipt" if mined is None else f"succeeded: {mined.succeeded}",
    )
    events = mined.registered(address) if mined else ()
    index = entry.index if entry else None
    yield _check(
        "The transaction gave the ticket its place in the contract",
        index is not None and sum(event.holds(index) for event in events) == 1,
        f"index {index}, {len(events)} registering events",
    )
    yield _check(
        "The contract names the same block",
        entry is not None and entry.block_number == receipt.block_number,
        f"block {entry.block_number}" if entry else "the contract does not know the id",
    )


def _check(name: str, holds: bool, seen: str) -> Check:
    return Check(name, holds, seen)


def _number(transaction: dict[str, Json]) -> str:
    number = _number_of({"number": transaction.get("blockNumber")})
    return "none yet" if number is None else str(number)


def _number_of(found: dict[str, Json]) -> int | None:
    try:
        return from_quantity(found["number"])
    except (KeyError, ValueError):
        return None
