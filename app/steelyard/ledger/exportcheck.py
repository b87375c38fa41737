"""Checking an export's lines, one after the other, with nothing else at hand.

The same check goes along while an export is written, so that what does not hold is never written.
"""

import hashlib
from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Self

from steelyard.json_text import read_json
from steelyard.ledger import block, contract, seals
from steelyard.ledger.encoding import from_hex, to_hex
from steelyard.ledger.errors import ExportDamaged
from steelyard.ledger.exportfile import encode_line
from steelyard.ledger.sealing import decode_sealed
from steelyard.ledger.trie import list_root
from steelyard.ticket import AlibiHead, Ticket

FORMAT, VERSION = "steelyard-export", 1
_MEMBERS = {
    "header": "type format version engine chainId genesisHash contract station codeHash fromBlock",
    "block": "type number hash header transactions",
    "registration": "type blockNumber transactionHash firstIndex payload",
    "ticket": "type blockNumber transactionHash index fingerprint ticket",
    "end": "type toBlock total tickets registrations blocks digest",
}


class _Wrong(Exception):
    """What is wrong with a line."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration that holds: its place, its payload and the tickets in it."""

    transaction_hash: str
    block_number: int
    first_index: int
    payload: bytes
    tickets: tuple[Ticket, ...]
    fingerprints: tuple[bytes, ...]
    alibi_head: AlibiHead | None = None


@dataclass(slots=True)
class _Block:
    number: int
    hash: str
    transactions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Progress:
    """How far the lines went, and what holds of them."""

    header: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    blocks: int = 0
    adjacent: int = 0  # blocks whose parent is in the file as well
    sealed: int = 0
    registrations: int = 0
    sealing: int = 0  # of these, the ones with an alibi head
    tickets: int = 0
    next_index: int | None = None
    last: _Block | None = None
    covered: int = -1  # the last block whose registrations are all there
    awaited: deque[tuple[int, Ticket]] = field(default_factory=deque)
    registered: Registered | None = None


