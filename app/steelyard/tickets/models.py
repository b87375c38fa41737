"""What goes over the tickets API's wire, beside the ticket itself."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from steelyard.ticket import (
    AlibiHead,
    Grams,
    Restart,
    Serial,
    Status,
    Ticket,
    TicketFilter,
    TicketID,
    Timestamp,
    Vehicle,
)

MAX_BATCH = 100
MAX_PAGE = 500
DEFAULT_PAGE = 100

StationName = Annotated[str, Field(min_length=1, max_length=64)]


class _Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )


class GroupBy(StrEnum):
    """The attributes by which a page may be grouped; `day` is the UTC day of the timestamp."""

    TICKET_ID = "ticketID"
    TERMINAL = "terminalSerialNumber"
    RESTART = "terminalRestartValue"
    TIMESTAMP = "timestamp"
    DAY = "day"
    SCALE = "scaleSerialNumber"
    STATUS = "scaleStatus"
    GROSS = "scaleGross"
    TARE = "scaleTare"
    NET = "scaleNet"
    VEHICLE = "vehicle"
    CELL = "cellSerialNumber"
    CELL_WEIGHT = "cellWeight"
    STATION = "station"


class ExportFormat(StrEnum):
    """The forms of an answer: one JSON page, or every ticket as a stream."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


class Order(StrEnum):
    """Oldest or newest first."""

    OLDEST = "oldest"
    NEWEST = "newest"


class FilterParameters(_Wire):
    """The filters of a query; every one given must hold, and ranges include both ends.

    `cellSerialNumber` together with `cellWeightFrom`/`cellWeightTo` asks for tickets on which that
    very cell carried such a weight. Weights are in grams, times RFC 3339.
    """

    station: StationName | None = Field(default=None, description="The station's name.")
    ticket_id: TicketID | None = Field(default=None, alias="ticketID")
    terminal_serial: Serial | None = Field(default=None, alias="terminalSerialNumber")
    restart_from: Restart | None = Field(default=None, alias="terminalRestartValueFrom")
    restart_to: Restart | None = Field(default=None, alias="terminalRestartValueTo")
    timestamp_from: Timestamp | None = Field(default=None, alias="timestampFrom")
    timestamp_to: Timestamp | None = Field(default=None, alias="timestampTo")
    scale_serial: Serial | None = Field(default=None, alias="scaleSerialNumber")
    status: Status | None = Field(default=None, alias="scaleStatus")
    vehicle: Vehicle | None = None
    gross_from: Grams | None = Field(default=None, alias="scaleGrossFrom")
    gross_to: Grams | None = Field(default=None, alias="scaleGrossTo")
    tare_from: Grams | None = Field(default=None, alias="scaleTareFrom")
    tare_to: Grams | None = Field(default=None, alias="scaleTareTo")
    net_from: Grams | None = Field(default=None, alias="scaleNetFrom")
    net_to: Grams | None = Field(default=None, alias="scaleNetTo")
    cell_serial: Serial | None = Field(default=None, alias="cellSerialNumber")
    cell_weight_from: Grams | None = Field(default=None, alias="cellWeightFrom")
    cell_weight_to: Grams | None = Field(default=None, alias="cellWeightTo")

    def ticket_filter(self) -> TicketFilter:
        """The filter as the ledger takes it; the station is no part of it."""
        members = {name: getattr(self, name) for name in TicketFilter.model_fields if name != "id"}
        return TicketFilter(id=self.ticket_id, **members)


class QueryParameters(FilterParameters):
    """A query: filters, and how the answer is to look."""

    limit: int | None = Field(
        default=None,
        ge=1,
        le=MAX_PAGE,
        description=f"Tickets a page; {DEFAULT_PAGE} where none is given. Only with format=json.",
    )
    cursor: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="`next` of the page before, as it is."
    )
    order: Order = Order.OLDEST
    group_by: GroupBy | None = None
    format: ExportFormat = Field(
        default=ExportFormat.JSON,
        description="csv and ndjson stream every ticket that passes the filters.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.format is not ExportFormat.JSON and (self.limit or self.group_by or self.cursor):
            raise ValueError("limit, cursor and group_by go with format=json only")
        return self


class TicketBatch(_Wire):
    """What a SmartBox sends after a while offline."""

    tickets: tuple[Ticket, ...] = Field(min_length=1, max_length=MAX_BATCH)
    alibi_head: AlibiHead | None = Field(
        default=None,
        alias="alibiHead",
        description="How far the station's alibi memory went when it sent this; the transaction "
        "carries it.",
    )


class RegistrationResult(_Wire):
    """How one ticket of a batch fared. `problem` is an RFC 9457 object, where it was refused."""

    ticket_id: TicketID = Field(alias="ticketID")
    status: Literal["registered", "already-registered", "refused"]
    transaction_hash: str | None = Field(default=None, alias="transactionHash")
    block_number: int | None = Field(default=None, alias="blockNumber")
    problem: dict[str, Any] | None = None


class BatchResult(_Wire):
    """One result a ticket, in the order of the request."""

    results: tuple[RegistrationResult, ...]


class FoundTicket(Ticket):
    """A registered ticket, with the station that emitted it and the block that holds it."""

    station: str
    block_number: int = Field(alias="blockNumber")


class TicketPage(_Wire):
    """A page, in the shape of the paper's figure 10; `count` is the number of tickets in it."""

    count: int
    tickets: tuple[FoundTicket, ...]
    next: str | None = None


class TicketGroup(_Wire):
    """The tickets of a page that share a value; null for tickets without one."""

    value: str | int | None
    count: int
    tickets: tuple[FoundTicket, ...]


class GroupedPage(_Wire):
    """A page, grouped. A ticket is in the group of each of its cells when grouped by a cell's."""

    count: int
    group_by: GroupBy
    groups: tuple[TicketGroup, ...]
    next: str | None = None


class TicketCount(_Wire):
    """How many tickets pass the filters."""

    count: int


class ProofCheck(_Wire):
    """One statement of a proof."""

    name: str
    holds: bool
    seen: str


class TicketProof(_Wire):
    """What a customer needs to prove a ticket at a node of their own, and what we found at ours."""

    ticket_id: TicketID = Field(alias="ticketID")
    transaction_hash: str = Field(alias="transactionHash")
    block_number: int = Field(alias="blockNumber")
    contract_address: str = Field(alias="contractAddress")
    ticket: Ticket
    alibi_head: AlibiHead | None = Field(
        default=None,
        alias="alibiHead",
        description="How far the station's alibi memory went, as the transaction says.",
    )
    holds: bool
    checks: tuple[ProofCheck, ...]
