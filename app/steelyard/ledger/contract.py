"""What the station contract's words mean: tickets, filters, entries, events and errors.

Texts are UTF-8 in a bytes32, left-aligned and padded with zeros; zero is absent or, in a filter,
any (docs/architecture.md, "The contract").
"""

from collections.abc import Callable as Function
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eth_abi.exceptions import DecodingError, EncodingError

from steelyard.ledger.artefact import Word, station_tickets
from steelyard.ledger.encoding import from_hex, keccak
from steelyard.ledger.errors import (
    ContractMissing,
    LedgerProblem,
    NotTheStation,
    TicketConflict,
    TicketInconsistent,
    TransactionFailed,
)
from steelyard.ledger.jsonrpc import Json
from steelyard.ledger.packing import pack, unpack
from steelyard.ledger.protocol import Entry, Page
from steelyard.ledger.ticket_abi import encode_ticket, read_page, text_word
from steelyard.ticket import MAX_TIMESTAMP_MS, CellWeight, Ticket, TicketFilter

UNKNOWN = bytes(32)  # the fingerprint of an id that is not registered
_INT64 = (-(2**63), 2**63 - 1)
_UINT64_MAX = 2**64 - 1
_UINT32_MAX = 2**32 - 1
_SELECTOR, _WORD = 4, 32


class NotATicket(LedgerProblem):
    """The ledger holds words at this place that are no weighing ticket."""

    slug = "not-a-ticket"
    title = "The ledger's answer is not a weighing ticket"


@dataclass(frozen=True, slots=True)
class Registered:
    """The event TicketsRegistered: the indexes that one transaction gave, and its whereabouts."""

    first_index: int
    count: int
    transaction_hash: str

    def holds(self, index: int) -> bool:
        """Whether the transaction registered the ticket with this index."""
        return self.first_index <= index < self.first_index + self.count


# -- writing


def initcode() -> bytes:
    """The payload of a deployment."""
    return station_tickets().initcode


def encode_registration(tickets: Sequence[Ticket]) -> bytes:
    """Calldata that registers 1 to 200 tickets: `register` for one, else `registerPacked`.

    Raises ValueError for another number of them.
    """
    functions = station_tickets().functions
    if len(tickets) == 1:
        return functions["register"].selector + encode_ticket(tickets[0])
    return functions["registerPacked"].encode(pack(tickets))


def decode_registration(payload: bytes) -> tuple[Ticket, ...]:
    """The tickets of a registering call's payload, in order.

    Reads all of the contract's three forms. Raises ValueError for anything else, also for an
    encoding other than the canonical one.
    """
    readers: dict[bytes, Function[[bytes], tuple[Ticket, ...]]] = {
        station_tickets().functions[name].selector: reader
        for name, reader in (
            ("register", _decode_one),
            ("registerMany", _decode_many),
            ("registerPacked", _decode_packed),
        )
    }
    reader = readers.get(payload[:_SELECTOR])
    if reader is None:
        raise ValueError("it calls no function that registers")
    try:
        return reader(payload)
    except (DecodingError, NotATicket, OverflowError):
        raise ValueError("its arguments are no weighing tickets") from None


def _decode_one(payload: bytes) -> tuple[Ticket, ...]:
    one = station_tickets().functions["register"]
    ticket = words_ticket(one.decode_input(payload)[0])
    return _canonical((ticket,), payload, lambda: one.selector + encode_ticket(ticket))


def _decode_many(payload: bytes) -> tuple[Ticket, ...]:
    many = station_tickets().functions["registerMany"]
    tickets = tuple(words_ticket(words) for words in many.decode_input(payload)[0])
    return _canonical(tickets, payload, lambda: many.encode([*map(ticket_words, tickets)]))


def _decode_packed(payload: bytes) -> tuple[Ticket, ...]:
    packed = station_tickets().functions["registerPacked"]
    (batch,) = packed.decode_input(payload)
    try:
        tickets = unpack(batch)
    except ValueError:
        raise ValueError("its arguments are no packed weighing tickets") from None
    if any(ticket.timestamp > MAX_TIMESTAMP_MS for ticket in tickets):
        raise ValueError("its arguments are no weighing tickets")
    return _canonical(tickets, payload, lambda: packed.encode(batch))


