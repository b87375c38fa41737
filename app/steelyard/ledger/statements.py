"""Every statement of a proof, checked on what a node answered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard.ledger import block, contract, seals
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.chain import Walk
from steelyard.ledger.encoding import Rlp, to_hex
from steelyard.ledger.jsonrpc import Json
from steelyard.ledger.node import Mined
from steelyard.ledger.protocol import Check, Entry
from steelyard.ticket import AlibiHead, Receipt, Ticket


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a node said about a receipt; None or empty where it knows of nothing."""

    transaction: dict[str, Json] | None
    mined: Mined | None
    block: dict[str, Json] | None
    parent: dict[str, Json] | None
    tickets: tuple[Ticket, ...]  # of the payload
    payload_fault: str  # why there are none
    alibi_head: AlibiHead | None  # of the payload
    code: bytes
    entry: Entry | None
    fingerprints: Mapping[str, bytes]  # by id: what the contract says of the payload's tickets
    station: str | None
    walk: Walk | None

    @property
    def header(self) -> list[Rlp] | None:
        """The members of the block's header."""
        return block.header_fields(self.block or {})


def check_all(
    evidence: Evidence, address: str, receipt: Receipt, ticket: Ticket | None
) -> Iterator[Check]:
    """Every statement of the proof but the seals', in the order in which it builds up."""
    yield from _check_transaction(evidence, address, receipt)
    yield from _check_block(evidence, receipt)
    yield from _check_payload(evidence, address, receipt)
    yield from _check_contract(evidence, address, receipt)
    if ticket is not None:
        entry = evidence.entry
        yield Check(
            "The ticket given is the one that the contract holds",
            entry is not None
            and ticket == entry.ticket
            and ticket.id == receipt.ticket_id
            and evidence.fingerprints.get(ticket.id) == contract.fingerprint(ticket),
            "every member compared, and the fingerprint",
        )


def check_seals(evidence: Evidence, trusted: seals.Validators | None) -> Iterator[Check]:
    """The statements on the validators' seals, for a block that must have them."""
    sealing = seals.examine(evidence.header, trusted)
    yield Check("A quorum of validators sealed the block", sealing.problem is None, sealing.seen)
    if trusted is not None:
        yield Check(
            "The block's validators are those that you trust",
            bool(sealing.validators) and sealing.validators == trusted.addresses,
            seals.difference(sealing.validators, trusted.addresses)
            or f"all {len(trusted.addresses)} of {trusted.origin}",
        )
    walk = evidence.walk
    if walk is not None and walk.last > walk.first:
        top = seals.examine(walk.top, trusted)
        seen = "the same validators" if walk.changed is None else f"others since {walk.changed}"
        yield Check(
            "A quorum of validators sealed the last block walked",
            top.problem is None,
            f"block {walk.last}: {top.seen}; {seen}",
        )


def _check_transaction(evidence: Evidence, address: str, receipt: Receipt) -> Iterator[Check]:
    transaction = evidence.transaction
    yield Check(
        "The node knows the transaction",
        transaction is not None and transaction.get("hash") == receipt.transaction_hash,
        "found" if transaction else "no transaction with this hash",
    )
    transaction = transaction or {}
    content = block.content_hash(transaction)
    yield Check(
        "The transaction's content has the receipt's hash",
        content == receipt.transaction_hash,
        content or "nothing to hash",
    )
    target = block.target_of(transaction)
    yield Check(
        "The transaction goes to the station's contract",
        target is not None and target.lower() == address.lower(),
        target or "no target",
    )
    signer = block.signer_of(transaction)
    yield Check(
        "The station's key signed the transaction",
        signer is not None and signer.lower() == evidence.station == transaction.get("from"),
        signer or "no private transaction's signature",
    )


