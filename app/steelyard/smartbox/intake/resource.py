"""What load cells talk to: `POST coaps://…/weight?sequence=N` with SenML in CBOR.

One record is one sample: its time, and its value in kg. `sequence` numbers the first sample; the
others follow. A record in degrees Celsius (`Cel`) is the cell's temperature and has no number. The
cell is the one that the certificate names.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from aiocoap import CHANGED, Message

from steelyard.coap import senml
from steelyard.coap.counters import TransportCounters
from steelyard.coap.prompt import PromptResource, PromptSite
from steelyard.coap.resources import Request, read_samples
from steelyard.errors import Problem
from steelyard.smartbox.errors import BadSample
from steelyard.smartbox.models import Sample
from steelyard.smartbox.status import Status
from steelyard.ticket import MAX_TIMESTAMP_MS

WEIGHT_PATH = "weight"
MAX_KILOGRAMS = 10_000_000
MAX_SEQUENCE = 2**53
CELSIUS = "Cel"  # RFC 8428, 12.1
MIN_CELSIUS, MAX_CELSIUS = -60, 120
_SEQUENCE = re.compile(r"sequence=(\d{1,16})", re.ASCII)


class Intake(Protocol):
    """Who takes what the cells say."""

    def streams(self, cell: str) -> bool:
        """Whether the cell's samples are a stream, which only goes into memory."""
        ...

    def take_stream(self, samples: Sequence[Sample]) -> None:
        """Take samples of a cell that streams. Raises Problem subclasses."""
        ...

    async def take(self, sample: Sample) -> None:
        """Return once the sample is taken. Raises Problem subclasses."""
        ...

    def warm(self, cell: str, celsius: float) -> None:
        """Take a cell's temperature."""
        ...


class _Pack(NamedTuple):
    """What a request says: the cell's samples, and its temperatures."""

    cell: str
    samples: list[Sample]
    celsius: list[float]


class WeightResource(PromptResource):
    """Takes samples and answers 2.04 once each is part of a ticket or set aside, durably.

    A sample for a weighbridge that weighs by a cycle is answered when it is taken into memory.

    `name` is the station's: a load cell whose certificate names another one is refused. `clock`
    gives milliseconds since the epoch, from which the times of a cell without a clock count. Only a
    stream may have such: a sample that comes again must be the same one, and settled loads are
    joined by their cells' times.
    """

    def __init__(
        self,
        name: str,
        station: Intake,
        status: Status,
        counters: TransportCounters,
        clock: Callable[[], int],
    ) -> None:
        super().__init__()
        self._name = name
        self._station = station
        self._status = status
        self._counters = counters
        self._clock = clock

    def post(self, request: Request) -> Message | None:
        """Take the samples of a cell that streams; others' wait for the disk."""
        pack = self._read(request)
        if not self._station.streams(pack.cell):
            return None
        self._warm(pack)
        self._station.take_stream(pack.samples)
        return Message(code=CHANGED)

    async def render_post(self, message: Message) -> Message:
        """Take samples, of any cell."""
        pack = self._read(Request.of(message))
        self._warm(pack)
        if self._station.streams(pack.cell):
            self._station.take_stream(pack.samples)
        else:
            for sample in pack.samples:
                await self._station.take(sample)
        return Message(code=CHANGED)

    def refuse(self, problem: Problem) -> Message:
        """See ProblemResource; it is counted, too."""
        self._status.count(f"rejected_{problem.slug.replace('-', '_')}")
        return super().refuse(problem)

    def _read(self, request: Request) -> _Pack:
        now = self._clock() / 1000 if self._station.streams(request.cell) else None
        cell, records = read_samples(request, self._counters, station=self._name, now=now)
        sequence = read_sequence(request)
        celsius = [to_celsius(record) for record in records if record.unit == CELSIUS]
        weights = [record for record in records if record.unit != CELSIUS]
        samples = [to_sample(cell, record, sequence + n) for n, record in enumerate(weights)]
        return _Pack(cell, samples, celsius)

    def _warm(self, pack: _Pack) -> None:
        for celsius in pack.celsius:
            self._station.warm(pack.cell, celsius)


def read_sequence(request: Request) -> int:
    """The number of the first sample. Raises BadSample."""
    queries = request.queries
    match = _SEQUENCE.fullmatch(queries[0]) if len(queries) == 1 else None
    if match is None or int(match[1]) > MAX_SEQUENCE:
        raise BadSample(f"the query must be sequence=N, with N from 0 to {MAX_SEQUENCE}")
    return int(match[1])


def to_sample(cell: str, record: senml.Sample, sequence: int) -> Sample:
    """A SenML record as a sample. Raises BadSample with what is allowed.

    A double's shortest decimal form is the number that the cell meant, as long as it has at most
    15 digits: so kilograms with three decimals arrive exactly.
    """
    value = record.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSample("a record must have a number as its value")
    if record.unit not in (None, "kg"):
        raise BadSample("the unit must be kg, or Cel for a temperature")
    if abs(value) > MAX_KILOGRAMS:
        raise BadSample(f"the value must be from -{MAX_KILOGRAMS} to {MAX_KILOGRAMS} kg")
    milliseconds = round(record.time * 1000)
    if abs(record.time * 1000 - milliseconds) > 0.01:
        raise BadSample("the time must not be finer than a millisecond")
    if not 0 <= milliseconds <= MAX_TIMESTAMP_MS:
        raise BadSample("the time must be from 1970 to 9999")
    return Sample(cell, milliseconds, sequence, Decimal(repr(value)))


def to_celsius(record: senml.Sample) -> float:
    """A record's temperature. Raises BadSample."""
    value = record.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSample("a record must have a number as its value")
    if not MIN_CELSIUS <= value <= MAX_CELSIUS:
        raise BadSample(f"the temperature must be from {MIN_CELSIUS} to {MAX_CELSIUS} Cel")
    return float(value)


def make_site(
    name: str,
    station: Intake,
    status: Status,
    counters: TransportCounters,
    clock: Callable[[], int],
) -> PromptSite:
    """The site of the SmartBox of the station `name`: see WeightResource."""
    site = PromptSite()
    site.add_resource([WEIGHT_PATH], WeightResource(name, station, status, counters, clock))
    return site


def transport_counters(counters: TransportCounters) -> dict[str, Any]:
    """The transport's counters for the status page."""
    values = {field.name: getattr(counters, field.name) for field in fields(counters)}
    return {
        name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()
    }
