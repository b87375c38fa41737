"""Sealed values in the database: every tampering is found and audited, every rotation ends well."""

import json

import pytest
from sqlalchemy import select, text, update

from databases import a_customer, a_node, an_active_station
from steelyard.errors import ConfigurationError
from steelyard.store.audit import AuditRecord
from steelyard.store.errors import VaultTampered
from steelyard.store.key_ring import KeyRing
from steelyard.store.models import Node, Station
from steelyard.store.rotation import check, drop_unused_keys, rewrap, ring_lock, sealed_columns
from steelyard.store.row_seal import seal_roster, seal_row
from steelyard.store.vault import Place, Vault

COLUMNS = ("contract_address", "account_key", "node_url", "tessera_url", "parties")
STATIONS = 3
VALUES = STATIONS * (len(COLUMNS) + 2)  # besides the seals of rows
SEALS = 2 * STATIONS + 1


@pytest.fixture
def ring_path(tmp_path):
    """A key ring file with one key."""
    path = tmp_path / "ring.json"
    KeyRing.generate().write(path)
    return path


@pytest.fixture
async def stations(database, ring_path):
    """Three stations with their nodes, all values sealed."""
    vault = Vault.load(ring_path)
    customer = a_customer()
    customer.roster = seal_roster(vault, customer.id, ())
    rows = []
    async with database.session() as session:
        session.add(customer)
        await session.flush()
        for number in range(STATIONS):
            node = a_node(customer)
            for column in ("rpc_url", "tessera_url"):
                clear = f"{node.id} {column}".encode()
                setattr(node, column, vault.seal(Place("nodes", node.id, column), clear))
            seal_row(vault, node)
            session.add(node)
            await session.flush()
            station = an_active_station(customer, node, f"station {number}")
            for column in COLUMNS:
                clear = f"{station.id} {column}".encode()
                setattr(station, column, vault.seal(Place("stations", station.id, column), clear))
            seal_row(vault, station)
            session.add(station)
            rows.append(station)
    return rows


async def _all_open(database, vault) -> int:
    opened = 0
    async with database.session(read_only=True) as session:
        for model, columns in ((Station, COLUMNS), (Node, ("rpc_url", "tessera_url"))):
            for row in await session.scalars(select(model)):
                for column in columns:
                    place = Place(model.__tablename__, row.id, column)
                    clear = vault.open(place, getattr(row, column))
                    assert clear == f"{row.id} {column}".encode()
                    opened += 1
    return opened


async def _audit(database, action) -> list[AuditRecord]:
    async with database.session(read_only=True) as session:
        found = select(AuditRecord).where(AuditRecord.action == action).order_by(AuditRecord.seq)
        return list(await session.scalars(found))


def test_all_columns_of_secrets_are_known():
    """The walk goes by the type; a new sealed column is in it by itself."""
    names = {
        f"{table.name}.{column.name}"
        for table, found in sealed_columns().items()
        for column in found
    }
    assert names == {f"stations.{column}" for column in (*COLUMNS, "seal")} | {
        "customers.roster",
        "nodes.rpc_url",
        "nodes.tessera_url",
        "nodes.seal",
        "routes.plan",
        "webhooks.target",
        "route_checks.tickets",
        "webhook_deliveries.body",
        "claims.key",
    }


async def test_a_rotation_seals_everything_anew(database, stations, ring_path):
    """All values are under the new key, say what they said, and no entity got a new version."""
    KeyRing.read(ring_path).with_new_key(1).write(ring_path)
    vault = Vault.load(ring_path)
    survey = await rewrap(database, vault)
    assert (survey.resealed, survey.failures) == (VALUES + SEALS, ())
    assert (await check(database, vault)).values == {"k2": VALUES + SEALS}
    assert await _all_open(database, vault) == VALUES
    async with database.session(read_only=True) as session:
        for row in stations:
            found = await session.get_one(Station, row.id)
            assert (found.version, found.updated_at) == (row.version, row.updated_at)
    assert (await rewrap(database, vault)).resealed == 0


async def test_an_interrupted_rotation_is_taken_up_again(
    database, stations, ring_path, monkeypatch
):
    """Between the two runs some values are under the old key and some under the new; all open."""
    KeyRing.read(ring_path).with_new_key(1).write(ring_path)
    vault = Vault.load(ring_path)
    monkeypatch.setattr("steelyard.store.rotation._BATCH", 1)
    count = 0
    seal = vault.seal

    def power_cut(where, clear):
        nonlocal count
        count += 1
        if count > VALUES // 2:
            raise KeyboardInterrupt
        return seal(where, clear)

    monkeypatch.setattr(vault, "seal", power_cut)
    with pytest.raises(KeyboardInterrupt):
        await rewrap(database, vault)
    monkeypatch.undo()
    fresh = Vault.load(ring_path)
    between = (await check(database, fresh)).values
    assert set(between) == {"k1", "k2"}
    assert await _all_open(database, fresh) == VALUES
    assert (await rewrap(database, fresh)).resealed == between["k1"]
    assert await _all_open(database, fresh) == VALUES


async def test_an_old_key_is_dropped_when_nothing_and_nobody_uses_it(database, stations, ring_path):
    """Not while a value is under it, and not before the time for late writers is over."""
    KeyRing.read(ring_path).with_new_key(1000).write(ring_path)
    vault = Vault.load(ring_path)
    assert await drop_unused_keys(database, vault, ring_path, after_ms=0, now=9999) == set()
    await rewrap(database, vault)
    assert await drop_unused_keys(database, vault, ring_path, after_ms=500, now=1499) == set()
    assert await drop_unused_keys(database, vault, ring_path, after_ms=500, now=1500) == {"k1"}
    assert set(KeyRing.read(ring_path).keys) == {"k2"}
    assert await _all_open(database, Vault.load(ring_path)) == VALUES
    assert len(await _audit(database, "vault.drop-keys")) == 1


