"""Gathering tickets of many requests into few transactions."""

import asyncio
from dataclasses import replace

import pytest
from builders import ticket, tickets, until
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fakes import FakeLedger
from steelyard.ledger.errors import LedgerBusy, NodeUnavailable
from steelyard.ledger.gathering import Gatherer
from steelyard.ledger.protocol import ContractView, ContractWriter, NodeRef, SigningKey
from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import AlibiHead

NODE = NodeRef("node", "http://node", "http://tessera", "key")


class SlowLedger(FakeLedger):
    """A ledger that takes a batch only when it is told to; `batches` are what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self._open: list[asyncio.Event] = []

    async def register(self, writer, tickets, alibi_head=None):
        gate = asyncio.Event()
        self._open.append(gate)
        self.batches.append([one.id for one in tickets])
        await gate.wait()
        return await super().register(writer, tickets, alibi_head)

    def let_go(self, *places: int) -> None:
        for place in places or range(len(self._open)):
            self._open[place].set()


@pytest.fixture
def ledger() -> SlowLedger:
    return SlowLedger()


async def station(ledger: FakeLedger, number: int = 1) -> ContractWriter:
    key = SigningKey(bytes([number]) * 32)
    deployment = await ledger.deploy(key, NODE, ["customer"])
    return ContractWriter(ContractView(deployment.address, NODE), key, ("customer",))


def gatherer(ledger: FakeLedger, **changes) -> Gatherer:
    return Gatherer(ledger, LedgerSettings(**{"gather_seconds": 0.01, "max_batch": 4} | changes))


def ask(one: Gatherer, writer: ContractWriter, *wanted) -> asyncio.Task:
    return asyncio.create_task(one.register(writer, wanted))


async def test_a_ticket_that_finds_nothing_under_way_goes_at_once(ledger):
    """No timer runs before a lone ticket."""
    gathered, writer = gatherer(ledger, gather_seconds=10), await station(ledger)
    asked = ask(gathered, writer, ticket(1))
    await until(lambda: ledger.batches)
    ledger.let_go()
    (outcome,) = await asked
    assert outcome.created


async def test_tickets_of_several_requests_share_a_transaction(ledger):
    """What comes while another is under way is gathered; each caller gets its own outcomes."""
    gathered, writer = gatherer(ledger), await station(ledger)
    first = ask(gathered, writer, ticket(1))
    await until(lambda: ledger.batches)
    others = [ask(gathered, writer, ticket(number), ticket(number + 10)) for number in (2, 3)]
    await until(lambda: len(ledger.batches) == 2)
    assert [len(batch) for batch in ledger.batches] == [1, 4]
    ledger.let_go()
    await first
    for number, other in zip((2, 3), others, strict=True):
        outcomes = await other
        assert [one.ticket_id for one in outcomes] == [ticket(number).id, ticket(number + 10).id]
        assert all(one.created for one in outcomes)


async def test_a_full_batch_does_not_wait(ledger):
    """Whatever the age, as many as fit go together, in their order; the rest waits for company."""
    gathered, writer = gatherer(ledger, gather_seconds=10), await station(ledger)
    asked = ask(gathered, writer, *tickets(10))
    await until(lambda: len(ledger.batches) == 2)
    assert ledger.batches == [[f"t-{n}" for n in range(4)], [f"t-{n}" for n in range(4, 8)]]
    assert gathered.waiting() == 2
    ledger.let_go(0, 1)
    await until(lambda: len(ledger.batches) == 3)
    ledger.let_go()
    assert [one.ticket_id for one in await asked] == [f"t-{n}" for n in range(10)]


async def test_no_more_than_the_limit_are_under_way(ledger):
    """The next transaction is made when one has come to its end."""
    gathered, writer = gatherer(ledger, max_in_flight=2), await station(ledger)
    asked = ask(gathered, writer, *tickets(12))
    await until(lambda: len(ledger.batches) == 2)
    await asyncio.sleep(0.05)
    assert (len(ledger.batches), gathered.under_way(), gathered.waiting()) == (2, 2, 4)
    ledger.let_go(1)
    await until(lambda: len(ledger.batches) == 3)
    ledger.let_go()
    assert all(one.created for one in await asked)
    assert (gathered.under_way(), gathered.waiting()) == (0, 0)


async def test_when_too_many_wait_callers_are_told_to_come_again(ledger):
    """The refused request leaves nothing behind; other stations are not concerned."""
    gathered = gatherer(ledger, max_in_flight=1, gather_tickets=5)
    writer, other = await station(ledger), await station(ledger, 2)
    first = ask(gathered, writer, *tickets(4))
    second = ask(gathered, writer, *tickets(4, "second"))
    await until(lambda: gathered.waiting() == 4)
    with pytest.raises(LedgerBusy) as caught:
        await gathered.register(writer, tickets(2, "third"))
    assert caught.value.headers["Retry-After"].isdecimal()
    assert gathered.waiting() == 4
    elsewhere = ask(gathered, other, *tickets(2, "elsewhere"))
    await until(lambda: len(ledger.batches) == 2)
    ledger.let_go()
    await until(lambda: len(ledger.batches) == 3)
    ledger.let_go()
    await asyncio.gather(first, second, elsewhere)
    assert not any("third" in one for batch in ledger.batches for one in batch)


async def test_a_request_larger_than_the_limit_is_taken_when_nothing_waits(ledger):
    """Else it could never be sent."""
    gathered, writer = gatherer(ledger, gather_tickets=1), await station(ledger)
    asked = ask(gathered, writer, *tickets(3))
    await until(lambda: ledger.batches)
    ledger.let_go()
    assert len(await asked) == 3


async def test_the_same_ticket_twice_is_sent_once(ledger):
    """A repeat while the first is under way waits for it; one of the two is told it was created."""
    gathered, writer = gatherer(ledger), await station(ledger)
    asked = [ask(gathered, writer, ticket(1)), ask(gathered, writer, ticket(1), ticket(1))]
    await until(lambda: ledger.batches)
    await asyncio.sleep(0.03)
    ledger.let_go()
    (first,), (second, third) = await asyncio.gather(*asked)
    assert ledger.batches == [[ticket(1).id]]
    assert [one.created for one in (first, second, third)] == [True, False, False]
    assert first.receipt == second.receipt == third.receipt


async def test_another_ticket_under_the_same_id_conflicts(ledger):
    """It waits until the first is settled, and is refused then."""
    gathered, writer = gatherer(ledger), await station(ledger)
    other = ticket(1, vehicle="ANOTHER")
    asked = [ask(gathered, writer, ticket(1)), ask(gathered, writer, other)]
    await until(lambda: ledger.batches)
    ledger.let_go()
    (first,) = await asked[0]
    await until(lambda: len(ledger.batches) == 2)
    ledger.let_go()
    (second,) = await asked[1]
    assert first.created
    assert second.refusal.slug == "ticket-conflict"


async def test_a_failure_is_told_to_all_whose_tickets_it_concerns(ledger):
    """And to nobody else; the tickets can be asked for again at once."""
    gathered, writer = gatherer(ledger), await station(ledger)
    first = ask(gathered, writer, ticket(1))
    await until(lambda: ledger.batches)
    lost = [ask(gathered, writer, ticket(number)) for number in (2, 3)]
    await until(lambda: len(ledger.batches) == 2)
    ledger.let_go(0)
    assert (await first)[0].created
    ledger.failures.append(NodeUnavailable("gone"))
    ledger.let_go(1)
    for one in lost:
        with pytest.raises(NodeUnavailable, match="gone"):
            await one
    again = ask(gathered, writer, ticket(2))
    await until(lambda: len(ledger.batches) == 3)
    ledger.let_go()
    assert (await again)[0].created


async def test_a_caller_that_goes_leaves_its_ticket_on_its_way(ledger):
    """Others of the same transaction do not notice, and a repeat finds the ticket registered."""
    gathered, writer = gatherer(ledger), await station(ledger)
    first = ask(gathered, writer, ticket(1))
    await until(lambda: ledger.batches)
    gone, stays = ask(gathered, writer, ticket(2)), ask(gathered, writer, ticket(3))
    await until(lambda: len(ledger.batches) == 2)
    gone.cancel()
    ledger.let_go()
    assert (await stays)[0].created
    await first
    again = ask(gathered, writer, ticket(2))
    await until(lambda: len(ledger.batches) == 3)
    ledger.let_go()
    (outcome,) = await again
    assert (outcome.created, outcome.receipt is not None) == (False, True)


async def test_closing_refuses_what_waits_and_ends_what_is_under_way(ledger):
    """A ticket that was being sent gets its outcome; one that was not is to be sent again."""
    gathered, writer = gatherer(ledger, max_in_flight=1), await station(ledger)
    sent = ask(gathered, writer, *tickets(4))
    await until(lambda: ledger.batches)
    waits = ask(gathered, writer, ticket(50))
    await until(lambda: gathered.waiting() == 1)
    closing = asyncio.create_task(gathered.close())
    with pytest.raises(NodeUnavailable, match="shutting down"):
        await waits
    ledger.let_go()
    assert all(one.created for one in await sent)
    await closing
    with pytest.raises(NodeUnavailable, match="shutting down"):
        await gathered.register(writer, [ticket(60)])


async def test_no_key_is_kept_after_its_tickets(ledger):
    """When a station has nothing on its way, nothing of its writer is held."""
    gathered, writer = gatherer(ledger), await station(ledger)
    asked = ask(gathered, writer, ticket(1))
    await until(lambda: ledger.batches)
    ledger.let_go()
    await asked
    await until(lambda: not gathered._queues)


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 15), min_size=1, max_size=6), min_size=1, max_size=12),
    st.lists(st.booleans(), max_size=6),
    st.integers(1, 5),
    st.integers(1, 3),
)
def test_every_ticket_is_registered_once_whatever_comes_together(asks, faults, size, flights):
    """Any requests at once, some of whose transactions fail: repeated, each is there once."""

    async def run() -> None:
        ledger = FakeLedger()
        writer = await station(ledger)
        ledger.failures = [NodeUnavailable("x") for fault in faults if fault]
        gathered = gatherer(
            ledger, max_batch=size, max_in_flight=flights, gather_seconds=0, gather_tickets=1000
        )

        async def insist(numbers: list[int]) -> list:
            while True:
                try:
                    return await gathered.register(writer, [ticket(one) for one in numbers])
                except NodeUnavailable:
                    await asyncio.sleep(0)

        answers = await asyncio.gather(*map(insist, asks))
        wanted = {ticket(number).id for numbers in asks for number in numbers}
        held = [entry.ticket.id for entry in ledger.contracts[writer.view.address].entries]
        assert sorted(held) == sorted(wanted)
        created = [one.ticket_id for outcomes in answers for one in outcomes if one.created]
        assert len(created) == len(set(created))
        for numbers, outcomes in zip(asks, answers, strict=True):
            assert [one.ticket_id for one in outcomes] == [ticket(number).id for number in numbers]
            assert all(one.receipt for one in outcomes)

    asyncio.run(run())


async def test_a_writer_with_other_parties_is_another_queue(ledger):
    """Tickets for different parties never share a transaction."""
    gathered, writer = gatherer(ledger), await station(ledger)
    other = replace(writer, parties=("somebody",))
    asked = [ask(gathered, writer, ticket(1)), ask(gathered, other, ticket(2))]
    await until(lambda: len(ledger.batches) == 2)
    ledger.let_go()
    await asyncio.gather(*asked)
    assert ledger.batches == [[ticket(1).id], [ticket(2).id]]


async def test_nothing_asked_leaves_nothing_behind(ledger):
    """No queue, and no key in it."""
    gathered, writer = gatherer(ledger), await station(ledger)
    assert await gathered.register(writer, []) == []
    assert not gathered._queues


async def test_a_transaction_carries_the_latest_alibi_head(ledger):
    """Of the requests that share it; one that brings none changes nothing."""
    gathered, writer = gatherer(ledger), await station(ledger)
    early, late = (AlibiHead(sequence=n, hash=f"{n:064x}") for n in (3, 7))
    first = asyncio.create_task(gathered.register(writer, [ticket(1)], early))
    await until(lambda: ledger.batches)
    others = [
        asyncio.create_task(gathered.register(writer, [ticket(number)], head))
        for number, head in ((2, late), (3, early), (4, None))
    ]
    await until(lambda: len(ledger.batches) == 2)
    ledger.let_go()
    await asyncio.gather(first, *others)
    assert ledger.alibi_heads == [early, late]
