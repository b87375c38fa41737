"""Who takes part in a demo: read from the weighings file, before anything is started."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from steelyard.demo.errors import DemoFailed
from steelyard.smartbox.split import StationPart, WeighbridgePart, split_weighings
from steelyard.weighings import Weighing, read_weighings

# A vehicle scale's largest load: the file does not say what its weighbridges can take.
MAX_CAPACITY_GRAMS = 100_000_000


@dataclass(frozen=True, slots=True)
class StationPlan:
    """A station, its owner, its weighings, and the files that its devices replay."""

    name: str
    customer: str
    part: StationPart
    weighings: tuple[Weighing, ...] = field(repr=False)

    @property
    def weighbridges(self) -> list[WeighbridgePart]:
        """The station's weighbridges."""
        return list(self.part.weighbridges.values())

    @property
    def cells(self) -> dict[str, Path]:
        """Each load cell's serial and the file with its column of weights."""
        return {
            serial: path for bridge in self.weighbridges for serial, path in bridge.cells.items()
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The experiment: stations and their customers, in the order of the file."""

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


def read_plan(path: Path, owners: Mapping[str, str], directory: Path) -> Plan:
    """The plan of a weighings file; `owners` maps stations to customers.

    The devices' files are written into `directory`. A station without an owner gets a customer of
    its own. Raises BadWeighings for a bad file, and DemoFailed for a file without weighings or an
    owner of a station that is not in it.
    """
    parts = split_weighings(path, directory)
    if not parts:
        raise DemoFailed(f"{path} has no weighings")
    for name in owners:
        if name not in parts:
            raise DemoFailed(f"--customer names the station {name}; {path} has {', '.join(parts)}")
    by_station: dict[str, list[Weighing]] = {name: [] for name in parts}
    for weighing in read_weighings(path):
        by_station[weighing.station].append(weighing)
    return Plan(
        tuple(
            StationPlan(
                name=name,
                customer=owners.get(name, f"Customer {number}"),
                part=part,
                weighings=tuple(by_station[name]),
            )
            for number, (name, part) in enumerate(parts.items(), start=1)
        )
    )