class Checker:
    """Takes the lines in their order and raises ExportDamaged at the first that does not hold."""

    def __init__(
        self, trusted: seals.Validators | None = None, *, require_seals: bool = False
    ) -> None:
        self.progress = Progress()
        self._trusted = trusted
        self._require_seals = require_seals or trusted is not None
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of the lines taken so far, their ends included, but for the closing line."""
        return self._digest.hexdigest()

    def snapshot(self) -> Self:
        """A copy that goes its own way from here. Only between groups of lines."""
        other = copy(self)
        other.progress = copy(self.progress)
        other.progress.awaited = deque(self.progress.awaited)
        other._digest = self._digest.copy()  # noqa: SLF001  (another one of this class)
        return other

    def take(self, text: bytes) -> str:
        """Check a line, without its end; returns its type. Raises ExportDamaged."""
        try:
            record = _read(text)
            kind: str = record["type"]
            self._check_order(kind)
            getattr(self, f"_take_{kind}")(record)
        except _Wrong as wrong:
            raise ExportDamaged(str(wrong)) from None
        if kind != "end":
            self._digest.update(text + b"\n")
        return kind

    def _check_order(self, kind: str) -> None:
        at = self.progress
        if at.end:
            raise _Wrong("something follows the closing line")
        if bool(at.header) == (kind == "header"):
            raise _Wrong("the header must be the first line, and only that")
        if bool(at.awaited) != (kind == "ticket"):
            raise _Wrong(
                f"{'a ticket' if at.awaited else 'no ticket'} must come here, not a {kind}"
            )

    def _take_header(self, record: dict[str, Any]) -> None:
        if (record["format"], record["version"]) != (FORMAT, VERSION):
            raise _Wrong(f"this is no {FORMAT} of version {VERSION}")
        if not _is_number(record["fromBlock"]):
            raise _Wrong("fromBlock must be a block's number")
        self.progress.header = record
        self.progress.next_index = 1 if record["fromBlock"] == 0 else None

    def _take_block(self, record: dict[str, Any]) -> None:
        at = self.progress
        fields = block.decode_header(_bytes(record, "header"))
        if fields is None or not _is_number(record["number"]):
            raise _Wrong("it holds no block's header and number")
        if fields[block.NUMBER] != record["number"]:
            raise _Wrong("the header is not this block's")
        number, found = record["number"], block.hash_of_header(fields)
        if found is None or found != record["hash"]:
            raise _Wrong(f"the header of block {number} does not have the block's hash")
        if number < at.header["fromBlock"] or (at.last and number <= at.last.number):
            raise _Wrong(f"block {number} is out of order")
        if at.last and number == at.last.number + 1:
            if fields[block.PARENT] != from_hex(at.last.hash):
                raise _Wrong(f"block {number} does not follow the block before it")
            at.adjacent += 1
        self._take_seals(fields, number)
        raws = _list_of_bytes(record, "transactions")
        if list_root(raws) != fields[block.ROOT]:
            raise _Wrong(f"the transactions of block {number} do not have the root in its header")
        transactions = [block.decode_transaction(raw) for raw in raws]
        at.covered = number - 1
        at.last = _Block(number, found, {one["hash"]: one for one in transactions if one})
        at.blocks += 1

    def _take_seals(self, fields: Sequence[Any], number: int) -> None:
        at = self.progress
        sealing = seals.examine(fields, self._trusted)
        if sealing.seals == 0 and not at.sealed and not self._require_seals:
            return
        if sealing.problem is not None:
            raise _Wrong(f"block {number} is not sealed: {sealing.problem}")
        if at.sealed < at.blocks:
            raise _Wrong(f"block {number} is sealed, and blocks before it are not")
        if self._trusted and sealing.validators != self._trusted.addresses:
            difference = seals.difference(sealing.validators, self._trusted.addresses)
            raise _Wrong(f"block {number} has other validators than you trust: {difference}")
        at.sealed += 1

    def _take_registration(self, record: dict[str, Any]) -> None:
        at = self.progress
        name = record["transactionHash"]
        if at.last is None or record["blockNumber"] != at.last.number:
            raise _Wrong("the registration is not of the block before it")
        transaction = at.last.transactions.pop(name, None) if isinstance(name, str) else None
        if transaction is None:
            raise _Wrong(f"block {at.last.number} has no such transaction, or it came before")
        if block.target_of(transaction) != at.header["contract"]:
            raise _Wrong(f"the transaction {name} does not go to the contract")
        if block.signer_of(transaction) != at.header["station"]:
            raise _Wrong(f"the station did not sign the transaction {name}")
        payload = _bytes(record, "payload")
        try:
            tickets, head = decode_sealed(payload)
        except ValueError as error:
            raise _Wrong(f"the payload of {name} registers nothing: {error}") from None
        first = record["firstIndex"]
        if not _is_number(first) or first < 1 or first != (at.next_index or first):
            raise _Wrong(f"the registration's first index is not {at.next_index}")
        if not tickets:
            raise _Wrong(f"the payload of {name} holds no tickets")
        at.awaited.extend(enumerate(tickets, first))
        at.next_index = first + len(tickets)
        at.registrations += 1
        prints = tuple(map(contract.fingerprint, tickets))
        at.registered = Registered(name, at.last.number, first, payload, tickets, prints, head)
        at.sealing += head is not None

    def _take_ticket(self, record: dict[str, Any]) -> None:
        at = self.progress
        index, ticket = at.awaited.popleft()
        registered = at.registered
        assert registered is not None  # noqa: S101  (tickets are awaited behind one only)
        wrong = _difference(record, ticket_line(registered, index, ticket))
        if wrong:
            raise _Wrong(f"the ticket with index {index} has another {wrong} than its payload")
        at.tickets += 1

    def _take_end(self, record: dict[str, Any]) -> None:
        at = self.progress
        wanted = {
            "tickets": at.tickets,
            "registrations": at.registrations,
            "blocks": at.blocks,
            "digest": self.digest,
        }
        wrong = _difference(record, wanted)
        if wrong:
            raise _Wrong(f"the closing line's {wrong} is not that of the lines before")
        lowest = at.last.number if at.last else at.header["fromBlock"]
        if not _is_number(record["toBlock"]) or record["toBlock"] < lowest:
            raise _Wrong("the closing line's toBlock is below the blocks before")
        if not _is_number(record["total"]) or record["total"] < (at.next_index or 1) - 1:
            raise _Wrong("the closing line's total is less than the tickets before")
        at.covered = record["toBlock"]
        at.end = record


def _read(text: bytes) -> dict[str, Any]:
    """The record of a line, which must have its one spelling and the members of its type."""
    try:
        found = read_json(text)
    except ValueError:
        raise _Wrong("it is not JSON") from None
    record: dict[str, Any] = found if isinstance(found, dict) else {}
    kind = record.get("type")
    members = _MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None or list(record) != members.split():
        raise _Wrong("it is no line of an export, or its members are not those of its type")
    if encode_line(record) != text + b"\n":
        raise _Wrong("it is spelt in another way than an export's")
    return record


def ticket_line(registered: Registered, index: int, ticket: Ticket) -> dict[str, Any]:
    """The record of one ticket."""
    return {
        "type": "ticket",
        "blockNumber": registered.block_number,
        "transactionHash": registered.transaction_hash,
        "index": index,
        "fingerprint": to_hex(registered.fingerprints[index - registered.first_index]),
        "ticket": ticket.as_json(),
    }


def _difference(record: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """The first member that is not as wanted; compared as spelt, as Python takes True for 1."""
    found = (
        name
        for name in wanted
        if encode_line({"": record[name]}) != encode_line({"": wanted[name]})
    )
    return next(found, None)


def _bytes(record: dict[str, Any], name: str) -> bytes:
    return _as_bytes(record[name], name)


def _list_of_bytes(record: dict[str, Any], name: str) -> list[bytes]:
    if not isinstance(record[name], list):
        raise _Wrong(f"{name} is not a list")
    return [_as_bytes(one, name) for one in record[name]]


def _as_bytes(value: object, name: str) -> bytes:
    try:
        data = from_hex(value)  # type: ignore[arg-type]  # it refuses what is no text
    except ValueError:
        raise _Wrong(f"{name} is not hexadecimal") from None
    if to_hex(data) != value:
        raise _Wrong(f"{name} is not in lower case")
    return data


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