def _check_block(evidence: Evidence, receipt: Receipt) -> Iterator[Check]:
    number = receipt.block_number
    found, parent = evidence.block or {}, evidence.parent or {}
    transaction = evidence.transaction or {}
    place = block.listed_at(found, receipt.transaction_hash)
    yield Check(
        "The transaction is in the receipt's block",
        place is not None
        and transaction == found["transactions"][place]
        and transaction["blockNumber"] == hex(number),
        f"block {_number(transaction)}, receipt says {number}",
    )
    yield Check(
        "The block's transactions have the root in its header",
        (root := block.transactions_root(found)) is not None
        and root == found.get("transactionsRoot"),
        root or "no block",
    )
    header = block.header_hash(found)
    yield Check(
        "The block's header has the block's hash",
        header is not None and header == found.get("hash") and block.number_of(found) == number,
        header or "no block",
    )
    before = block.header_hash(parent)
    yield Check(
        "The block follows the block before it",
        before is not None
        and before == found.get("parentHash") == parent.get("hash")
        and block.number_of(parent) == number - 1,
        before or "no block before it",
    )
    if evidence.walk is not None:
        yield Check(
            "The blocks after it follow one another by their hashes",
            evidence.walk.problem is None,
            evidence.walk.seen,
        )


def _check_payload(evidence: Evidence, address: str, receipt: Receipt) -> Iterator[Check]:
    name = "The transaction's payload registers this ticket"
    tickets = evidence.tickets
    if not tickets:
        yield Check(name, holds=False, seen=evidence.payload_fault)
        return
    wanted = [one for one in tickets if one.id == receipt.ticket_id]
    yield Check(name, len(wanted) == 1, f"{len(tickets)} tickets, {len(wanted)} with this id")
    entry = evidence.entry
    yield Check(
        "The contract holds the ticket of the payload, unaltered",
        len(wanted) == 1 and entry is not None and entry.ticket == wanted[0],
        "every member compared" if entry else "the contract does not know the id",
    )
    yield _check_fingerprints(evidence, tickets, wanted)
    events = evidence.mined.registered(address) if evidence.mined else ()
    yield Check(
        "The transaction registered as many tickets as its payload has",
        sum(event.count for event in events) == len(tickets),
        f"{sum(event.count for event in events)} of {len(tickets)}",
    )


def _check_fingerprints(
    evidence: Evidence, tickets: Sequence[Ticket], wanted: Sequence[Ticket]
) -> Check:
    ours = {one.id: contract.fingerprint(one) for one in tickets}
    same = [name for name, print_ in ours.items() if evidence.fingerprints.get(name) == print_]
    shown = "".join(f", this ticket's {to_hex(ours[one.id])}" for one in wanted)
    return Check(
        "The contract has the fingerprint of every ticket of the payload",
        len(same) == len(tickets),
        f"{len(same)} of {len(tickets)}{shown}",
    )


def _check_contract(evidence: Evidence, address: str, receipt: Receipt) -> Iterator[Check]:
    mined, entry = evidence.mined, evidence.entry
    yield Check(
        "The contract's code is the published one, byte for byte",
        evidence.code == station_tickets().runtime,
        f"{len(evidence.code)} bytes" if evidence.code else "no code at this address and node",
    )
    yield Check(
        "The transaction succeeded at this node",
        mined is not None
        and mined.succeeded
        and mined.block_number == receipt.block_number
        and mined.transaction_hash == receipt.transaction_hash,
        "no receipt" if mined is None else f"succeeded: {mined.succeeded}",
    )
    events = mined.registered(address) if mined else ()
    index = entry.index if entry else None
    places = [at for at, one in enumerate(evidence.tickets) if one.id == receipt.ticket_id]
    yield Check(
        "The transaction gave the ticket its place in the contract",
        len(events) == len(places) == 1
        and index == events[0].first_index + places[0]
        and events[0].transaction_hash == receipt.transaction_hash,
        f"index {index}, {len(events)} registering events",
    )
    yield Check(
        "The contract names the same block",
        entry is not None and entry.block_number == receipt.block_number,
        f"block {entry.block_number}" if entry else "the contract does not know the id",
    )


def _number(transaction: dict[str, Json]) -> str:
    number = block.number_of({"number": transaction.get("blockNumber")})
    return "none yet" if number is None else str(number)
