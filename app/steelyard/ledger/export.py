"""Writing a station's whole chain of tickets, with proofs, to a file.

The registrations are found by their events, in the order of the chain; each block, transaction
and payload is written once, and every line is checked before it is written. The memory needed does
not grow with the number of tickets.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address

from steelyard.ledger import block, contract
from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.encoding import keccak, rlp_encode, to_hex
from steelyard.ledger.errors import ContractMissing, ExportDamaged, NodeContradictsItself
from steelyard.ledger.exportcheck import (
    FORMAT,
    VERSION,
    Checker,
    Registered,
    ticket_line,
)
from steelyard.ledger.exportfile import Sink, encode_line, read_lines
from steelyard.ledger.jsonrpc import Json
from steelyard.ledger.node import Node
from steelyard.ledger.reading import Reader
from steelyard.ledger.sealing import decode_sealed

_EVENTS_AT_ONCE = 64  # registrations that are asked for in one exchange
_TICKETS_AT_ONCE = 1000  # and the tickets in them, which bounds the answers
_FEWEST_BLOCKS, _FIRST_BLOCKS, _MOST_BLOCKS = 16, 1000, 50_000  # in one search for events
_FEW_EVENTS, _MANY_EVENTS = 500, 4000  # found in one search, below and above which it is changed

_PLACES = (b'{"type":"block"', b'{"type":"end"')  # before these a file can be cut
_Group = tuple[int, list[contract.Registered]]  # a block's registrations


@dataclass(frozen=True, slots=True)
class Written:
    """What an export holds in the end."""

    tickets: int
    registrations: int
    blocks: int
    to_block: int
    digest: str
    resumed_at: int | None  # the ticket that it went on with


class Exporter:
    """Writes the tickets of one contract, as seen from one party's node."""

    def __init__(self, node: Node, reader: Reader, address: str) -> None:
        self._node = node
        self._reader = reader
        self._address = to_checksum_address(address)

    async def export(
        self,
        path: Path,
        from_block: int = 0,
        to_block: int | None = None,
        *,
        resume: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Written:
        """Write the registrations of the blocks from `from_block` to `to_block` (the head).

        `resume` goes on with a file that an interrupted export left, or with a complete one of
        fewer blocks. `progress` is told the number of tickets. Raises LedgerProblem and OSError.
        """
        header = await self._header(from_block)
        total = await self._reader.count_all()
        head = await self._node.block_number()
        last = head if to_block is None else min(to_block, head)
        checker, cut = _resume(path, header) if resume else (Checker(), 0)
        resumed_at = checker.progress.tickets + 1 if cut else None
        first = checker.progress.covered + 1 if cut else from_block
        with Sink(path, cut) as sink:
            if not cut:
                sink.write(self._line(checker, header))
            async for window in self._windows(first, last):
                for group in await self._groups(window):
                    sink.write(b"".join(self._line(checker, record) for record in group))
                    progress(checker.progress.tickets)
            end = _closing(checker, last, total, complete=last == head)
            sink.flush()
            sink.write(self._line(checker, end))
        at = checker.progress
        return Written(at.tickets, at.registrations, at.blocks, last, end["digest"], resumed_at)

    def _line(self, checker: Checker, record: dict[str, Any]) -> bytes:
        line = encode_line(record)
        try:
            checker.take(line[:-1])
        except ExportDamaged as problem:
            raise NodeContradictsItself(f"What the node says does not hold: {problem}") from None
        return line

    async def _header(self, from_block: int) -> dict[str, Any]:
        chain_id, engine = await self._node.identity()
        genesis = await self._node.block(0) or {}
        code = await self._node.code(self._address)
        if code != station_tickets().runtime:
            raise ContractMissing(
                "The code at this address and node is not the published contract's"
                if code
                else "No station contract answers at this address and node"
            )
        found = block.header_hash(genesis)
        if found is None or found != genesis.get("hash"):
            raise NodeContradictsItself("The node's first block does not have its hash")
        return {
            "type": "header",
            "format": FORMAT,
            "version": VERSION,
            "engine": engine,
            "chainId": chain_id,
            "genesisHash": found,
            "contract": self._address,
            "station": to_checksum_address(await self._reader.station()),
            "codeHash": to_hex(keccak(code)),
            "fromBlock": from_block,
        }

    async def _windows(self, first: int, last: int) -> AsyncIterator[list[_Group]]:
        """The blocks with registrations, in order, a bounded number of them at a time."""
        window: list[_Group] = []
        size = _FIRST_BLOCKS
        while first <= last:
            end = min(first + size - 1, last)
            found = await self._node.registrations(self._address, first, end)
            for group in _by_block(found):
                if window and _is_full([*window, group]):
                    yield window
                    window = []
                window.append(group)
            if len(found) > _MANY_EVENTS:
                size = max(size // 2, _FEWEST_BLOCKS)
            elif len(found) < _FEW_EVENTS:
                size = min(size * 2, _MOST_BLOCKS)
            first = end + 1
        if window:
            yield window

    async def _groups(self, window: Sequence[_Group]) -> list[list[dict[str, Any]]]:
        """The lines of some blocks, a list for each block."""
        blocks = await self._node.blocks([number for number, _ in window])
        names, inputs = [], []
        for found, (number, events) in zip(blocks, window, strict=True):
            for event in events:
                names.append((number, event))
                inputs.append(_input_of(found or {}, event.transaction_hash, number))
        payloads = await self._node.payloads(inputs)
        registered = [
            _registered(number, event, payload)
            for (number, event), payload in zip(names, payloads, strict=True)
        ]
        await compare_fingerprints(self._reader, registered)
        lines: dict[int, list[dict[str, Any]]] = {}
        for found, (number, _) in zip(blocks, window, strict=True):
            lines[number] = [_block_line(found or {}, number)]
        for one in registered:
            lines[one.block_number] += _registration_lines(one)
        return list(lines.values())


async def compare_fingerprints(reader: Reader, registered: Sequence[Registered]) -> None:
    """Raises NodeContradictsItself where the contract holds another ticket than a payload."""
    answers = await reader.many_fingerprints(
        [[ticket.id for ticket in one.tickets] for one in registered]
    )
    for one, answer in zip(registered, answers, strict=True):
        for ticket, wanted, found in zip(one.tickets, one.fingerprints, answer, strict=True):
            if found != wanted:
                raise NodeContradictsItself(
                    f"The contract does not hold the ticket {ticket.id} as the payload of "
                    f"{one.transaction_hash} has it"
                )


def _resume(path: Path, header: dict[str, Any]) -> tuple[Checker, int]:
    """The state at the last place where the file can be gone on with, and that place.

    Raises ExportDamaged where the file is no export, or one of something else.
    """
    checker, best, cut = Checker(), Checker(), 0
    if not path.exists():
        return best, cut
    for line in read_lines(path, torn=True):
        kept = checker.snapshot() if line.cut and line.text.startswith(_PLACES) else None
        try:
            kind = checker.take(line.text)
        except ExportDamaged as problem:
            raise ExportDamaged(f"{path}: line {line.number}: {problem}") from None
        if kind == "header" and line.text + b"\n" != encode_line(header):
            raise ExportDamaged(f"{path}: is the export of something else, or of other blocks")
        if kept is not None and line.cut is not None:
            best, cut = kept, line.cut
            best.progress.covered = checker.progress.covered
    return best, cut


def _closing(checker: Checker, last: int, total: int, *, complete: bool) -> dict[str, Any]:
    at = checker.progress
    held = (at.next_index or 1) - 1
    if complete and held < total and (at.tickets or at.header["fromBlock"] == 0):
        raise NodeContradictsItself(
            f"The contract holds {total} tickets, and the node has events of {held} only"
        )
    return {
        "type": "end",
        "toBlock": max(last, at.covered),
        "total": max(total, held),
        "tickets": at.tickets,
        "registrations": at.registrations,
        "blocks": at.blocks,
        "digest": checker.digest,
    }


def _by_block(found: Sequence[tuple[int, contract.Registered]]) -> Iterator[_Group]:
    numbers = dict.fromkeys(sorted(number for number, _ in found))
    groups: dict[int, list[contract.Registered]] = {number: [] for number in numbers}
    for number, event in found:
        groups[number].append(event)
    for number, events in groups.items():
        yield number, sorted(events, key=lambda event: event.first_index)


def _is_full(window: Sequence[_Group]) -> bool:
    events = [event for _, group in window for event in group]
    return len(events) > _EVENTS_AT_ONCE or sum(one.count for one in events) > _TICKETS_AT_ONCE


def _input_of(found: dict[str, Json], transaction_hash: str, number: int) -> str:
    place = block.listed_at(found, transaction_hash)
    if place is None:
        raise NodeContradictsItself(
            f"Block {number} does not list the transaction {transaction_hash} of an event"
        )
    name: str = found["transactions"][place]["input"]
    return name


def _registered(number: int, event: contract.Registered, payload: bytes) -> Registered:
    try:
        tickets, head = decode_sealed(payload)
    except ValueError as error:
        raise NodeContradictsItself(
            f"The payload of {event.transaction_hash} registers nothing: {error}"
        ) from None
    if len(tickets) != event.count:
        raise NodeContradictsItself(
            f"The payload of {event.transaction_hash} has {len(tickets)} tickets, "
            f"its event {event.count}"
        )
    prints = tuple(map(contract.fingerprint, tickets))
    return Registered(
        event.transaction_hash, number, event.first_index, payload, tickets, prints, head
    )


def _block_line(found: dict[str, Json], number: int) -> dict[str, Any]:
    fields = block.header_fields(found)
    if fields is None:
        raise NodeContradictsItself(f"What the node gives for block {number} is no block")
    return {
        "type": "block",
        "number": number,
        "hash": found["hash"],
        "header": to_hex(rlp_encode(fields)),
        "transactions": [to_hex(block.raw_transaction(one)) for one in found["transactions"]],
    }


def _registration_lines(one: Registered) -> Iterator[dict[str, Any]]:
    yield {
        "type": "registration",
        "blockNumber": one.block_number,
        "transactionHash": one.transaction_hash,
        "firstIndex": one.first_index,
        "payload": to_hex(one.payload),
    }
    for index, ticket in enumerate(one.tickets, one.first_index):
        yield ticket_line(one, index, ticket)
