"""The weighing ticket: the one noun that every room shares.

Weights are integers in grams, times are integers in milliseconds since 1970-01-01T00:00:00Z.
The JSON names are those of figures 5 and 10 of Leite et al. 2021; the limits are those of
contracts/StationTickets.sol, so that what passes here is never refused there for its form.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

MAX_CELLS = 32
MAX_GRAMS = 2**31 - 1
MIN_GRAMS = -(2**31)
MAX_TIMESTAMP_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last that RFC 3339 can say
MAX_RESTART = 2**32 - 1
MAX_ALIBI_RECORDS = 2**63 - 1
MAX_BLOCK_NUMBER = 2**63 - 1  # a database's integer; geth counts blocks in 64 bits
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,95}$"
SERIAL_PATTERN = r"^[!-~]([ -~]{0,30}[!-~])?$"  # 1 to 32 printable ASCII characters, trimmed
STATUS_PATTERN = r"^[a-z][a-z0-9-]{0,11}$"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC3339 = re.compile(
    r"^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$", re.ASCII
)

# What a reader does not see, or what turns the text around it: two vehicles would look the same.
_UNSEEN = re.compile(
    "["
    r"\x00-\x1f\x7f-\x9f"  # the control characters C0, DEL, C1
    r"\u061c\u200b-\u200f"  # zero-width characters and marks of direction
    r"\u2028-\u202e"  # separators of lines and paragraphs, embeddings and overrides of direction
    r"\u2060-\u206f\ufeff"  # joiners, invisible operators, isolates, the byte order mark
    r"\ud800-\udfff"  # surrogates
    r"\ufdd0-\ufdef\ufffe\uffff"  # noncharacters
    + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(1, 17))
    + "]"
)
# White space by Unicode's property of that name, without what is a control character anyway.
_BLANKS = " \u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"


def parse_timestamp(value: object) -> int:
    """Milliseconds since the epoch of an RFC 3339 time (with offset), or of an integer as it is.

    Raises ValueError with what is allowed; times finer than a millisecond are refused, not cut.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    wanted = "must be an RFC 3339 time with offset, such as 2020-11-12T06:01:29.392Z"
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError(wanted)
    fraction = re.search(r"\.(\d+)", value)
    if fraction and fraction.group(1)[3:].strip("0"):
        raise ValueError("must not be finer than a millisecond")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(wanted) from None
    if moment < _EPOCH:
        raise ValueError("must not be before 1970-01-01T00:00:00Z")
    return (moment - _EPOCH) // _MILLISECOND


def format_timestamp(milliseconds: int) -> str:
    """An RFC 3339 time in UTC with exactly three decimals."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_vehicle(value: str) -> str:
    """The vehicle's text as it is. Raises ValueError with what is allowed.

    The rule is the contract's (contracts/Fields.sol) and a list of characters of its own; neither
    follows the version of Unicode that an interpreter has.
    """
    if _UNSEEN.search(value) or value.strip(_BLANKS) != value:
        raise ValueError("must be visible characters without blanks at either end")
    if len(value.encode()) > 32:
        raise ValueError("must be at most 32 bytes of UTF-8")
    return value


TicketID = Annotated[str, Field(pattern=ID_PATTERN, max_length=96)]
Serial = Annotated[str, Field(pattern=SERIAL_PATTERN, max_length=32)]
Status = Annotated[str, Field(pattern=STATUS_PATTERN, max_length=12)]
Vehicle = Annotated[str, Field(min_length=1, max_length=32), AfterValidator(check_vehicle)]
Grams = Annotated[int, Field(ge=MIN_GRAMS, le=MAX_GRAMS)]
NonNegativeGrams = Annotated[int, Field(ge=0, le=MAX_GRAMS)]
Restart = Annotated[int, Field(ge=0, le=MAX_RESTART)]
Timestamp = Annotated[
    int,
    BeforeValidator(parse_timestamp),
    Field(ge=0, le=MAX_TIMESTAMP_MS),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2020-11-12T06:01:29.392Z"]}
    ),
]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        populate_by_name=True,
        serialize_by_alias=True,
        revalidate_instances="never",
    )


class CellWeight(_Model):
    """What one load cell carried, in grams (negative where a corner lifts)."""

    serial: Serial = Field(alias="cellSerialNumber")
    weight: Grams = Field(alias="cellWeight")


class Ticket(_Model):
    """One weighing, as the SmartBox emitted it.

    `terminal_restart` counts the terminal's restarts, `scale_serial` names the weighbridge.
    Invariant: gross - tare == net.
    """

    id: TicketID = Field(alias="ticketID")
    terminal_serial: Serial = Field(alias="terminalSerialNumber")
    terminal_restart: Restart = Field(alias="terminalRestartValue")
    timestamp: Timestamp
    scale_serial: Serial = Field(alias="scaleSerialNumber")
    status: Status = Field(alias="scaleStatus")
    gross: NonNegativeGrams = Field(alias="scaleGross")
    tare: NonNegativeGrams = Field(alias="scaleTare")
    net: Grams = Field(alias="scaleNet")
    vehicle: Vehicle | None = None
    cells: tuple[CellWeight, ...] = Field(min_length=1, max_length=MAX_CELLS, strict=False)

    @model_validator(mode="after")
    def _weights_agree(self) -> Self:
        if self.gross - self.tare != self.net:
            raise ValueError("scaleNet must be scaleGross minus scaleTare")
        return self

    def as_json(self) -> dict[str, Any]:
        """The JSON form, with the paper's names."""
        return self.model_dump(mode="json", by_alias=True)


