"""What a customer expects of vehicles on a route: where they are weighed, and what they weigh.

Both APIs know it: one registers it, the other holds the weighings against it (tickets/judge.py).
Weights are integers in grams.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from steelyard.ticket import MAX_GRAMS, Grams, NonNegativeGrams, Serial, Timestamp
from steelyard.vehicles import MAX_PATTERN, VehiclePattern

MAX_STOPS = 16
MAX_EXPECTATIONS = 32
MAX_WITHIN_SECONDS = 31 * 86_400
_DECIMALS = 3


def _check_pattern(text: str) -> str:
    VehiclePattern(text)
    return text


def _check_percent(value: float) -> float:
    if -Decimal(repr(value)).as_tuple().exponent > _DECIMALS:  # type: ignore[operator] # it is finite
        raise ValueError(f"must have at most {_DECIMALS} decimals")
    return value


Pattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_PATTERN,
        description="A vehicle's name, with `*` for any run of characters.",
        examples=["BH-59-VJ"],
    ),
    AfterValidator(_check_pattern),
]
StationId = Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
StopNumber = Annotated[int, Field(ge=1, le=MAX_STOPS)]
Change = Annotated[int, Field(ge=-MAX_GRAMS, le=MAX_GRAMS)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), AfterValidator(_check_percent)]


class Quantity(StrEnum):
    """The weight of a ticket that an expectation is about."""

    GROSS = "gross"
    TARE = "tare"
    NET = "net"


class _Plan(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Stop(_Plan):
    """Where a vehicle is weighed: a station, or one weighbridge of it by its scale's serial."""

    station_id: StationId
    scale_serial: Serial | None = None

    def overlaps(self, other: "Stop") -> bool:
        """Whether one weighing could be at both."""
        return self.station_id == other.station_id and (
            self.scale_serial is None
            or other.scale_serial is None
            or self.scale_serial == other.scale_serial
        )


class Expectation(_Plan):
    """What a vehicle should weigh at the stop `at`; stops count from 1.

    With `since` (an earlier stop) the weight expected is that of the weighing there plus `grams`;
    without, it is `grams`. It may differ by `tolerance_grams`, or by `tolerance_percent` of the
    weight that is expected.
    """

    at: StopNumber
    since: StopNumber | None = None
    quantity: Quantity = Quantity.GROSS
    grams: Change
    tolerance_grams: NonNegativeGrams | None = None
    tolerance_percent: Percent | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.tolerance_grams is None) == (self.tolerance_percent is None):
            raise ValueError("must have one of tolerance_grams and tolerance_percent")
        if self.since is not None and self.since >= self.at:
            raise ValueError("since must be a stop before at")
        return self

    def tolerance(self, expected: Grams) -> int:
        """By how many grams a weight may differ from `expected`: exact, and rounded down."""
        if self.tolerance_grams is not None:
            return self.tolerance_grams
        return int(Decimal(repr(self.tolerance_percent)) * abs(expected) / 100)


class RoutePlan(_Plan):
    """Which vehicles, which stops in which order, in what time, and what they should weigh.

    A weighing counts when its time is from `valid_from` to `valid_to`, both included, and at most
    `within_seconds` after the one at the first stop.
    """

    vehicle: Pattern
    stops: tuple[Stop, ...] = Field(min_length=1, max_length=MAX_STOPS, strict=False)
    expectations: tuple[Expectation, ...] = Field(
        default=(), max_length=MAX_EXPECTATIONS, strict=False
    )
    within_seconds: int = Field(default=86_400, ge=1, le=MAX_WITHIN_SECONDS)
    valid_from: Timestamp | None = None
    valid_to: Timestamp | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for place, expectation in enumerate(self.expectations):
            if expectation.at > len(self.stops):
                raise ValueError(f"expectations.{place}.at must be a stop: 1 to {len(self.stops)}")
        both = self.valid_from is not None and self.valid_to is not None
        if both and self.valid_from > self.valid_to:  # type: ignore[operator] # both are there
            raise ValueError("valid_from must not be after valid_to")
        self._check_first_stop()
        if len(self.stops) == 1 and not self.expectations:
            raise ValueError("must have a second stop or an expectation: nothing could deviate")
        return self

    def _check_first_stop(self) -> None:
        """A weighing at the first stop begins the route anew: it cannot be another stop too.

        It may be the end of a round trip, where it ends one and begins the next.
        """
        first, *others = self.stops
        for number, stop in enumerate(others, start=2):
            round_trip = number == len(self.stops) > 2
            if stop.overlaps(first) and not round_trip:
                raise ValueError(
                    f"stop {number} is where the first one is: that may be visited again as the "
                    "last of three or more stops only; name a scale_serial, or make two routes"
                )
