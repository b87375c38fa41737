"""The settings of a SmartBox."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from steelyard.settings import Part
from steelyard.smartbox.display.settings import DisplaySettings
from steelyard.smartbox.urls import check_proxy, has_host
from steelyard.smartbox.weighing.scale import Range, Scale
from steelyard.ticket import MAX_CELLS, MAX_GRAMS, Serial
from steelyard.weighings import NAME_PATTERN

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Factor = Annotated[Decimal, Field(gt=0, le=1000, max_digits=15, allow_inf_nan=False)]


def _check_interval(grams: int) -> int:
    """OIML R 76-1, 4.2.2.1: an interval is 1, 2 or 5 times a power of ten."""
    digits = str(grams).rstrip("0")
    if digits not in {"1", "2", "5"}:
        raise ValueError("must be 1, 2 or 5 times a power of ten")
    return grams


def _check_https(url: str) -> str:
    if not url.startswith("https://") or not has_host(url):
        raise ValueError("must be an https:// URL")
    return url.rstrip("/")


ProxyUrl = Annotated[str, AfterValidator(check_proxy)]
HttpsUrl = Annotated[str, AfterValidator(_check_https)]


class CellSettings(Part):
    """One load cell: weight = (raw - zero) * span * corner."""

    serial: Serial = Field(description="Serial number, as in the cell's certificate.")
    zero: Decimal = Field(
        default=Decimal(0),
        max_digits=15,
        allow_inf_nan=False,
        description="Raw value of the unloaded cell, in kg.",
    )
    span: Factor = Field(default=Decimal(1), description="Span factor of the cell.")
    corner: Factor = Field(
        default=Decimal(1), description="Corner factor: evens out where on the platform it stands."
    )


class WeighingSettings(Part):
    """How a weighbridge weighs by itself, from a stream of its cells' samples.

    Without this table every common time of the cells is a weighing. Limits that OIML R 76-1 sets
    are kept whatever stands here.
    """

    mode: Literal["automatic", "operator"] = Field(
        default="automatic",
        description="Whether a stable load gets its ticket by itself or at the operator's wish.",
    )
    passes: Literal[1, 2] = Field(
        default=1,
        description="2: a vehicle's first weighing is the tare of its next one.",
    )
    first_pass_hours: int = Field(
        default=24,
        ge=1,
        le=8784,
        description="How long a first weighing waits for the next one; a later one is a first one "
        "again. As long as the time is not known, one from before this boot is no tare.",
    )
    accuracy_class: Literal["III", "IIII"] = Field(
        default="III", description="Accuracy class (OIML R 76-1, 3.1)."
    )
    ranges: tuple[tuple[int, int], ...] = Field(
        default=(),
        description="Partial ranges of a multi-interval scale, `[[maximum, interval], ...]` in "
        "grams, below that of `max_capacity_grams` and `scale_interval_grams`.",
    )
    rate_hz: float = Field(
        default=10.0, ge=1, le=50, description="Weights a second that are made of the samples."
    )
    filter: Literal["none", "average", "exponential", "median"] = Field(
        default="average", description="Filter of the cells' forces."
    )
    filter_seconds: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="Its settling time: so long after a step it is within 1/10,000 of it.",
    )
    stable_seconds: float = Field(
        default=1.0, gt=0, le=10, description="How long a weight must stand still to be stable."
    )
    stable_intervals: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="By how many scale intervals a stable weight may move meanwhile.",
    )
    hold_seconds: float = Field(
        default=2.0, ge=0, le=60, description="How long a load must be stable before its ticket."
    )
    load_grams: int | None = Field(
        default=None,
        gt=0,
        description="Above it there is a load on the bridge, below half of it none; else Min.",
    )
    zero_tracking: bool = Field(default=True, description="Whether zero follows slow drifts.")
    calibration_file: Path | None = Field(
        default=None,
        description="File that `steelyard smartbox calibrate solve` wrote; else zero, span and "
        "corner stand at the cells.",
    )
    places: tuple[tuple[float, float], ...] = Field(
        default=(),
        description="Places of the cells, `[[along, across], ...]` in metres, in their order; else "
        "pairs, left and right, from one end to the other.",
    )
    degraded: bool = Field(
        default=False,
        description="Whether a bridge with one lost cell of four or more goes on, estimating it; "
        "its tickets have the status `degraded`.",
    )
    silence_seconds: float = Field(
        default=5.0, gt=0, le=60, description="After so long without a sample a cell is silent."
    )
    clock_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How far a sample's time may be from the SmartBox's.",
    )
    drift_intervals: float = Field(
        default=5.0,
        gt=0,
        description="By how many scale intervals one cell may leave its zero alone.",
    )
    fault_seconds: float = Field(
        default=3.0,
        gt=0,
        le=600,
        description="How long a cell must be stuck or have drifted to be called faulty.",
    )


class WeighbridgeSettings(Part):
    """One weighbridge and the load cells under it, in the order in which tickets list them."""

    name: Name = Field(description="Name of the weighbridge; it stands in the tickets' ids.")
    scale_serial: Serial = Field(description="Serial number of the scale.")
    scale_interval_grams: Annotated[int, AfterValidator(_check_interval)] = Field(
        gt=0, description="Scale interval d: weights are rounded to it. 1, 2 or 5 times 10^k."
    )
    max_capacity_grams: int = Field(
        gt=0, le=MAX_GRAMS, description="Max: above it a weighing's status is `overload`."
    )
    cells: tuple[CellSettings, ...] = Field(
        min_length=1, max_length=MAX_CELLS, description="The load cells under the weighbridge."
    )
    weighing: WeighingSettings | None = Field(
        default=None,
        description="Weigh by a cycle, from a stream of samples; without it every common time of "
        "the cells is a weighing.",
    )

    @model_validator(mode="after")
    def _is_a_scale(self) -> Self:
        if self.weighing is None:
            return self
        for _, interval in self.weighing.ranges:
            _check_interval(interval)
        wrong = self.scale().fault()
        if wrong is not None:
            raise ValueError(wrong)
        places = self.weighing.places
        if places and len(places) != len(self.cells):
            raise ValueError(f"weighing.places: must be {len(self.cells)}, one for each cell")
        return self

    def scale(self) -> Scale:
        """The weighbridge's ranges and class."""
        own = Range(self.max_capacity_grams, self.scale_interval_grams)
        if self.weighing is None:
            return Scale("III", (own,))
        ranges = (*(Range(*one) for one in self.weighing.ranges), own)
        return Scale(self.weighing.accuracy_class, ranges)


