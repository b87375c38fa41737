"""Who takes part in a demo: read from the weighings file, before anything is started."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.demo.errors import DemoFailed
from steelyard.weighings import Weighing, read_weighings

# A vehicle scale's largest load; the file does not say what its weighbridges can take.
MAX_CAPACITY_GRAMS = 100_000_000


@dataclass(frozen=True, slots=True)
class WeighbridgePlan:
    """A weighbridge with its load cells' serials, in the order of the file's columns."""

    name: str
    scale_serial: str
    cells: tuple[str, ...]
    scale_interval: int


@dataclass(frozen=True, slots=True)
class StationPlan:
    """A station with its weighings; `node` is the ledger node that it will be given."""

    name: str
    customer: str
    weighbridges: tuple[WeighbridgePlan, ...]
    weighings: tuple[Weighing, ...] = field(repr=False)

    def weighbridge(self, name: str) -> WeighbridgePlan:
        """The weighbridge of this name."""
        return next(bridge for bridge in self.weighbridges if bridge.name == name)

    @property
    def cells(self) -> list[str]:
        """The serials of all load cells of the station."""
        return [serial for bridge in self.weighbridges for serial in bridge.cells]


@dataclass(frozen=True, slots=True)
class Plan:
    """The experiment: customers and their stations, in the order of the file."""

    stations: tuple[StationPlan, ...]

    @property
    def customers(self) -> list[str]:
        """The customers' names."""
        return list(dict.fromkeys(station.customer for station in self.stations))

    @property
    def nodes(self) -> int:
        """One node for the network's administrator, each customer's, and each station."""
        return 1 + len(self.customers) + len(self.stations)

    @property
    def weighings(self) -> int:
        """How many weighings the file has."""
        return sum(len(station.weighings) for station in self.stations)

    @property
    def cells(self) -> int:
        """How many load cells take part."""
        return sum(len(station.cells) for station in self.stations)

    def stations_of(self, customer: str) -> list[StationPlan]:
        """A customer's stations."""
        return [station for station in self.stations if station.customer == customer]

    def expected(self, customer: str) -> int:
        """How many tickets the customer's query must return."""
        return sum(len(station.weighings) for station in self.stations_of(customer))


def read_plan(path: Path, owners: Mapping[str, str]) -> Plan:
    """The plan of a weighings file; `owners` maps stations to customers.

    A station without an owner gets a customer of its own. Raises BadWeighings for a bad file, and
    DemoFailed for an owner of a station that is not there, or weighings that contradict each other.
    """
    by_station: dict[str, list[Weighing]] = {}
    for weighing in read_weighings(path):
        by_station.setdefault(weighing.station, []).append(weighing)
    if not by_station:
        raise DemoFailed(f"{path} has no weighings")
    for name in owners:
        if name not in by_station:
            raise DemoFailed(
                f"--customer names the station {name}; {path} has {', '.join(by_station)}"
            )
    stations = [
        StationPlan(
            name=name,
            customer=owners.get(name, f"Customer {number}"),
            weighbridges=_weighbridges(name, weighings),
            weighings=tuple(sorted(weighings, key=lambda weighing: weighing.timestamp)),
        )
        for number, (name, weighings) in enumerate(by_station.items(), start=1)
    ]
    _check_serials(stations)
    return Plan(tuple(stations))


def _weighbridges(station: str, weighings: Iterable[Weighing]) -> tuple[WeighbridgePlan, ...]:
    rows: dict[str, list[Weighing]] = {}
    for weighing in weighings:
        rows.setdefault(weighing.weighbridge, []).append(weighing)
    return tuple(_weighbridge(station, name, of_bridge) for name, of_bridge in sorted(rows.items()))


def _weighbridge(station: str, name: str, weighings: list[Weighing]) -> WeighbridgePlan:
    serials = {weighing.scale_serial for weighing in weighings}
    if len(serials) > 1:
        raise DemoFailed(
            f"{station}: {name} has {len(serials)} scale serials in the file: "
            f"{', '.join(sorted(serials))}; a weighbridge has one"
        )
    layouts = {tuple(cell.serial for cell in weighing.cells) for weighing in weighings}
    if len(layouts) > 1:
        raise DemoFailed(f"{station}: {name} must have the same cells, in one order, in every row")
    return WeighbridgePlan(name, serials.pop(), layouts.pop(), _scale_interval(weighings))


def _scale_interval(weighings: Iterable[Weighing]) -> int:
    """The coarsest usual scale interval, in grams, of which every gross weight is a multiple."""
    for interval in (50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2):
        if all(weighing.gross % interval == 0 for weighing in weighings):
            return interval
    return 1


def _check_serials(stations: Iterable[StationPlan]) -> None:
    everywhere = Counter(serial for station in stations for serial in station.cells)
    twice = sorted(serial for serial, count in everywhere.items() if count > 1)
    if twice:
        raise DemoFailed(f"the load cell {twice[0]} stands under more than one weighbridge")