def _canonical(
    tickets: tuple[Ticket, ...], payload: bytes, write: Function[[], bytes]
) -> tuple[Ticket, ...]:
    """The tickets, if writing them gives the payload. Raises ValueError."""
    try:
        same = write() == payload
    except (ValueError, OverflowError):  # a text that is no UTF-8 became longer than a word
        same = False
    if not same:
        raise ValueError("its arguments are not in the canonical encoding")
    return tickets


def fingerprint(ticket: Ticket) -> bytes:
    """keccak256(abi.encode(ticket)), as the contract's `fingerprints` gives it."""
    return keccak(encode_ticket(ticket))


def ticket_words(ticket: Ticket) -> tuple[Word, ...]:
    """The members of the struct Ticket, in its order."""
    return (
        ticket.id,
        text_word(ticket.terminal_serial),
        ticket.terminal_restart,
        ticket.timestamp,
        text_word(ticket.scale_serial),
        text_word(ticket.status),
        ticket.gross,
        ticket.tare,
        ticket.net,
        text_word(ticket.vehicle),
        [(text_word(cell.serial), cell.weight) for cell in ticket.cells],
    )


def words_ticket(words: Sequence[Word]) -> Ticket:
    """The ticket of a struct's members, as it stands there.

    What is registered is shown, whatever a ticket must be to be taken today: the rules of Ticket
    are not applied. Bytes that are no UTF-8 appear as `\\xff`. Raises NotATicket for a time that
    the contract cannot hold and no date can say.
    """
    if words[3] > MAX_TIMESTAMP_MS:
        raise NotATicket("The ledger holds words at this place that are no ticket")
    return Ticket.model_construct(
        id=words[0],
        terminal_serial=_text(words[1]),
        terminal_restart=words[2],
        timestamp=words[3],
        scale_serial=_text(words[4]),
        status=_text(words[5]),
        gross=words[6],
        tare=words[7],
        net=words[8],
        vehicle=_text(words[9]) or None,
        cells=tuple(
            CellWeight.model_construct(serial=_text(cell[0]), weight=cell[1]) for cell in words[10]
        ),
    )


# -- asking


def encode_query(ticket_filter: TicketFilter, cursor: int, limit: int, *, newest: bool) -> bytes:
    """Calldata of `query`."""
    words = filter_words(ticket_filter, newest=newest)
    return station_tickets().functions["query"].encode(words, cursor, limit)


def encode_count(ticket_filter: TicketFilter, cursor: int) -> bytes:
    """Calldata of `count`."""
    words = filter_words(ticket_filter, newest=False)
    return station_tickets().functions["count"].encode(words, cursor)


def encode_get(ticket_id: str) -> bytes:
    """Calldata of `get`."""
    return station_tickets().functions["get"].encode(ticket_id)


def encode_fingerprints(ids: Sequence[str]) -> bytes:
    """Calldata of `fingerprints`."""
    return station_tickets().functions["fingerprints"].encode(list(ids))


def encode_station() -> bytes:
    """Calldata of `station`."""
    return station_tickets().functions["station"].encode()


def encode_total() -> bytes:
    """Calldata of `total`."""
    return station_tickets().functions["total"].encode()


def decode_total(data: bytes) -> int:
    """What `total` returned: the number of tickets."""
    total: int = _output("total", data)[0]
    return total


def decode_page(data: bytes, most: int) -> Page:
    """What `query` returned when at most so many entries were asked for.

    Raises ContractMissing for what the published contract does not return.
    """
    page = read_page(data, most) if data else None
    if page is None:
        raise _no_contract() if data else _nothing_there()
    return page


def decode_count(data: bytes) -> tuple[int, int]:
    """What `count` returned: how many in this scan, and the cursor of the next; 0 ends."""
    found, following = _output("count", data)
    return found, following


def decode_entry(data: bytes) -> Entry:
    """What `get` returned."""
    return _entry(_output("get", data)[0])


def decode_fingerprints(data: bytes) -> tuple[bytes, ...]:
    """What `fingerprints` returned."""
    return tuple(_output("fingerprints", data)[0])


def decode_station(data: bytes) -> str:
    """What `station` returned: a lower-case address."""
    address: str = _output("station", data)[0]
    return address.lower()


