"""Reading a station's contract at one party's node."""

import asyncio
from collections.abc import Sequence
from itertools import chain

from steelyard.ledger import contract
from steelyard.ledger.errors import ContractMissing, LedgerProblem, NodeContradictsItself
from steelyard.ledger.jsonrpc import NodeError
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractView, Entry, Page
from steelyard.ticket import Receipt, TicketFilter

_AT_ONCE = 16  # calls to the node that one question may have open
# Tickets whose fingerprints are asked for in one call. The node gives it 25,000,000 gas; a ticket
# of 32 cells takes 133,000 of it.
_PRINTS_A_CALL = 64


class Reader:
    """One contract seen from one node."""

    def __init__(self, view: ContractView, node: Node) -> None:
        self._view = view
        self._node = node
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def call(self, data: bytes, sender: str | None = None) -> bytes:
        """What the contract returns, nothing where there is none; NodeError for a revert."""
        async with self._gate:
            return await self._node.call(self._view.address, data, sender)

    async def ask(self, data: bytes) -> bytes:
        """Like `call`, with a revert turned into the contract's named error."""
        try:
            return await self.call(data)
        except NodeError as error:
            raise _problem(error) from None

    async def page(
        self, wanted: TicketFilter, *, cursor: int, limit: int, newest_first: bool
    ) -> Page:
        """One page of `query`."""
        data = contract.encode_query(wanted, cursor, limit, newest=newest_first)
        return contract.decode_page(await self.ask(data), limit)

    async def count(self, wanted: TicketFilter) -> int:
        """The bounded scans of `count`, joined."""
        total, cursor = 0, 0
        while True:
            answer = await self.ask(contract.encode_count(wanted, cursor))
            found, following = contract.decode_count(answer)
            total += found
            if following == 0:
                return total
            if following <= cursor:
                raise LedgerProblem("The contract's scan does not move on")
            cursor = following

    async def get(self, ticket_id: str) -> Entry | None:
        """The ticket with this id, or None."""
        try:
            answer = await self.call(contract.encode_get(ticket_id))
        except NodeError as error:
            if contract.decode_revert(error.data).name == "UnknownTicket":
                return None
            raise _problem(error) from None
        return contract.decode_entry(answer)

    async def fingerprints(self, ids: Sequence[str]) -> tuple[bytes, ...]:
        """One for each id; contract.UNKNOWN for what is not registered."""
        found = await asyncio.gather(*map(self._fingerprints, _pieces(ids)))
        return tuple(chain.from_iterable(found))

    async def _fingerprints(self, ids: Sequence[str]) -> tuple[bytes, ...]:
        return _prints(await self.ask(contract.encode_fingerprints(ids)), ids)

    async def many_fingerprints(self, groups: Sequence[Sequence[str]]) -> list[tuple[bytes, ...]]:
        """The fingerprints of several groups of ids, in one exchange with the node."""
        pieces = [_pieces(ids) for ids in groups]
        every = list(chain.from_iterable(pieces))
        requests = [contract.encode_fingerprints(ids) for ids in every]
        try:
            async with self._gate:
                answers = await self._node.calls(self._view.address, requests)
        except NodeError as error:
            raise _problem(error) from None
        found = iter([_prints(answer, ids) for answer, ids in zip(answers, every, strict=True)])
        return [tuple(chain.from_iterable(next(found) for _ in own)) for own in pieces]

    async def count_all(self) -> int:
        """How many tickets the contract holds."""
        return contract.decode_total(await self.ask(contract.encode_total()))

    async def station(self) -> str:
        """The address whose key may register, in lower case."""
        return contract.decode_station(await self.ask(contract.encode_station()))

    async def receipts(self, ids: Sequence[str]) -> dict[str, Receipt]:
        """The receipts of registered tickets, found again by the event of their transaction.

        Those that are not registered are left out. Raises NodeContradictsItself.
        """
        found = await asyncio.gather(*map(self.get, ids))
        entries = [one for one in found if one is not None]
        if any(one and one.ticket.id != wanted for wanted, one in zip(ids, found, strict=True)):
            raise NodeContradictsItself("The node gives another ticket than the one asked for")
        blocks = sorted({entry.block_number for entry in entries})
        events = dict(zip(blocks, await asyncio.gather(*map(self._events, blocks)), strict=True))
        return {entry.ticket.id: _receipt(entry, events[entry.block_number]) for entry in entries}

    async def _events(self, block_number: int) -> tuple[contract.Registered, ...]:
        async with self._gate:
            return await self._node.registered_in(self._view.address, block_number)


def _pieces(ids: Sequence[str]) -> list[Sequence[str]]:
    """The ids in groups that one call can answer; one empty group for none."""
    return [ids[at : at + _PRINTS_A_CALL] for at in range(0, max(len(ids), 1), _PRINTS_A_CALL)]


def _prints(answer: bytes, ids: Sequence[str]) -> tuple[bytes, ...]:
    prints = contract.decode_fingerprints(answer)
    if len(prints) != len(ids):
        raise ContractMissing("What answers at this address is no station contract")
    return prints


def _receipt(entry: Entry, events: Sequence[contract.Registered]) -> Receipt:
    for event in events:
        if event.holds(entry.index):
            try:
                return Receipt(
                    ticket_id=entry.ticket.id,
                    transaction_hash=event.transaction_hash,
                    block_number=entry.block_number,
                )
            except ValueError:
                break  # the event names no transaction, or the entry no ticket
    raise NodeContradictsItself(
        f"The node has no event for the ticket {entry.ticket.id} in block {entry.block_number}"
    )


def _problem(error: NodeError) -> LedgerProblem:
    """A revert becomes the contract's named error; any other error of the node stays."""
    return contract.decode_revert(error.data).as_problem() if error.is_revert else error
