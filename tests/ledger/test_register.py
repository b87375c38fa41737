"""Deploying and registering, on every engine."""

import asyncio
import secrets
from dataclasses import replace

import pytest
from builders import ticket, tickets

from steelyard.ledger.contract import encode_registration
from steelyard.ledger.errors import (
    ContractMissing,
    NodeUnavailable,
    NotTheStation,
    PartyUnreachable,
    PrivacyManagerUnavailable,
    TicketConflict,
    TicketFailed,
)
from steelyard.ledger.jsonrpc import JsonRpc
from steelyard.ledger.protocol import ContractView, SigningKey
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.signer import address_of
from steelyard.ticket import CellWeight, Ticket, TicketFilter

ANYTHING = TicketFilter()


async def test_deployment_names_the_contract_and_its_transaction(engine, ledger, key):
    """A deployment has a checksummed address and a transaction in a block."""
    station, customer, _ = engine.nodes
    deployment = await ledger.deploy(key, station, [customer.tessera_key])

    view = ContractView(deployment.address, customer)
    assert deployment.address != deployment.address.lower()
    assert deployment.block_number > 0
    assert len(deployment.transaction_hash) == 66
    assert await ledger.count(view, ANYTHING) == 0


async def test_a_registered_ticket_is_the_same_at_both_parties(ledger, writer, customer_view):
    """What the station registers, the customer reads, with the same receipt."""
    (outcome,) = await ledger.register(writer, [ticket()])

    assert outcome.created
    assert outcome.refusal is None
    assert outcome.receipt.ticket_id == ticket().id
    for view in (writer.view, customer_view):
        entry = await ledger.get(view, ticket().id)
        assert entry.ticket == ticket()
        assert entry.index == 1
        assert entry.block_number == outcome.receipt.block_number
        assert await ledger.receipt(view, ticket().id) == outcome.receipt


async def test_a_text_that_the_contract_took_never_makes_a_page_fail(ledger, writer, customer_view):
    """What an older rule let through, or the station's key alone, is shown with its neighbours."""
    odd = ticket(2).model_copy(update={"vehicle": "a\u200e\ufdd0b\u00a0"})
    await ledger.register(writer, [ticket(1), odd, ticket(3)])

    page = await ledger.page(customer_view, ANYTHING, limit=50)
    assert [entry.ticket for entry in page.entries] == [ticket(1), odd, ticket(3)]
    assert (await ledger.get(customer_view, odd.id)).ticket.as_json()["vehicle"] == odd.vehicle


async def test_a_batch_is_one_transaction(ledger, writer, customer_view):
    """Many tickets of a batch share a transaction; each outcome stands at its ticket's place."""
    batch = tickets(20)
    outcomes = await ledger.register(writer, batch)

    assert [one.ticket_id for one in outcomes] == [one.id for one in batch]
    assert all(one.created for one in outcomes)
    assert len({one.receipt.transaction_hash for one in outcomes}) == 1
    page = await ledger.page(customer_view, ANYTHING, limit=50)
    assert [entry.ticket for entry in page.entries] == batch


async def test_no_tickets_are_no_transaction(ledger, writer):
    """An empty batch has no outcomes, and nothing is sent."""
    assert await ledger.register(writer, []) == []


async def test_more_tickets_than_a_batch_holds_go_in_several(session, settings, writer):
    """Above `max_batch` the tickets are registered in several transactions, each once."""
    ledger = QuorumLedger(session, settings.model_copy(update={"max_batch": 4}))
    outcomes = await ledger.register(writer, tickets(10))

    assert all(one.created for one in outcomes)
    assert len({one.receipt.transaction_hash for one in outcomes}) == 3
    assert await ledger.count(writer.view, ANYTHING) == 10


async def test_a_repeated_ticket_gives_its_first_receipt(ledger, writer):
    """Registering a known ticket again creates nothing and finds the first receipt."""
    batch = tickets(5)
    first = await ledger.register(writer, batch[:3])
    again = await ledger.register(writer, batch)

    assert [one.receipt for one in again[:3]] == [one.receipt for one in first]
    assert [one.created for one in again] == [False, False, False, True, True]
    assert await ledger.count(writer.view, ANYTHING) == 5


async def test_other_content_under_a_known_id_is_a_conflict(ledger, writer):
    """The ticket with other content is refused, the rest of its batch goes on."""
    await ledger.register(writer, [ticket(1)])
    altered = ticket(1, vehicle=None)
    conflict, fresh = await ledger.register(writer, [altered, ticket(2)])

    assert isinstance(conflict.refusal, TicketConflict)
    assert conflict.receipt is None
    assert fresh.created
    assert (await ledger.get(writer.view, ticket(1).id)).ticket == ticket(1)


async def test_the_same_ticket_twice_in_a_batch_is_one(ledger, writer):
    """Equal tickets in a batch are registered once and get the same outcome."""
    one, two, other = await ledger.register(writer, [ticket(1), ticket(1), ticket(2)])

    assert one == two
    assert other.created
    assert await ledger.count(writer.view, ANYTHING) == 2