class SmartBoxSettings(DisplaySettings):
    """The section `smartbox`."""

    section: ClassVar[str] = "smartbox"

    station: Name = Field(description="Name of the station; it stands in the tickets' ids.")
    terminal_serial: Serial = Field(description="Serial number of this terminal.")
    data_directory: Path = Field(
        description="Directory of the alibi memory and the outbox, on local storage."
    )
    weighbridges: tuple[WeighbridgeSettings, ...] = Field(
        min_length=1, description="The station's weighbridges."
    )
    coap_host: str = Field(default="0.0.0.0", description="Address to bind for CoAP.")  # noqa: S104 - the load cells come from the station's own network
    coap_port: int = Field(
        default=5684, ge=0, le=65535, description="UDP port for CoAP over DTLS; 0 takes a free one."
    )
    certificate_file: Path = Field(description="Certificate of the SmartBox for the load cells.")
    key_file: Path = Field(description="Private key of that certificate.")
    device_ca_file: Path = Field(description="Authority of the load cells' certificates.")
    device_crl_file: Path | None = Field(
        default=None, description="Revocation list of that authority."
    )
    device_station: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="What the load cells' certificates have as their station; else `station`.",
    )
    enrolled: bool = Field(
        default=False,
        description="Whether the management API issued the certificates: then they are renewed, "
        "and `device_crl_file` is fetched, from there.",
    )
    revocation_seconds: float = Field(
        default=20.0,
        ge=1,
        le=50,
        description="Time between two looks at the revocation list, if `enrolled`: a revoked cell "
        "is out two seconds later at the latest, within a minute of its revocation.",
    )
    management_url: HttpsUrl = Field(description="Base URL of the management API.")
    tickets_url: HttpsUrl = Field(description="Base URL of the tickets API.")
    proxy_url: ProxyUrl | None = Field(
        default=None,
        description="HTTP proxy on the way to both APIs, `http://HOST:PORT`; TLS goes through it.",
    )
    ca_file: Path = Field(
        description="The only authority that the two APIs' certificates may have."
    )
    client_id: str = Field(min_length=1, description="OAuth client id of the station.")
    client_secret_file: Path = Field(description="File with the station's OAuth client secret.")
    join_deadline_seconds: float = Field(
        default=10.0,
        gt=0,
        le=600,
        description="How long the cells of a weighing wait for each other before it is set aside.",
    )
    batch_size: int = Field(default=100, ge=1, le=100, description="Tickets in one request, most.")
    batch_bytes: int = Field(
        default=262_144, ge=4096, description="Bytes of tickets in one request, most."
    )
    batches_in_flight: int = Field(
        default=16,
        ge=1,
        le=32,
        description="Requests with tickets at the same time, most; fewer while the platform pushes "
        "back.",
    )
    batch_age_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="How long a ticket waits for company; 0: goes at once.",
    )
    backoff_seconds: float = Field(
        default=1.0, gt=0, le=60, description="First pause after a failed request; it doubles."
    )
    backoff_limit_seconds: float = Field(
        default=120.0, gt=0, le=3600, description="Longest pause between two requests."
    )
    request_timeout_seconds: float = Field(
        default=130.0,
        gt=0,
        le=600,
        description="Time limit of one request to the platform; longer than the platform's own.",
    )
    time_file: Path | None = Field(
        default=None,
        description="Where to leave the time that the platform told, while the kernel has another "
        "and no time server keeps it, for who may set the kernel's clock.",
    )
    alibi_years: int = Field(
        default=10,
        ge=1,
        le=100,
        description="How many years of 366 days the alibi memory and the outbox keep a weighing at "
        "least; what is older goes by the month.",
    )
    reserve_bytes: int = Field(
        default=67_108_864,
        ge=0,
        description="Bytes of the disk that are not for tickets: with less, none is issued.",
    )
    status_port: int = Field(
        default=8190,
        ge=0,
        le=65535,
        description="TCP port of the status page on 127.0.0.1; 0 takes a free one.",
    )

    @property
    def cells_station(self) -> str:
        """What certificates of the station's devices name: its id, where they were enrolled."""
        return self.device_station or self.station

    @model_validator(mode="after")
    def _enrolled_has_a_list(self) -> Self:
        if self.enrolled and self.device_crl_file is None:
            raise ValueError("device_crl_file: must be given if enrolled is true")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [bridge.name for bridge in self.weighbridges]
        serials = [cell.serial for bridge in self.weighbridges for cell in bridge.cells]
        for kind, values in (("weighbridge", names), ("load cell", serials)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"weighbridges: the {kind} {twice[0]} stands more than once")
        return self