def filter_words(wanted: TicketFilter, *, newest: bool) -> tuple[Word, ...]:
    """The members of the struct Filter, in its order."""
    return (
        wanted.id or "",
        text_word(wanted.terminal_serial),
        *_range(wanted.restart_from, wanted.restart_to, (0, _UINT32_MAX)),
        *_range(wanted.timestamp_from, wanted.timestamp_to, (0, _UINT64_MAX)),
        text_word(wanted.scale_serial),
        text_word(wanted.status),
        text_word(wanted.vehicle),
        *_range(wanted.gross_from, wanted.gross_to, _INT64),
        *_range(wanted.tare_from, wanted.tare_to, _INT64),
        *_range(wanted.net_from, wanted.net_to, _INT64),
        text_word(wanted.cell_serial),
        *_range(wanted.cell_weight_from, wanted.cell_weight_to, _INT64),
        newest,
    )


# -- events and errors


def registered_events(logs: Iterable[Json], address: str) -> tuple[Registered, ...]:
    """The events TicketsRegistered of the contract at `address` among JSON-RPC log objects.

    Raises KeyError, IndexError, ValueError, TypeError or AttributeError for other objects.
    """
    topic = station_tickets().registered_topic
    return tuple(
        Registered(
            first_index=_number(log["topics"][1]),
            count=_number(log["data"]),
            transaction_hash=log["transactionHash"],
        )
        for log in logs
        if log["address"].lower() == address.lower() and log["topics"][0] == topic
    )


@dataclass(frozen=True, slots=True)
class Revert:
    """A custom error of the contract; no name for a revert that gave no reason of its own."""

    name: str | None
    arguments: tuple[Word, ...] = ()

    def as_problem(self) -> LedgerProblem:
        """The named error that a caller is told."""
        explain = _PROBLEMS.get(self.name or "")
        if explain is None:
            return TransactionFailed("The contract reverted without a reason that we know")
        return explain(*self.arguments)


def decode_revert(data: str | None) -> Revert:
    """The custom error in an `eth_call`'s error data."""
    try:
        raw = from_hex(data) if data else b""
        error = station_tickets().errors.get(raw[:4])
        return Revert(error.name, error.decode_input(raw)) if error else Revert(None)
    except (ValueError, DecodingError):
        return Revert(None)


_PROBLEMS: dict[str, Function[..., LedgerProblem]] = {
    "TicketKnown": lambda name: TicketConflict(f"A ticket {name} is registered already"),
    "NetMismatch": lambda name: TicketInconsistent(f"{name}: net must be gross minus tare"),
    "NoCells": lambda name: TicketInconsistent(f"{name}: a ticket needs at least one cell"),
    "TooManyCells": lambda name, size: TicketInconsistent(f"{name}: {size} cells are too many"),
    "InvalidField": lambda name, what: TicketInconsistent(
        f"{name}: the contract does not take this value of {what}"
    ),
    "NotTheStation": lambda _: NotTheStation(
        "The transaction was signed by another key than the contract's station"
    ),
    "EmptyBatch": lambda: TransactionFailed("The batch holds no ticket"),
    "BatchTooLarge": lambda size, limit: TransactionFailed(
        f"A batch of {size} tickets is larger than the contract's limit of {limit}"
    ),
    "MalformedBatch": lambda place: TransactionFailed(
        f"The batch is not packed as the contract reads it, at byte {place}"
    ),
    "UnknownTicket": lambda name: TransactionFailed(f"No ticket {name} is registered"),
    "LimitOutOfRange": lambda limit, most: TransactionFailed(
        f"A page of {limit} tickets was asked for; 1 to {most} are allowed"
    ),
}


# -- words


def _entry(words: Sequence[Word]) -> Entry:
    return Entry(ticket=words_ticket(words[0]), index=words[1], block_number=words[2])


def _output(function: str, data: bytes) -> tuple[Word, ...]:
    if not data:
        raise _nothing_there()
    try:
        return station_tickets().functions[function].decode_output(data)
    except (DecodingError, EncodingError, OverflowError, UnicodeDecodeError):
        raise _no_contract() from None


def _nothing_there() -> ContractMissing:
    return ContractMissing("No station contract answers at this address and node")


def _no_contract() -> ContractMissing:
    return ContractMissing("What answers at this address is no station contract")


def _number(word: str) -> int:
    data = from_hex(word)
    if len(data) != _WORD:
        raise ValueError("not a word")
    return int.from_bytes(data, "big")


def _range(low: int | None, high: int | None, ends: tuple[int, int]) -> tuple[int, int]:
    return ends[0] if low is None else low, ends[1] if high is None else high


def _text(word: bytes) -> str:
    return word.rstrip(b"\0").decode(errors="backslashreplace")