async def test_two_tickets_of_one_id_in_a_batch_conflict(ledger, writer):
    """The first of two different tickets with one id is registered, the second refused."""
    first, second = await ledger.register(writer, [ticket(1), ticket(1, vehicle=None)])

    assert first.created
    assert isinstance(second.refusal, TicketConflict)
    assert (await ledger.get(writer.view, ticket(1).id)).ticket == ticket(1)


async def test_concurrent_calls_with_the_same_tickets_register_once(ledger, writer):
    """Calls side by side with overlapping tickets leave each ticket on the ledger once."""
    batch = tickets(6)
    results = await asyncio.gather(
        *(ledger.register(writer, batch[start : start + 3]) for start in (0, 1, 2, 3, 0))
    )

    receipts: dict[str, set] = {}
    for outcomes in results:
        for one in outcomes:
            assert one.refusal is None
            receipts.setdefault(one.ticket_id, set()).add(one.receipt)
    assert all(len(different) == 1 for different in receipts.values())
    assert await ledger.count(writer.view, ANYTHING) == 6
    created = [one.ticket_id for outcomes in results for one in outcomes if one.created]
    assert sorted(created) == sorted(one.id for one in batch)


async def test_single_tickets_side_by_side_all_arrive(ledger, writer, customer_view):
    """Many single registrations in flight use their nonces in order and all succeed."""
    batch = tickets(24)
    results = await asyncio.gather(*(ledger.register(writer, [one]) for one in batch))

    assert all(outcomes[0].created for outcomes in results)
    assert await ledger.count(customer_view, ANYTHING) == 24


async def test_another_key_may_not_register(ledger, writer):
    """The contract refuses a transaction signed by another key than the station's."""
    foreign = replace(writer, key=SigningKey(secrets.token_bytes(32)))
    with pytest.raises(NotTheStation):
        await ledger.register(foreign, [ticket()])
    assert await ledger.get(writer.view, ticket().id) is None


async def test_a_reverted_batch_registers_what_the_contract_takes(ledger, writer):
    """One ticket that the contract refuses reverts its batch; the others are registered then."""
    bad = ticket(2).model_copy(update={"cells": ()})
    first, refused, last = await ledger.register(writer, [ticket(1), bad, ticket(3)])

    assert first.created
    assert last.created
    assert refused.receipt is None
    assert refused.refusal.slug == "ticket-inconsistent"
    assert bad.id in refused.refusal.detail
    assert await ledger.count(writer.view, ANYTHING) == 2


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {"net": 1},
        {"id": ""},
        {"gross": -1, "net": -15_000_001},
        {"gross": 2**32, "net": 2**32 - 15_000_000},
        {"timestamp": 2**48},
        {"status": "s\0"},
        {"vehicle": "V\0"},
        {"vehicle": ""},
        {"scale_serial": "w" * 33},
        {"cells": (CellWeight.model_construct(serial="c", weight=2**31),)},
    ],
)
async def test_a_ticket_that_cannot_be_written_is_refused(changes, others, ledger, writer):
    """What the payload cannot say is refused for itself, never registered as something else."""
    bad = ticket(7).model_copy(update=changes)
    refused, *good = await ledger.register(writer, [bad, *tickets(others)])

    assert refused.refusal.slug == "ticket-inconsistent"
    assert all(one.created for one in good)
    assert await ledger.count(writer.view, ANYTHING) == others


async def test_a_ticket_refused_alone_is_named(ledger, writer):
    """A single ticket that the contract refuses has the reason as its outcome."""
    empty = ticket(1).model_copy(update={"cells": ()})
    (outcome,) = await ledger.register(writer, [empty])

    assert outcome.refusal.slug == "ticket-inconsistent"
    assert await ledger.get(writer.view, empty.id) is None


async def gas_of(session, writer, some) -> int:
    """What the node estimates for registering these tickets at once."""
    rpc = JsonRpc(session, writer.view.node.rpc_url, "node", 10)
    data = "0x" + encode_registration(some).hex()
    request = {"from": address_of(writer.key), "to": writer.view.address, "data": data}
    return int(await rpc.call("eth_estimateGas", request), 16)


async def test_too_little_gas_for_a_batch_halves_it(session, settings, writer):
    """Where a batch runs out of gas, its halves are registered."""
    need = await gas_of(session, writer, tickets(2))
    scarce = settings.model_copy(update={"gas_base": need, "gas_per_ticket": 1})
    ledger = QuorumLedger(session, scarce)
    outcomes = await ledger.register(writer, tickets(8))

    assert all(one.created for one in outcomes)
    assert len({one.receipt.transaction_hash for one in outcomes}) > 1


def dearest(number: int) -> Ticket:
    """32 new cells and new texts at a known weighbridge, and an id that nothing tells of."""
    cells = tuple(CellWeight(serial=f"{number:02}{'c' * 28}{at:02}", weight=at) for at in range(32))
    texts = {"terminal_serial": "T" * 32, "status": "new-status-1"}
    longest = f"{number:02}".rjust(96, "i")
    return ticket(0, id=longest, cells=cells, vehicle="v" * 32, **texts)


