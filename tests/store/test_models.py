"""What the tables hold, and which names may be used again after a deletion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, StatementError

from databases import (
    a_customer,
    a_load_cell,
    a_node,
    a_station,
    a_user,
    a_weighbridge,
    an_active_station,
)
from steelyard.store.base import KEY_LENGTH
from steelyard.store.errors import InUse, Taken
from steelyard.store.identifiers import new_id
from steelyard.store.models import (
    Customer,
    Device,
    DeviceKind,
    NodeRole,
    Role,
    Station,
    User,
    delete_softly,
    name_key,
)


@pytest.fixture
async def world(database):
    """A customer with a node, a station, a weighbridge and a load cell, all stored."""
    customer = a_customer()
    node = a_node(customer)
    station = an_active_station(customer, node)
    weighbridge = a_weighbridge(station)
    rows = [customer, node, station, weighbridge, a_load_cell(weighbridge)]
    await _store(database, *rows)
    return rows


async def _store(database, *rows):
    async with database.session() as session:
        for row in rows:
            session.add(row)
            await session.flush()


async def _delete(database, row):
    async with database.session() as session:
        delete_softly(await session.get_one(type(row), row.id))


async def test_all_entities_read_back_as_they_were_stored(database, world):
    """Versions start at 1, times are set, enumerations come back as such."""
    async with database.session(read_only=True) as session:
        for row in world:
            found = await session.get_one(type(row), row.id)
            assert found.version == 1
            assert found.created_at > 0
            assert found.deleted_at is None
        device = await session.get_one(Device, world[4].id)
        assert device.kind is DeviceKind.LOADCELL


async def test_one_flush_stores_a_whole_family_of_rows(database):
    """The unit of work knows the order of the tables by itself."""
    customer = a_customer()
    node = a_node(customer)
    station = an_active_station(customer, node)
    node.customer, station.customer, station.node = customer, customer, node
    weighbridge = a_weighbridge(station)
    weighbridge.station = station
    async with database.session() as session:
        session.add_all([weighbridge, station, node, customer])


async def test_an_update_counts_the_version_up(database, world):
    """The ETag changes with every change, and with nothing else."""
    async with database.session() as session:
        station = await session.get_one(Station, world[2].id)
        station.name = "South"
    async with database.session() as session:
        station = await session.get_one(Station, world[2].id)
        assert (station.version, station.name_key) == (2, "south")


async def test_log_ins_are_one_whatever_their_case(database):
    """Two accounts cannot differ in case or in compatibility forms alone."""
    await _store(database, a_user(None, "Ann@Example.org"))
    with pytest.raises(Taken, match="a user has this log-in"):
        await _store(database, a_user(None, "ａnn@EXAMPLE.org"))


async def test_deleted_names_of_people_and_things_are_free_again(database, world):
    """A customer's or a user's name and a scale's or a device's serial may be given anew."""
    customer, _, station, weighbridge, cell = world
    user = a_user(customer)
    await _store(database, user)
    for row, again in (
        (cell, lambda: a_load_cell(weighbridge)),
        (weighbridge, lambda: a_weighbridge(station)),
        (user, lambda: a_user(customer)),
        (customer, a_customer),
    ):
        with pytest.raises(Taken):
            await _store(database, again())
        await _delete(database, row)
        await _store(database, again())


async def test_a_stations_name_and_node_are_never_given_again(database, world):
    """Ticket ids begin with the one, and the other's private state keeps the old contract."""
    customer, node, station = world[:3]
    await _delete(database, station)
    with pytest.raises(Taken, match="had, this name"):
        await _store(database, a_station(customer))
    with pytest.raises(Taken, match="was, another station's"):
        await _store(database, an_active_station(customer, node, "other"))


async def test_customers_do_not_meet_in_names(database, world):
    """What one customer calls its things tells another nothing."""
    other = a_customer("Another")
    station = a_station(other)
    weighbridge = a_weighbridge(station)
    await _store(database, other, station, weighbridge, a_load_cell(weighbridge))


async def test_a_station_stays_with_its_customers_nodes_and_things(database, world):
    """The database itself refuses to mix customers."""
    customer, node, station, weighbridge, _ = world
    other = a_customer("Another")
    await _store(database, other)
    foreign = a_station(other, "foreign", node_id=node.id)
    with pytest.raises((InUse, Taken)):
        await _store(database, foreign)
    for row in (a_weighbridge(station, "WB-9"), a_load_cell(weighbridge, "LC-9")):
        row.customer_id = other.id
        with pytest.raises(InUse):
            await _store(database, row)
    async with database.session() as session:
        assert await session.get(Customer, customer.id) is not None


async def test_a_customer_has_one_admin_node(database, world):
    """Who sees all of a customer's contracts is never in doubt."""
    await _store(database, a_node(world[0], NodeRole.ADMIN))
    with pytest.raises(Taken, match="the customer has an admin node"):
        await _store(database, a_node(world[0], NodeRole.ADMIN))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: a_station(w[0], "x", status="active"), id="active but incomplete"),
        pytest.param(lambda w: a_user(w[0], role=Role.PLATFORM_ADMINISTRATOR), id="two masters"),
        pytest.param(lambda _: a_user(None, role=Role.CUSTOMER_USER), id="no master"),
        pytest.param(lambda w: a_user(w[0], role=Role.STATION), id="a person as a station"),
        pytest.param(lambda w: a_weighbridge(w[2], "x", max_capacity=0), id="no capacity"),
        pytest.param(lambda w: a_weighbridge(w[2], "x", scale_interval=10**9), id="interval"),
        pytest.param(lambda _: a_customer_half_deleted(), id="half deleted"),
    ],
)
async def test_rows_that_contradict_themselves_are_refused(database, world, change):
    """The checks are the database's, so no path around the program stores such a row."""
    with pytest.raises(DBAPIError):
        await _store(database, change(world))


def a_customer_half_deleted() -> Customer:
    customer = a_customer("half")
    customer.status = "deleted"
    return customer


async def test_clear_text_does_not_get_into_a_sealed_column(database, world):
    """A str where the vault's bytes belong is an error, not a leak."""
    with pytest.raises(StatementError, match=r"bytes that Vault\.seal returned") as caught:
        await _store(database, a_node(None, rpc_url="http://clear"))
    assert "http://clear" not in str(caught.value)


def test_identifiers_sort_by_birth_and_never_repeat():
    """A ULID made later sorts later; two of one millisecond differ."""
    assert new_id(1) < new_id(2) < new_id(2**47)
    assert len({new_id(5) for _ in range(1000)}) == 1000
    assert {len(new_id()), len(new_id(0))} == {26}


@given(st.text(max_size=300))
def test_a_name_and_its_key_have_the_same_key(name):
    """The folding is stable, blind to case, and never longer than its column."""
    key = name_key(name)
    assert len(key) <= max(KEY_LENGTH, 71)
    if not key.startswith("sha256:"):
        assert name_key(key) == key


async def test_a_user_keeps_the_key_of_a_changed_log_in(database):
    """Renaming moves the unique key along."""
    user = a_user(None)
    await _store(database, user)
    async with database.session() as session:
        (await session.get_one(User, user.id)).login = "Bob@Example.org"
    await _store(database, a_user(None))
    with pytest.raises(Taken):
        await _store(database, a_user(None, "bob@example.ORG"))
