"""Customers' servers are told of deviations: signed, until they take it, and nowhere else."""

import asyncio
import base64
import json
import socket
from collections.abc import Callable
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import select, text, update

from fakes import FakeLedger
from steelyard.ledger.errors import NodeUnavailable
from steelyard.store.errors import DatabaseUnavailable
from steelyard.store.identifiers import now_ms
from steelyard.store.models import AuditRecord, Delivery, RouteCheck, Status, Webhook
from steelyard.store.route_seal import Target, seal_body
from steelyard.tickets import route_checks
from steelyard.tickets.addresses import may_be_called
from steelyard.tickets.deliveries import Deliveries
from steelyard.tickets.known_routes import KnownRoutes, Watched
from steelyard.tickets.leases import LEASE_MS, later, lease
from steelyard.tickets.route_checks import RouteChecks
from steelyard.tickets.webhook import Undelivered, WebhookLimits, WebhookSender, sign
from tickets_world import World, ticket_json
from webhook_kit import SECRET, Receiving, add_route, add_webhook, change_row, receiver

A = f"{'a':0>26}"
LOOPBACK = (IPv4Network("127.0.0.0/8"),)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds; the test's own time limit ends a wait in vain."""
    while not condition():  # noqa: ASYNC110 - there is nobody to set an event
        await asyncio.sleep(0.01)


async def rows(world: World, table: str) -> int:
    async with world.database.session(read_only=True) as session:
        return int(await session.scalar(text(f"SELECT count(*) FROM {table}")))  # noqa: S608 - ours


