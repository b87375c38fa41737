"""What goes over the wire about vehicles on their routes."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from steelyard.route_plan import Quantity
from steelyard.ticket import Timestamp, Vehicle
from steelyard.tickets.judge import Kind
from steelyard.tickets.models import MAX_PAGE, FoundTicket
from steelyard.tickets.route_search import Flags, Match


class _Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )


class DeviationParameters(_Wire):
    """The time that is asked for, both ends included, and how many weighings a page has."""

    timestamp_from: Timestamp | None = Field(default=None, alias="timestampFrom")
    timestamp_to: Timestamp | None = Field(default=None, alias="timestampTo")
    limit: int = Field(default=100, ge=1, le=MAX_PAGE, description="Weighings a page.")
    cursor: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="`next` of the page before, as it is."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        low, high = self.timestamp_from, self.timestamp_to
        if low is not None and high is not None and low > high:
            raise ValueError("timestampFrom must not be after timestampTo")
        return self


class RouteParameters(DeviationParameters):
    """How the vehicle's name is compared, and which weighings are wanted."""

    match: Match = Field(
        default=Match.NORMALISED,
        description="normalised: without case, blanks, hyphens and dots; written: as it is given.",
    )
    flags: Flags = Field(
        default=Flags.ALL,
        description="all: every weighing, with its deviations; only: those that show one; none: "
        "every weighing, held against no route.",
    )


class WeightShown(_Wire):
    """What was expected and found, in grams; `difference` is found minus expected."""

    quantity: Quantity
    expected: int
    found: int
    difference: int
    tolerance: int


class DeviationShown(_Wire):
    """A weighing that is not as a route expects, with the two tickets that show it, in order.

    kind `weight`: `weight` says what; at the first stop there is one ticket only. kind `order`: the
    vehicle came from `since_stop` to `stop`, which is not the next.
    """

    route_id: str
    route: str
    kind: Kind
    stop: int
    since_stop: int | None
    weight: WeightShown | None
    tickets: tuple[FoundTicket, ...]


class WeighingShown(_Wire):
    """A weighing, and the deviations that it shows together with one before."""

    ticket: FoundTicket
    deviations: tuple[DeviationShown, ...]


class VehicleRoute(_Wire):
    """A page of one vehicle's weighings over all stations, in the order of time."""

    vehicle: Vehicle
    normalised: str
    count: int
    weighings: tuple[WeighingShown, ...]
    next: str | None = None


class DeviationPage(_Wire):
    """A page of weighings with deviations, of any vehicle, in the order of time."""

    count: int
    weighings: tuple[WeighingShown, ...]
    next: str | None = None