async def test_the_dearest_ticket_is_registered(ledger, writer):
    """With the default settings: it splits a full leaf of one millisecond, besides."""
    crowd = [ticket(0, id=f"t-{number}") for number in range(64)]
    assert all(one.created for one in await ledger.register(writer, crowd))
    (outcome,) = await ledger.register(writer, [dearest(1)])
    assert outcome.created


async def test_a_ticket_that_no_gas_suffices_for_is_refused(session, settings, writer):
    """It fails without a reason, is told as such, and registers nothing."""
    ledger = QuorumLedger(
        session, settings.model_copy(update={"gas_base": 40_000, "gas_per_ticket": 1})
    )
    (outcome,) = await ledger.register(writer, [ticket()])
    assert isinstance(outcome.refusal, TicketFailed)
    assert ticket().id in outcome.refusal.detail
    assert await ledger.get(writer.view, ticket().id) is None


async def test_a_ticket_too_dear_does_not_keep_the_others_out(session, settings, writer):
    """Its batch is halved until it stands alone and is refused; what is beside it is registered."""
    scarce = settings.model_copy(update={"gas_base": 1_500_000, "gas_per_ticket": 1})
    batch = [*tickets(3), dearest(1), *tickets(3, "u")]
    outcomes = await QuorumLedger(session, scarce).register(writer, batch)
    assert [one.created for one in outcomes] == [True] * 3 + [False] + [True] * 3
    assert isinstance(outcomes[3].refusal, TicketFailed)


async def test_an_unknown_party_stops_the_transaction(ledger, writer):
    """A party's key that no privacy manager holds is an error, and the nonce stays free."""
    unknown = replace(writer, parties=("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",))
    with pytest.raises(PartyUnreachable):
        await ledger.register(unknown, [ticket(1)])

    (outcome,) = await ledger.register(writer, [ticket(1)])
    assert outcome.created


async def test_a_key_of_another_privacy_manager_cannot_send(engine, ledger, writer):
    """A privacy manager that does not hold the sender's key stores nothing."""
    node = replace(writer.view.node, tessera_key=engine.nodes[2].tessera_key)
    wrong = replace(writer, view=replace(writer.view, node=node))
    with pytest.raises(PartyUnreachable):
        await ledger.register(wrong, [ticket(1)])


async def test_a_transaction_to_the_wrong_party_is_unknown_to_the_right_one(
    engine, ledger, writer, customer_view
):
    """Who is left out of `parties` does not hold the ticket, and its receipt proves nothing."""
    wrong = replace(writer, parties=(engine.nodes[2].tessera_key,))
    (outcome,) = await ledger.register(wrong, [ticket(1)])

    assert outcome.created
    assert await ledger.get(customer_view, ticket(1).id) is None
    proof = await ledger.verify(customer_view, outcome.receipt)
    assert not proof.holds


async def test_a_wrong_address_is_no_contract(ledger, writer):
    """An address without a station contract is told as such, for reading and for writing."""
    nowhere = replace(writer.view, address="0x" + 40 * "7")
    for question in (
        ledger.get(nowhere, "x"),
        ledger.count(nowhere, ANYTHING),
        ledger.page(nowhere, ANYTHING),
        ledger.receipt(nowhere, "x"),
        ledger.register(replace(writer, view=nowhere), [ticket()]),
        ledger.get(replace(writer.view, address="nonsense"), "x"),
    ):
        with pytest.raises(ContractMissing):
            await question


async def test_a_node_that_is_down_is_told(ledger, writer):
    """No node at the URL: NodeUnavailable for every call, and nothing is lost."""
    dead = replace(writer.view.node, rpc_url="http://127.0.0.1:9")
    view = replace(writer.view, node=dead)
    for question in (
        ledger.get(view, "x"),
        ledger.count(view, ANYTHING),
        ledger.register(replace(writer, view=view), [ticket()]),
        ledger.deploy(writer.key, dead, writer.parties),
    ):
        with pytest.raises(NodeUnavailable):
            await question
    assert (await ledger.register(writer, [ticket()]))[0].created


async def test_a_privacy_manager_that_is_down_is_told(ledger, writer):
    """No privacy manager at the URL: named as such; the nonce stays free."""
    dead = replace(writer.view.node, tessera_url="http://127.0.0.1:9")
    lame = replace(writer, view=replace(writer.view, node=dead))
    with pytest.raises(PrivacyManagerUnavailable):
        await ledger.register(lame, [ticket()])
    assert (await ledger.register(writer, [ticket()]))[0].created


async def test_health_tells_what_answers(engine, ledger):
    """Health gives the head, and says who is silent without raising."""
    good = await ledger.health(engine.nodes[0])
    assert good.node_up
    assert good.privacy_manager_up
    assert good.block_number >= 0
    assert good.detail == ""

    gone = "http://127.0.0.1:9"
    bad = await ledger.health(replace(engine.nodes[0], rpc_url=gone, tessera_url=gone))
    assert not bad.node_up
    assert not bad.privacy_manager_up
    assert bad.block_number is None
    assert gone not in bad.detail