async def settled(world: World) -> None:
    """Wait until both queues are empty."""
    while await rows(world, "route_checks") or await rows(world, "webhook_deliveries"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for its time."""
    monkeypatch.setattr(route_checks, "_LOOK_AFTER_MS", 0)
    monkeypatch.setattr("steelyard.tickets.leases._FIRST_MS", 1)


async def watch(world: World, url: str) -> str:
    """A route from a-1 to a-2 with the same weight, and a webhook; the webhook's id."""
    await add_route(
        world.database,
        world.vault,
        A,
        "one-to-two",
        vehicle="AA*",
        stops=[{"station_id": world.ids[name]} for name in ("a-1", "a-2")],
        expectations=[{"at": 2, "since": 1, "grams": 0, "tolerance_grams": 10}],
    )
    return await add_webhook(world.database, world.vault, A, url)


async def send(world: World, station: str, number: int, gross: int, **more: Any) -> str:
    ticket = ticket_json(number, f"WB-{station}", **more)
    ticket |= {"scaleGross": gross, "scaleNet": gross - ticket["scaleTare"]}
    status, body = await world.ask(f"station {station}", "POST", "/v1/tickets", json=ticket)
    assert status in {200, 201}, body
    return str(ticket["ticketID"])


async def test_a_deviation_is_told_with_its_two_tickets(world: World, receiving: Receiving) -> None:
    """Signed, by the tickets' ids; neither weights nor the vehicle leave the platform."""
    async with receiver(receiving) as there:
        webhook = await watch(world, there.url)
        pair = [await send(world, "a-1", 1, 15_000), await send(world, "a-2", 2, 14_000)]
        await until(lambda: bool(there.events))
        await settled(world)
        (event,) = there.events
        assert event["type"] == "route.deviation"
        assert event["data"]["ticketIDs"] == pair
        assert event["data"]["kind"] == "weight"
        assert "AA-00-BB" not in json.dumps(event)
        assert not [w for w in ("15000", "14000") if w in json.dumps(event["data"])]
    async with world.database.session(read_only=True) as session:
        row = await session.get(Webhook, webhook)
        assert row is not None
        assert (row.delivered_at is not None, row.failed_at, row.version) == (True, None, 1)


async def test_without_a_webhook_nothing_is_looked_up(
    world: World, receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registration asks for the routes only where somebody is to hear of them, from then on."""
    asked: list[str] = []
    watched = KnownRoutes.watched

    async def note(known: KnownRoutes, customer_id: str) -> Watched:
        asked.append(customer_id)
        return await watched(known, customer_id)

    monkeypatch.setattr(KnownRoutes, "watched", note)
    await send(world, "a-1", 1, 20_000)
    assert asked == []
    async with receiver(receiving) as received:
        webhook = await watch(world, received.url)
        await send(world, "a-1", 2, 20_000)
        assert asked[0] == A
        await settled(world)
        await change_row(
            world.database, Webhook, webhook, lambda row: setattr(row, "status", Status.DISABLED)
        )
        asked.clear()
        await send(world, "a-1", 3, 20_000)
    assert asked == []


async def test_what_is_as_expected_is_not_told(world: World, receiving: Receiving) -> None:
    """Nor what is no route's, nor another customer's."""
    async with receiver(receiving) as there:
        await watch(world, there.url)
        await send(world, "a-1", 1, 15_000)
        await send(world, "a-2", 2, 15_005)
        await send(world, "a-1", 3, 15_000, vehicle="ZZ-1")
        await send(world, "a-2", 4, 19_000, vehicle="ZZ-1")
        await send(world, "b-1", 5, 1_000)
        await settled(world)
        assert there.events == []


async def test_what_a_late_ticket_puts_right_is_withdrawn(
    world: World, receiving: Receiving
) -> None:
    """A pair that was told of is no pair any more when a later weighing at the first stop comes."""
    async with receiver(receiving) as there:
        await watch(world, there.url)
        await send(world, "a-1", 1, 15_000)
        await send(world, "a-2", 3, 14_000)
        await until(lambda: len(there.events) == 1)
        await send(world, "a-1", 2, 14_000)
        await until(lambda: len(there.events) == 2)
        first, second = there.events
        assert second["type"] == "route.deviation.withdrawn"
        assert second["data"] == first["data"]
        assert there.ids[0] != there.ids[1]


async def test_a_server_that_fails_is_told_again(world: World, receiving: Receiving) -> None:
    """The same event under the same id, until it is taken."""
    async with receiver(receiving) as there:
        there.answers = [500, 302, 404]
        there.headers = {"Location": there.url}
        await watch(world, there.url)
        await send(world, "a-1", 1, 15_000)
        await send(world, "a-2", 2, 14_000)
        await until(lambda: len(there.events) == 4)
        await settled(world)
        assert len(set(there.ids)) == 1
        assert there.events == [there.events[0]] * 4


async def test_the_same_ticket_again_tells_nothing_again(
    world: World, receiving: Receiving
) -> None:
    """A station that repeats a registered ticket makes no second event."""
    async with receiver(receiving) as there:
        await watch(world, there.url)
        await send(world, "a-1", 1, 15_000)
        await send(world, "a-2", 2, 14_000)
        await until(lambda: len(there.events) == 1)
        await settled(world)
        await send(world, "a-2", 2, 14_000)
        await settled(world)
        assert len(there.events) == 1


def parts(world: World, ledger: FakeLedger | None = None, give_up_ms: int = 3_600_000) -> Any:
    """The queues of another process over the same database and ledger."""
    from steelyard.tickets.directory import Directory
    from steelyard.tickets.route_search import RouteSearch
    from steelyard.tickets.search import TicketSearch

    search = TicketSearch(ledger or world.ledger)
    checks = RouteChecks(
        world.database,
        world.vault,
        Directory(world.database, world.vault),
        search,
        RouteSearch(search, scan=1000, rounds=100),
        give_up_ms=give_up_ms,
    )
    deliveries = Deliveries(world.database, world.vault, CollectorRegistry(), give_up_ms=give_up_ms)
    return checks, deliveries


async def waiting(world: World, webhook: str, event: str = "evt_1", **more: Any) -> str:
    """Queue an event that only the test looks at."""
    row = Delivery(id=f"{event:0>26}", webhook_id=webhook, event=event, due_at=0, **more)
    seal_body(world.vault, row, b"{}")
    async with world.database.session() as session:
        session.add(row)
    return row.id


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's own background work does nothing: a test works the queues itself."""

    async def nothing(*_: Any) -> int:
        return 0

    from steelyard.tickets.teller import Teller

    async def running(self: Teller, _: Any) -> Any:
        yield

    monkeypatch.setattr(Teller, "running", running)


@pytest.fixture
async def calm(quiet: None, world: World) -> World:
    return world


async def test_a_ticket_that_never_came_is_given_up(calm: World) -> None:
    """A note whose registration failed is looked for again, and one day no more."""
    await watch(calm, "https://127.0.0.1:1/")
    calm.ledger.failures.append(NodeUnavailable("the station's node is away"))
    status, _ = await calm.ask("station a-1", "POST", "/v1/tickets", json=ticket_json(1))
    assert status == 503
    checks, _ = parts(calm)
    assert await checks.work() == 1
    assert await rows(calm, "route_checks") == 1
    async with calm.database.session() as session:
        await session.execute(update(RouteCheck).values(due_at=0))
    impatient, _ = parts(calm, give_up_ms=-1)
    assert await impatient.work() == 1
    assert await rows(calm, "route_checks") == 0


async def test_a_note_outlives_its_process(calm: World) -> None:
    """Registered, and killed before anybody looked: another process tells it."""
    await watch(calm, "https://127.0.0.1:1/")
    await send(calm, "a-1", 1, 15_000)
    await send(calm, "a-2", 2, 14_000)
    assert await rows(calm, "route_checks") == 2
    checks, _ = parts(calm)
    calm.ledger.failures.append(NodeUnavailable("away for a moment"))
    await checks.work()
    while await rows(calm, "route_checks"):
        await checks.work()
    assert await rows(calm, "webhook_deliveries") == 1


async def test_two_instances_tell_once(calm: World) -> None:
    """Who settles a customer's notes second finds them settled, and tells nothing."""
    await watch(calm, "https://127.0.0.1:1/")
    await send(calm, "a-1", 1, 15_000)
    await send(calm, "a-2", 2, 14_000)
    both = [parts(calm)[0] for _ in range(2)]
    rows_ = await both[0]._pending(A)
    await asyncio.gather(*(checks._check(A, rows_) for checks in both))
    assert await rows(calm, "route_checks") == 0
    async with calm.database.session(read_only=True) as session:
        assert len((await session.scalars(select(Delivery.event))).all()) == 1


async def test_a_note_that_was_tampered_with_keeps_no_other_back(calm: World) -> None:
    """It is on record and ends; the others are settled."""
    await watch(calm, "https://127.0.0.1:1/")
    await send(calm, "a-1", 1, 15_000)
    async with calm.database.session() as session:
        await session.execute(update(RouteCheck).values(tickets=b"x" * 80))
    await send(calm, "a-2", 2, 14_000)
    checks, _ = parts(calm)
    await checks.work()
    assert await rows(calm, "route_checks") == 0
    assert await rows(calm, "webhook_deliveries") == 1
    async with calm.database.session(read_only=True) as session:
        assert await session.scalar(select(AuditRecord).where(AuditRecord.outcome == "tampered"))


async def test_a_database_that_does_not_write_keeps_no_ticket_back(
    calm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registering is what the station needs; the deviation is found by the next question."""
    await watch(calm, "https://127.0.0.1:1/")

    def fail(*_: Any) -> None:
        raise DatabaseUnavailable("the disk is full")

    monkeypatch.setattr(route_checks, "seal_tickets", fail)
    await send(calm, "a-1", 1, 15_000)
    await send(calm, "a-2", 2, 14_000)
    assert await rows(calm, "route_checks") == 0
    _, body = await calm.ask("user a", "GET", "/v1/deviations")
    assert body["count"] == 1


async def test_nobody_works_on_a_row_twice(calm: World) -> None:
    """Of many that look at once each row goes to one; it comes back when its lease is over."""
    webhook = await add_webhook(calm.database, calm.vault, A, "https://127.0.0.1:1/")
    for number in range(5):
        await waiting(calm, webhook, f"evt_{number}")
    now = now_ms()
    taken = await asyncio.gather(*(lease(calm.database, Delivery, now, 3) for _ in range(4)))
    ids = [row.id for share in taken for row in share]
    assert len(ids) == len(set(ids))
    assert 3 <= len(ids) <= 5
    again = await lease(calm.database, Delivery, now + LEASE_MS, 10)
    assert len(again) == 5


async def test_an_event_that_nobody_takes_is_given_up(calm: World, receiving: Receiving) -> None:
    """It is on record, and the webhook says why."""
    async with receiver(receiving) as there:
        there.answers = [503, 503]
        webhook = await add_webhook(calm.database, calm.vault, A, there.url)
        await waiting(calm, webhook)
        _, deliveries = parts(calm)
        sender = WebhookSender(WebhookLimits(LOOPBACK, receiving.authority))
        await deliveries.work(sender)
        assert await rows(calm, "webhook_deliveries") == 1
        async with calm.database.session() as session:
            await session.execute(update(Delivery).values(due_at=0))
        _, impatient = parts(calm, give_up_ms=-1)
        await impatient.work(sender)
        await sender.close()
    assert await rows(calm, "webhook_deliveries") == 0
    async with calm.database.session(read_only=True) as session:
        row = await session.get(Webhook, webhook)
        assert row is not None
        assert row.failure == "status-503"
        line = await session.scalar(
            select(AuditRecord).where(AuditRecord.action == "webhook.give-up")
        )
        assert line is not None
        assert (line.subject_id, json.loads(line.detail)["event"]) == (webhook, "evt_1")


async def test_a_disabled_webhook_is_sent_nothing(calm: World, receiving: Receiving) -> None:
    """What waits stays, until it is enabled again."""
    async with receiver(receiving) as there:
        webhook = await add_webhook(calm.database, calm.vault, A, there.url)
        await waiting(calm, webhook)
        _, deliveries = parts(calm)
        sender = WebhookSender(WebhookLimits(LOOPBACK, receiving.authority))

        def switch(status: Status) -> Callable[[Webhook], None]:
            return lambda row: setattr(row, "status", status)

        await change_row(calm.database, Webhook, webhook, switch(Status.DISABLED))
        await deliveries.work(sender)
        assert there.events == []
        await change_row(calm.database, Webhook, webhook, switch(Status.ACTIVE))
        async with calm.database.session() as session:
            await session.execute(update(Delivery).values(due_at=0))
        await deliveries.work(sender)
        await sender.close()
        assert len(there.events) == 1


async def test_a_body_that_was_given_to_another_webhook_is_not_sent(
    calm: World, receiving: Receiving
) -> None:
    """Somebody with the database in hand cannot have one customer's events sent to another."""
    async with receiver(receiving) as there:
        mine = await add_webhook(calm.database, calm.vault, A, "https://127.0.0.1:1/")
        other = await add_webhook(calm.database, calm.vault, A, there.url)
        await waiting(calm, mine)
        async with calm.database.session() as session:
            await session.execute(update(Delivery).values(webhook_id=other))
        _, deliveries = parts(calm)
        sender = WebhookSender(WebhookLimits(LOOPBACK, receiving.authority))
        await deliveries.work(sender)
        await sender.close()
        assert there.events == []
    async with calm.database.session(read_only=True) as session:
        assert await session.scalar(select(AuditRecord).where(AuditRecord.outcome == "tampered"))


async def test_one_slow_server_does_not_take_all_turns(calm: World) -> None:
    """Of one webhook's events some are sent at once, the rest waits behind the others'."""
    busy = await add_webhook(calm.database, calm.vault, A, "https://127.0.0.1:1/")
    calm_one = await add_webhook(calm.database, calm.vault, A, "https://127.0.0.1:1/")
    for number in range(10):
        await waiting(calm, busy, f"evt_{number}")
    await waiting(calm, calm_one, "evt_x")
    tried: list[str] = []

    class Sender:
        async def send(self, target: Target, event: str, body: bytes, *, at: int) -> None:
            del target, body, at
            tried.append(event)

    _, deliveries = parts(calm)
    await deliveries.work(Sender())
    assert len(tried) == 5
    assert "evt_x" in tried


# -- where webhooks may go


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.0.9", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1"),
        *("ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1", "2001:db8::1", "fec0::1", "not one"),
    ],
)
def test_addresses_that_no_webhook_goes_to(address: str) -> None:
    """Loopback, private, link-local (the clouds' metadata), shared, and all ways to write them."""
    assert not may_be_called(address, ())


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"]
)
def test_public_addresses(address: str) -> None:
    """What is public may be called."""
    assert may_be_called(address, ())


