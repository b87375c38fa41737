"""What binds a row's plain columns to the vault: a sealed copy of them in the same row.

Columns that a constraint or a query needs stand in the clear, so who writes to the database can
change them. The row's seal says what the program wrote there; it is checked before a row is used,
and before it is sealed anew, so that a change from outside is never made good by one from inside.
A customer's roster does the same for the existence of its stations' rows.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from steelyard.store.errors import RowTampered, VaultTampered
from steelyard.store.models import Customer, Node, Station
from steelyard.store.vault import Place, Vault

SEAL = "seal"
# The columns that each table's seal repeats.
BOUND: Mapping[str, tuple[str, ...]] = {
    "nodes": ("customer_id", "name", "role", "tessera_key"),
    "stations": ("client_id", "client_secret_hash", "customer_id", "name", "node_id"),
}


def seal_row(vault: Vault, row: Node | Station) -> None:
    """Seal the row's bound columns as they are now. The row needs its id already."""
    row.seal = vault.seal(_place(row), facts(row.__tablename__, _bound(row)))


def check_row(vault: Vault, row: Node | Station) -> None:
    """Raise RowTampered when a bound column is not what was sealed, VaultTampered for the seal."""
    check_facts(vault, row.__tablename__, row.id, row.seal, _bound(row))


def check_facts(
    vault: Vault, table: str, row_id: str, seal: bytes, columns: Mapping[Any, Any]
) -> None:
    """`check_row` of a row that is given by its columns."""
    sealed = vault.open(Place(table, row_id, SEAL), seal)
    if sealed != facts(table, columns):
        raise RowTampered(table, row_id, SEAL)


def facts(table: str, columns: Mapping[Any, Any]) -> bytes:
    """What is sealed: canonical JSON of the bound columns, bytes in hexadecimal."""
    bound = {name: columns[name] for name in BOUND[table]}
    return canonical({k: v.hex() if isinstance(v, bytes) else v for k, v in bound.items()})


def seal_roster(vault: Vault, customer_id: str, stations: Iterable[str]) -> bytes:
    """The sealed ids of the stations that a customer has or had."""
    place = Place("customers", customer_id, "roster")
    return vault.seal(place, canonical(sorted(stations)))


def open_roster(vault: Vault, customer: Customer) -> frozenset[str]:
    """The ids of the stations that a customer has or had. Raises VaultTampered."""
    place = Place("customers", customer.id, "roster")
    return frozenset(json.loads(vault.open(place, customer.roster)))


async def enlist(session: AsyncSession, vault: Vault, customer: Customer, station_id: str) -> None:
    """Add a station to the roster; the customer's row must be locked by the session."""
    stations = open_roster(vault, customer) | {station_id}
    # Not through the mapper: it is no change of the entity, its version (ETag) stays.
    await session.execute(
        update(Customer)
        .where(Customer.id == customer.id)
        .values(roster=seal_roster(vault, customer.id, stations), updated_at=Customer.updated_at)
        .execution_options(synchronize_session=False)
    )


def check_incomplete(vault: Vault, customer: Customer, row: Station) -> None:
    """Raise RowTampered for a station whose registration was completed once."""
    if row.id in open_roster(vault, customer):
        raise RowTampered("stations", row.id, SEAL)


def check_stations(vault: Vault, customer: Customer, present: Iterable[Station]) -> None:
    """Raise VaultTampered unless these are the customer's stations, each as it was sealed.

    `present` are all rows of the customer that are not pending. A row that was removed, given to
    another customer or set back to pending is missing; one that came from elsewhere is too much.
    """
    rows = {row.id: row for row in present}
    for station_id in sorted(open_roster(vault, customer) ^ rows.keys()):
        raise RowTampered("stations", station_id, SEAL)
    for row in rows.values():
        check_row(vault, row)


def missing_admin_node(customer: Customer) -> VaultTampered:
    """A customer is made with an admin node, which is never taken away."""
    return RowTampered("customers", customer.id, "admin node")


def _bound(row: Node | Station) -> dict[str, Any]:
    return {name: getattr(row, name) for name in BOUND[row.__tablename__]}


def _place(row: Node | Station) -> Place:
    return Place(row.__tablename__, row.id, SEAL)


def canonical(value: object) -> bytes:
    """JSON in the one form in which values are sealed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
