"""Proving a receipt at a party's own node, without the platform.

First everything is asked of the node, then each statement is checked on what it answered. What a
node cannot be asked for, and what was not looked at, is said in the proof's `unproved`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from steelyard.ledger import block, contract, seals
from steelyard.ledger.chain import Walk, walk
from steelyard.ledger.errors import ContractMissing, TransactionFailed
from steelyard.ledger.jsonrpc import Json, NodeError
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractView, Entry, Proof
from steelyard.ledger.reading import Reader
from steelyard.ledger.sealing import decode_sealed
from steelyard.ledger.statements import Evidence, check_all, check_seals
from steelyard.ticket import AlibiHead, Receipt, Ticket

LIMITS = (
    (
        "what the contract holds in private, that the transaction succeeded and what it "
        "registered: the blocks do not cover private state, it is this node's word"
    ),
    (
        "that the payload is the one that the transaction names: the name is a hash of the "
        "encrypted payload, and this node's privacy manager did the decrypting"
    ),
    "that the contract's code keeps tickets unaltered: read its source and its tests",
    "that the node tells the truth in what its blocks do not show: ask your own",
    "when the weighing was: a block's time is its proposer's word, a ticket's is the terminal's",
    "that the weighing itself was right: that is the business of the scale and its verification",
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a proof goes beyond the receipt's own block.

    `blocks` bounds how many blocks behind it are walked (None: all of them). Seals must be there
    when they are required, when validators are trusted, and when any block looked at has some.
    """

    blocks: int | None = 0
    trusted: seals.Validators | None = None
    require_seals: bool = False


async def verify(
    node: Node,
    reader: Reader,
    view: ContractView,
    receipt: Receipt,
    ticket: Ticket | None,
    extent: Extent,
) -> Proof:
    """The proof of a receipt; `ticket` is compared as well when it is given.

    Raises LedgerProblem only when the node does not answer.
    """
    evidence = await gather_evidence(node, reader, view.address, receipt)
    header = evidence.header
    if extent.blocks != 0 and header is not None and header[block.NUMBER] == receipt.block_number:
        evidence = replace(evidence, walk=await walk(node, header, extent.blocks))
    checks = list(check_all(evidence, view.address, receipt, ticket))
    sealed = must_be_sealed(evidence, extent)
    if sealed:
        checks += check_seals(evidence, extent.trusted)
    unproved = (*_not_looked_at(evidence, extent, receipt, sealed=sealed), *LIMITS)
    registered = evidence.entry.ticket if evidence.entry else None
    return Proof(registered, tuple(checks), unproved, evidence.alibi_head)


async def gather_evidence(node: Node, reader: Reader, address: str, receipt: Receipt) -> Evidence:
    """Ask the node for everything that the checks look at, but for the blocks behind."""
    transaction = await node.transaction(receipt.transaction_hash)
    tickets, head, fault = _tickets_of(await _payload(node, transaction))
    entry: Entry | None = None
    fingerprints: Mapping[str, bytes] = {}
    station: str | None = None
    try:
        station = await reader.station()
        ids = [ticket.id for ticket in tickets]
        fingerprints = dict(zip(ids, await reader.fingerprints(ids), strict=True))
        entry = await reader.get(receipt.ticket_id)
    except (ContractMissing, TransactionFailed, contract.NotATicket):
        pass  # nothing, something else, or no tickets at this address: a finding, not a failure
    return Evidence(
        transaction=transaction,
        mined=await node.mined(receipt.transaction_hash),
        block=await node.block(receipt.block_number),
        parent=await node.block(receipt.block_number - 1),
        tickets=tickets,
        payload_fault=fault,
        alibi_head=head,
        code=await node.code(address),
        entry=entry,
        fingerprints=fingerprints,
        station=station,
        walk=None,
    )


def must_be_sealed(evidence: Evidence, extent: Extent) -> bool:
    """Whether a block without seals is to be refused: the embedded sandbox's blocks have none."""
    headers = [evidence.header, block.header_fields(evidence.parent or {})]
    headers += [list(evidence.walk.top)] if evidence.walk else []
    return (
        extent.require_seals
        or extent.trusted is not None
        or any(seals.examine(one).seals > 0 for one in headers)
    )


def _not_looked_at(
    evidence: Evidence, extent: Extent, receipt: Receipt, *, sealed: bool
) -> Iterator[str]:
    if not sealed:
        yield (
            "that validators agreed on the block: its header carries no seals. A sandbox's has "
            "none; a node that leaves them out is refused with --require-seals or --validators"
        )
    elif extent.trusted is None:
        yield (
            "that the validators are your consortium's: their list came from this node's block "
            "(--validators or --genesis compares it with yours)"
        )
    yield (
        f"that the chain below block {receipt.block_number - 1} is your consortium's: of the "
        "blocks before, the proof looks at one"
    )
    yield _blocks_behind(evidence.walk, receipt)


def _blocks_behind(found: Walk | None, receipt: Receipt) -> str:
    if found is None:
        return f"that later blocks build on block {receipt.block_number}: none was looked at"
    if found.problem is not None or found.last == found.head:
        return (
            "what is in the blocks walked: of their headers the hashes were computed, of the last "
            "one the seals; their transactions were not looked at"
        )
    return (
        f"that the head builds on this block: blocks {found.last + 1} to {found.head} were not "
        "walked (--blocks all walks them), and of those walked only the headers' hashes and the "
        "last one's seals were looked at"
    )


def _tickets_of(payload: bytes) -> tuple[tuple[Ticket, ...], AlibiHead | None, str]:
    """The tickets of a payload and its alibi head, or why it has none."""
    if not payload:
        return (), None, "this node has no payload: it is not a party"
    try:
        tickets, head = decode_sealed(payload)
    except ValueError as error:
        return (), None, str(error)
    return tickets, head, "" if tickets else "it registers no tickets"


async def _payload(node: Node, transaction: dict[str, Json] | None) -> bytes:
    if transaction is None:
        return b""
    try:
        return await node.payload(transaction["input"])
    except (NodeError, KeyError):
        return b""  # the input is no payload's name: a public transaction