class TicketFilter(_Model):
    """What a query asks for: every member given must hold; ranges include both ends.

    `cell_serial` with a range of `cell_weight` asks for a ticket on which that very cell carried
    a weight in the range; without a serial, any one cell may.
    """

    id: TicketID | None = None
    terminal_serial: Serial | None = None
    restart_from: Restart | None = None
    restart_to: Restart | None = None
    timestamp_from: Timestamp | None = None
    timestamp_to: Timestamp | None = None
    scale_serial: Serial | None = None
    status: Status | None = None
    vehicle: Vehicle | None = None
    gross_from: Grams | None = None
    gross_to: Grams | None = None
    tare_from: Grams | None = None
    tare_to: Grams | None = None
    net_from: Grams | None = None
    net_to: Grams | None = None
    cell_serial: Serial | None = None
    cell_weight_from: Grams | None = None
    cell_weight_to: Grams | None = None

    def matches(self, ticket: Ticket) -> bool:
        """Whether the ticket passes: the reference that the contract is tested against."""
        exact = (
            (self.id, ticket.id),
            (self.terminal_serial, ticket.terminal_serial),
            (self.scale_serial, ticket.scale_serial),
            (self.status, ticket.status),
            (self.vehicle, ticket.vehicle),
        )
        ranges = (
            (self.restart_from, ticket.terminal_restart, self.restart_to),
            (self.timestamp_from, ticket.timestamp, self.timestamp_to),
            (self.gross_from, ticket.gross, self.gross_to),
            (self.tare_from, ticket.tare, self.tare_to),
            (self.net_from, ticket.net, self.net_to),
        )
        return (
            all(want is None or want == have for want, have in exact)
            and all(_within(*bounds) for bounds in ranges)
            and self._matches_a_cell(ticket)
        )

    def _matches_a_cell(self, ticket: Ticket) -> bool:
        if (
            self.cell_serial is None
            and self.cell_weight_from is None
            and self.cell_weight_to is None
        ):
            return True
        return any(
            (self.cell_serial is None or self.cell_serial == cell.serial)
            and _within(self.cell_weight_from, cell.weight, self.cell_weight_to)
            for cell in ticket.cells
        )


def _within(low: int | None, value: int, high: int | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


class AlibiHead(_Model):
    """How far a station's alibi memory went: its last record's number, from 1, and SHA-256.

    The hash stands for all records before it (docs/decisions/alibi-head.md).
    """

    sequence: int = Field(ge=1, le=MAX_ALIBI_RECORDS)
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")


class Receipt(_Model):
    """What the SmartBox keeps of a registered ticket (figure 5 of the paper), with its block."""

    ticket_id: TicketID = Field(alias="ticketID")
    transaction_hash: str = Field(alias="transactionHash", pattern=r"^0x[0-9a-f]{64}$")
    block_number: int = Field(alias="blockNumber", ge=0, le=MAX_BLOCK_NUMBER)