async def test_a_value_that_a_late_process_sealed_is_found_before_its_key_goes(
    database, stations, ring_path
):
    """A process with the old ring commits after the walk: the next walk takes its value along."""
    late = Vault(KeyRing.read(ring_path))
    KeyRing.read(ring_path).with_new_key(1).write(ring_path)
    vault = Vault.load(ring_path)
    await rewrap(database, vault)
    row = stations[0].id
    place = Place("stations", row, "node_url")
    async with database.session() as session:
        (await session.get_one(Station, row)).node_url = late.seal(
            place, f"{row} node_url".encode()
        )
    assert await drop_unused_keys(database, vault, ring_path, after_ms=0, now=10**15) == set()
    assert (await rewrap(database, vault)).resealed == 1
    assert await drop_unused_keys(database, vault, ring_path, after_ms=0, now=10**15) == {"k1"}
    assert await _all_open(database, Vault.load(ring_path)) == VALUES


async def test_a_tampered_value_is_told_audited_and_left_alone(database, stations, ring_path):
    """The rotation goes on with the rest, and keeps the key of what it could not open."""
    row = stations[1].id
    async with database.session() as session:
        station = await session.get_one(Station, row)
        damaged = station.account_key[:-1] + bytes([station.account_key[-1] ^ 1])
        await session.execute(update(Station).where(Station.id == row).values(account_key=damaged))
    KeyRing.read(ring_path).with_new_key(1).write(ring_path)
    vault = Vault.load(ring_path)
    survey = await rewrap(database, vault)
    assert survey.resealed == VALUES + SEALS - 1
    assert [(f.table, f.row, f.column) for f in survey.failures] == [
        ("stations", row, "account_key")
    ]
    (line,) = await _audit(database, "vault.open")
    assert (line.outcome, line.subject_kind, line.subject_id) == ("tampered", "stations", row)
    assert json.loads(line.detail) == {
        "column": "account_key",
        "reason": "authentication failed",
    }
    assert await drop_unused_keys(database, vault, ring_path, after_ms=0, now=10**15) == set()
    async with database.session(read_only=True) as session:
        kept = (await session.get_one(Station, row)).account_key
    assert kept == damaged


async def test_values_swapped_between_rows_and_columns_are_found(database, stations, ring_path):
    """What is genuine elsewhere is not genuine here."""
    one, other = stations[0].id, stations[1].id
    async with database.session() as session:
        await session.execute(
            text(
                "UPDATE stations SET account_key = (SELECT s.account_key FROM stations s "
                "WHERE s.id = :other), node_url = tessera_url WHERE id = :one"
            ),
            {"one": one, "other": other},
        )
    survey = await check(database, Vault.load(ring_path))
    assert {(f.row, f.column) for f in survey.failures} == {
        (one, "account_key"),
        (one, "node_url"),
    }
    assert sum(survey.values.values()) == VALUES + SEALS - 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE nodes SET tessera_key = 'another' WHERE id = :node",
        "UPDATE nodes SET name = 'another' WHERE id = :node",
        "UPDATE nodes SET role = 'network' WHERE id = :node",
        "UPDATE stations SET name = 'another' WHERE id = :station",
        "UPDATE stations SET client_id = 'another' WHERE id = :station",
        "UPDATE stations SET client_secret_hash = account_key WHERE id = :station",
        "UPDATE stations SET node_id = NULL, status = 'disabled' WHERE id = :station",
    ],
)
async def test_a_row_that_says_otherwise_than_its_seal_is_found(
    database, stations, ring_path, change
):
    """Also columns in the clear are bound; sealing anew does not make such a row good."""
    station = stations[0]
    names = {"node": station.node_id, "station": station.id}
    async with database.session() as session:
        bound = {name: value for name, value in names.items() if f":{name}" in change}
        await session.execute(text(change), bound)
    row = names[next(iter(bound))]
    vault = Vault.load(ring_path)
    for walk in (check, rewrap, check):
        survey = await walk(database, vault)
        assert [(f.row, f.column) for f in survey.failures] == [(row, "seal")]
    assert [line.subject_id for line in await _audit(database, "vault.open")] == [row] * 3


async def test_a_tampered_value_in_a_request_is_audited_by_the_session(
    database, stations, ring_path
):
    """A unit of work that meets it is rolled back, and the audit line stands all the same."""
    vault = Vault.load(ring_path)
    row = stations[0]
    with pytest.raises(VaultTampered):  # noqa: PT012 - the session around it is what is tested
        async with database.session() as session:
            (await session.get_one(Station, row.id)).name = "changed"
            await session.flush()
            vault.open(Place("stations", row.id, "node_url"), row.tessera_url)
    async with database.session(read_only=True) as session:
        assert (await session.get_one(Station, row.id)).name == "station 0"
    assert [line.subject_id for line in await _audit(database, "vault.open")] == [row.id]


async def test_a_tampering_is_audited_once(database):
    """The same problem that passes several hands leaves one line."""
    problem = VaultTampered("stations", "X", "account_key")
    for _ in range(3):
        await database.record_tampering(problem, request_id="r1")
    assert [line.request_id for line in await _audit(database, "vault.open")] == ["r1"]


def test_one_vault_command_at_a_time(ring_path):
    """A second one is refused, and the first's end lets the next in."""
    with ring_lock(ring_path):  # noqa: SIM117 - the second lock must be inside of the first
        with pytest.raises(ConfigurationError, match="another vault command"), ring_lock(ring_path):
            pass
    with ring_lock(ring_path):
        assert KeyRing.read(ring_path).current == "k1"
