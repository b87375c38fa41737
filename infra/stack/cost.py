"""What a stack in the cloud needs and costs: measured bytes, and prices as dated assumptions."""

from dataclasses import dataclass
from math import ceil

from infra.stack.models import Size
from infra.stack.sizes import SIZES

# bench/README.md, in batches: bytes that a ticket adds, compacted. Running databases hold more.
PARTY_BYTES = 3_162
TESSERA_BYTES = {"station": 102, "customer": 51}
STRANGER_BYTES = 2
UNCOMPACTED = 2.0  # an assumption: what a running node holds beside that
# The bench's own station: two weighbridges with 300 weighings a day each.
TICKETS_A_STATION_DAY = 600
NETWORK_MACHINES = 3
MONITORING_SIZE: Size = "small"
SYSTEM_DISK_GIB = 20
_DAYS, _HOURS = 365, 730
_GIB = 1 << 30

# Assumptions: list prices in US dollars, without discounts, as the authors had them in mind.
PRICES_DATE = "2026-11-26"
PRICES_PLACE = "us-east-1"
HOURLY = {
    "t3.medium": 0.0416,
    "m7i.large": 0.1008,
    "m7i.xlarge": 0.2016,
    "m7i.2xlarge": 0.4032,
    "NAT gateway": 0.045,
    "public address": 0.005,
    "database (two zones, db.t4g.medium)": 0.129,
}
MONTHLY = {
    "GiB of disk (gp3)": 0.08,
    "GiB of backups (S3)": 0.023,
    "key": 1.0,
    "secret": 0.4,
    "machine's metrics and alarm": 2.2,
    "GiB of database (two zones)": 0.23,
}
_DATABASE_GIB = 20


@dataclass(frozen=True, slots=True)
class Scale:
    """So many customers with so many stations, evenly."""

    customers: int
    stations: int
    platform: Size

    @property
    def stations_each(self) -> int:
        """Stations of a customer."""
        return ceil(self.stations / self.customers)

    @property
    def customer_size(self) -> Size:
        """The smallest machine that carries a customer's nodes."""
        wanted = self.stations_each + 1
        return next(name for name, one in SIZES.items() if one.nodes >= wanted)

    @property
    def machines(self) -> dict[Size, int]:
        """Machines by size: the network's, the customers', the platform, the gate."""
        counted: dict[Size, int] = dict.fromkeys(SIZES, 0)
        counted["small"] += NETWORK_MACHINES + 1
        counted[self.customer_size] += self.customers
        counted[self.platform] += 1
        return counted

    @property
    def tickets_a_day(self) -> int:
        """At the bench's weighings a station."""
        return self.stations * TICKETS_A_STATION_DAY

    @property
    def validators(self) -> int:
        """The network's nodes and each customer's admin node."""
        return NETWORK_MACHINES + self.customers

    @property
    def customer_gib_a_year(self) -> float:
        """What a customer's machine grows by: its tickets are on it twice, others leave a hash."""
        own = self.stations_each * TICKETS_A_STATION_DAY * _DAYS
        foreign = (self.tickets_a_day * _DAYS - own) * STRANGER_BYTES * (self.stations_each + 1)
        return (own * (2 * PARTY_BYTES + sum(TESSERA_BYTES.values())) + foreign) / _GIB

    @property
    def gib_a_year(self) -> float:
        """What all customers' machines grow by."""
        return self.customer_gib_a_year * self.customers

    @property
    def years(self) -> float:
        """Until a customer's disk is full."""
        room = SIZES[self.customer_size].disk_gib - SYSTEM_DISK_GIB
        return room / (self.customer_gib_a_year * UNCOMPACTED)

    @property
    def monitoring_dollars(self) -> float:
        """What a machine that collects figures costs a month more."""
        size = SIZES[MONITORING_SIZE]
        return (
            HOURLY[size.instance_type] * _HOURS
            + size.disk_gib * MONTHLY["GiB of disk (gp3)"]
            + MONTHLY["machine's metrics and alarm"]
        )

    @property
    def monthly_dollars(self) -> float:
        """At the list prices above, with a year of backups."""
        count = sum(self.machines.values())
        hourly = sum(
            HOURLY[SIZES[size].instance_type] * number for size, number in self.machines.items()
        )
        hourly += HOURLY["NAT gateway"] + 3 * HOURLY["public address"]
        hourly += HOURLY["database (two zones, db.t4g.medium)"]
        disks = sum(SIZES[size].disk_gib * number for size, number in self.machines.items())
        return (
            hourly * _HOURS
            + disks * MONTHLY["GiB of disk (gp3)"]
            + self.gib_a_year * MONTHLY["GiB of backups (S3)"]
            + _DATABASE_GIB * MONTHLY["GiB of database (two zones)"]
            + MONTHLY["key"]
            + (count - 1) * MONTHLY["secret"]
            + count * MONTHLY["machine's metrics and alarm"]
        )


SCALES = (
    Scale(2, 2, "medium"),
    Scale(20, 200, "large"),
    Scale(200, 5_000, "xlarge"),
)