@given(st.ip_addresses())
def test_nothing_is_public_that_python_calls_private(address: Any) -> None:
    """It is never laxer than the interpreter's tables; an allowed network opens itself."""
    if may_be_called(str(address), ()):
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert mapped.is_global
        assert not mapped.is_multicast
    network = f"{address}/{address.max_prefixlen}"
    from ipaddress import ip_network

    if getattr(address, "ipv4_mapped", None) is None:
        assert may_be_called(str(address), (ip_network(network),))


class Names(AbstractResolver):
    """A resolver with answers of the test's, one after the other; it counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> list[Any]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {
                "hostname": host,
                "host": one,
                "port": port,
                "family": socket.AF_INET if ip_address(one).version == 4 else socket.AF_INET6,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for one in answer
        ]

    async def close(self) -> None:
        pass


async def refusal(url: str, resolver: Names | None = None, **limits: Any) -> str:
    """With what word an event to a URL fails."""
    sender = WebhookSender(WebhookLimits(**limits), resolver)
    try:
        with pytest.raises(Undelivered) as caught:
            await sender.send(Target(url, SECRET), "evt_1", b"{}", at=1)
    finally:
        await sender.close()
    return caught.value.reason


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[fe80::1]", "[::ffff:127.0.0.1]"],
)
async def test_addresses_in_the_url_are_refused(host: str) -> None:
    """No resolver is asked for them, so they are looked at before."""
    assert await refusal(f"https://{host}/") == "address-refused"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0177.0.0.1", "localhost", "0x7f.1"])
async def test_disguised_addresses_get_nowhere(host: str) -> None:
    """Other spellings of loopback, and its name."""
    reason = await refusal(f"https://{host}/")
    assert reason in {"address-refused", "connection", "name-not-found", "no-url"}


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["fd00::1"]])
async def test_names_that_lead_inside_are_refused(answer: list[str]) -> None:
    """One address inside is enough."""
    assert await refusal("https://erp.test/", Names(answer)) == "address-refused"


async def test_a_name_that_changes_its_mind_is_asked_once(receiving: Receiving) -> None:
    """DNS rebinding: the address that was looked at is the one that is connected to."""
    async with receiver(receiving) as there:
        port = there.url.rsplit(":", 1)[1].split("/")[0]
        names = Names(["192.0.2.7"], ["127.0.0.1"])
        assert await refusal(f"https://erp.test:{port}/in", names) == "address-refused"
        assert names.asked == 1
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        url = f"https://erp.test:{port}/in"
        # The name is not the certificate's: it came as far as TLS, to the address looked at.
        reason = await refusal(url, names, networks=LOOPBACK, ca_file=receiving.authority)
        assert (reason, names.asked, there.events) == ("certificate", 1, [])


async def test_a_certificate_of_nobody_we_know_is_refused(receiving: Receiving) -> None:
    """An event goes to the server that the URL names, or nowhere."""
    async with receiver(receiving) as there:
        assert await refusal(there.url, networks=LOOPBACK) == "certificate"
        assert there.events == []


async def test_a_server_that_hangs_is_left() -> None:
    """After its time, whatever it does."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reason = await refusal(f"https://127.0.0.1:{port}/", networks=LOOPBACK, seconds=0.2)
    assert reason == "timeout"
    server.close()


def test_signatures_are_those_of_standard_webhooks() -> None:
    """The example of the specification (standard-webhooks, spec, "Signature scheme")."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.integers(0, 10_000_000))
def test_the_pause_grows_to_its_limit(attempts: int) -> None:
    """Twice as long each time, six hours at most, never at once."""
    pause = later(0, attempts)
    assert 0 <= pause <= 6 * 3_600_000


def test_secrets_are_not_shown() -> None:
    """Not even where an object is printed."""
    assert "kkkk" not in repr(Target("https://erp.test", SECRET))
