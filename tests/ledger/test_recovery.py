"""What goes wrong on the way: lost answers, gaps, other writers, cancelled callers."""

import asyncio
import secrets

import pytest
from builders import ticket, tickets, until
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stations import counted
from steelyard.ledger import contract
from steelyard.ledger.connections import open_session
from steelyard.ledger.errors import (
    NodeUnavailable,
    PrivacyManagerUnavailable,
    TransactionFailed,
)
from steelyard.ledger.jsonrpc import JsonRpc, NodeError
from steelyard.ledger.node import Node
from steelyard.ledger.nonces import Outgoing
from steelyard.ledger.protocol import ContractView, ContractWriter, SigningKey
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.signer import PrivateTransaction, address_of, sign
from steelyard.ledger.tessera import Tessera
from steelyard.ticket import TicketFilter

ANYTHING = TicketFilter()
SEND = "eth_sendRawPrivateTransaction"


def node_of(session, writer) -> Node:
    ref = writer.view.node
    return Node(JsonRpc(session, ref.rpc_url, ref.name, 10), ref.name)


async def nonce_of(session, writer) -> int:
    return await node_of(session, writer).transaction_count(address_of(writer.key), "latest")


async def send_by_hand(session, writer, nonce: int, one) -> str:
    """A registering transaction with a nonce of our choice, past the ledger."""
    ref = writer.view.node
    payload = contract.encode_registration([one])
    digest = await Tessera(session, ref.tessera_url, ref.name, 10).store_raw(
        payload, ref.tessera_key
    )
    transaction = PrivateTransaction(nonce, 10_000_000, writer.view.address, digest)
    signed = sign(writer.key, transaction)
    await node_of(session, writer).send_private(signed.raw, writer.parties, 20)
    return signed.hash


async def test_an_answer_lost_after_the_send_registers_once(
    session, ledger, proxied, proxy, customer_view
):
    """The node took the transaction, its answer was lost: it is found by its hash."""
    before = await nonce_of(session, proxied)
    proxy.lose_answers(SEND)
    (outcome,) = await ledger.register(proxied, [ticket()])

    assert outcome.created
    assert await nonce_of(session, proxied) == before + 1
    assert len(proxy.calls(SEND)) == 1
    assert await ledger.count(customer_view, ANYTHING) == 1


async def test_a_request_lost_before_the_node_is_sent_again_as_it_was(
    session, ledger, proxied, proxy
):
    """The node heard nothing: the very same raw transaction is sent again."""
    before = await nonce_of(session, proxied)
    proxy.lose_requests(SEND, 2)
    (outcome,) = await ledger.register(proxied, [ticket()])

    assert outcome.created
    assert len({raw for raw, _ in proxy.calls(SEND)}) == 1
    assert len(proxy.calls(SEND)) == 3
    assert await nonce_of(session, proxied) == before + 1


async def test_lost_answers_under_load_leave_no_gap(ledger, proxied, proxy, customer_view):
    """Several transactions in flight, some answers and requests lost: all arrive, each once."""
    proxy.lose_answers(SEND, 2)
    proxy.lose_requests("eth_getTransactionByHash", 1)
    batch = tickets(10)
    results = await asyncio.gather(*(ledger.register(proxied, [one]) for one in batch))

    assert all(outcomes[0].created for outcomes in results)
    assert await ledger.count(customer_view, ANYTHING) == 10


def lose_words(monkeypatch, sender) -> None:
    """Tell what the privacy manager answers as GoQuorum does for a Tessera before 20.10."""
    send = sender._node.send_private

    async def wordless(*arguments):
        try:
            await send(*arguments)
        except NodeError as error:
            status, _, text = error.message.partition(" ")
            if not text.startswith("status:"):
                raise
            message = f"Non-200 status code: &{{Status:{status} Failed StatusCode:{status} Proto:"
            raise NodeError("node-1", SEND, error.code, message, None) from None

    monkeypatch.setattr(sender._node, "send_private", wordless)


@pytest.mark.parametrize("words", [True, False])
async def test_a_payload_distributed_but_not_in_the_pool_goes_there(
    session, ledger, proxied, proxy, monkeypatch, words
):
    """The privacy manager served the parties, the pool missed it: the same raw is sent."""
    ref = proxied.view.node
    sender = ledger._sender(address_of(proxied.key), ref)
    if not words:
        lose_words(monkeypatch, sender)
    nonce = await sender.nonces.next()
    # A transaction with a used nonce is refused by the pool after its payload was distributed.
    await ledger.register(proxied, [ticket(1)])
    tessera = Tessera(session, ref.tessera_url, ref.name, 10)
    payload = contract.encode_registration([ticket(2)])
    digest = await tessera.store_raw(payload, ref.tessera_key)
    stale = sign(proxied.key, PrivateTransaction(nonce, 10_000_000, proxied.view.address, digest))
    with pytest.raises(NodeUnavailable):
        await node_of(session, proxied).send_private(stale.raw, proxied.parties, 20)

    good = PrivateTransaction(nonce + 1, 10_000_000, proxied.view.address, digest)
    signed = sign(proxied.key, good)
    outgoing = Outgoing(signed.nonce, signed.hash, signed.raw, proxied.parties, digest)
    assert await sender._offer(outgoing)
    mined = await sender._wait_for_block(proxied.key, outgoing)

    assert mined.succeeded
    assert (await ledger.get(proxied.view, ticket(2).id)).ticket == ticket(2)


async def test_a_failure_without_words_puts_nothing_on_the_chain(
    session, ledger, proxied, proxy, monkeypatch
):
    """Why the privacy manager failed is not told, and it has no payload: nothing is sent."""
    sender = ledger._sender(address_of(proxied.key), proxied.view.node)

    async def failing(*_):
        message = "Non-200 status code: &{Status:500 Failed StatusCode:500 Proto:HTTP/1.1"
        raise NodeError("node-1", SEND, -32000, message, None)

    before = await nonce_of(session, proxied)
    with monkeypatch.context() as context:
        context.setattr(sender._node, "send_private", failing)
        with pytest.raises(PrivacyManagerUnavailable):
            await ledger.register(proxied, [ticket(1)])
    assert proxy.calls("eth_sendRawTransaction") == []

    (outcome,) = await ledger.register(proxied, [ticket(1)])
    assert outcome.created
    assert await nonce_of(session, proxied) == before + 1


async def test_a_node_that_dies_after_the_send_is_asked_when_it_is_back(
    session, settings, proxied, proxy
):
    """Recovery in vain is told as unavailable; the next call clears it up and goes on."""
    ledger = QuorumLedger(session, settings.model_copy(update={"recovery_timeout": 0.5}))
    await ledger.register(proxied, [ticket(1)])
    before = await nonce_of(session, proxied)
    proxy.lose_answers(SEND)
    proxy.lose_requests("eth_getTransactionByHash", 1000)
    with pytest.raises(NodeUnavailable):
        await ledger.register(proxied, [ticket(2)])
    proxy.lose_requests("eth_getTransactionByHash", 0)

    # What the node took is known before the next is signed: nothing is sent in vain.
    (outcome,) = await ledger.register(proxied, [ticket(3)])
    assert outcome.created
    assert len(proxy.calls(SEND)) == 3
    assert await nonce_of(session, proxied) == before + 2
    (again,) = await ledger.register(proxied, [ticket(2)])
    assert again.receipt
    assert not again.created
    assert await ledger.count(proxied.view, ANYTHING) == 3


async def test_a_gap_made_by_another_is_filled_by_what_comes(session, ledger, writer):
    """Someone left a gap and a transaction behind it: registering goes on and takes both."""
    nonce = await nonce_of(session, writer)
    await send_by_hand(session, writer, nonce + 2, ticket(9))
    for number in range(4):
        (outcome,) = await ledger.register(writer, [ticket(number)])
        assert outcome.created

    assert (await ledger.get(writer.view, ticket(9).id)).ticket == ticket(9)
    assert await ledger.count(writer.view, ANYTHING) == 5


async def test_a_gap_before_our_own_transaction_is_found_and_filled(session, ledger, writer):
    """A nonce too far ahead stalls without an error; after a while the gap is filled."""
    await ledger.register(writer, [ticket(1)])
    sender = ledger._sender(address_of(writer.key), writer.view.node)
    sender.nonces._next += 2
    (outcome,) = await ledger.register(writer, [ticket(2)])

    assert outcome.created
    assert await ledger.count(writer.view, ANYTHING) == 2
    assert (await ledger.register(writer, [ticket(3)]))[0].created


async def test_a_used_nonce_is_read_again(session, ledger, writer):
    """Another process used our nonce: the node's count is read and a fresh one signed."""
    await ledger.register(writer, [ticket(1)])
    await send_by_hand(session, writer, await nonce_of(session, writer), ticket(2))
    outcomes = await ledger.register(writer, [ticket(3)])

    assert outcomes[0].created
    assert await ledger.count(writer.view, ANYTHING) == 3


async def test_two_ledgers_with_one_key_both_get_through(session, settings, writer, customer_view):
    """Two processes' worth of ledgers with one key disturb each other and lose nothing."""
    async with open_session(settings) as other_session:
        pair = [QuorumLedger(session, settings), QuorumLedger(other_session, settings)]
        batch = tickets(12)
        results = await asyncio.gather(
            *(pair[at % 2].register(writer, [one]) for at, one in enumerate(batch))
        )
        await asyncio.gather(*(one.close() for one in pair))

    assert all(outcomes[0].created for outcomes in results)
    assert await counted(pair[0], customer_view, 12) == 12


async def test_two_ledgers_with_the_same_tickets_register_once(session, settings, writer):
    """The same batch through two ledgers at once: one receipt a ticket, told to both."""
    async with open_session(settings) as other_session:
        pair = [QuorumLedger(session, settings), QuorumLedger(other_session, settings)]
        batch = tickets(5)
        one, two = await asyncio.gather(*(ledger.register(writer, batch) for ledger in pair))
        await asyncio.gather(*(ledger.close() for ledger in pair))

    assert [outcome.receipt for outcome in one] == [outcome.receipt for outcome in two]
    assert [a.created + b.created for a, b in zip(one, two, strict=True)] == [1] * 5
    assert await pair[0].count(writer.view, ANYTHING) == 5


async def test_a_success_without_the_contracts_event_is_a_failure(ledger, proxied, proxy):
    """A private transaction "succeeds" where nothing ran; only the contract's event counts."""
    proxy.change("eth_getTransactionReceipt", lambda answer: answer and answer | {"logs": []})
    with pytest.raises(TransactionFailed):
        await ledger.register(proxied, [ticket()])


async def test_a_replayed_raw_transaction_registers_nothing(session, ledger, proxied, proxy):
    """Sending a mined transaction's raw bytes again changes nothing, at any node's door."""
    (outcome,) = await ledger.register(proxied, [ticket()])
    ((raw, options),) = proxy.calls(SEND)
    before = await nonce_of(session, proxied)
    node = node_of(session, proxied)
    with pytest.raises(NodeUnavailable):
        await node.send_private(raw, options["privateFor"], 20)
    with pytest.raises(NodeUnavailable):
        await node.send_raw(raw, 20)

    assert await nonce_of(session, proxied) == before
    assert await ledger.receipt(proxied.view, ticket().id) == outcome.receipt
    assert await ledger.count(proxied.view, ANYTHING) == 1


@pytest.mark.parametrize("moment", ["before", "during", "after"])
async def test_a_cancelled_caller_leaves_no_hole(moment, session, ledger, proxied, proxy):
    """Cancelled before, during or after the send: the next registrations go on at once."""
    await ledger.register(proxied, [ticket(0)])
    held = "eth_call" if moment == "before" else SEND
    if moment == "after":
        held = "eth_getTransactionReceipt"
    gate = proxy.hold(held)
    seen = len(proxy.calls(held))
    caller = asyncio.create_task(ledger.register(proxied, [ticket(1)]))
    await until(lambda: len(proxy.calls(held)) > seen)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.set()

    outcomes = await ledger.register(proxied, [ticket(1), ticket(2)])
    assert all(one.receipt for one in outcomes)
    assert await ledger.count(proxied.view, ANYTHING) == 3


steps = st.lists(st.sampled_from([None, None, "request", "answer"]), max_size=6)
plans = st.tuples(
    st.fixed_dictionaries({SEND: steps, "eth_getTransactionByHash": steps, "eth_call": steps}),
    st.sets(st.integers(0, 5), max_size=3),  # which callers are cancelled
    st.floats(0, 0.1),  # and when, in seconds
)


async def test_any_mixture_of_faults_registers_once(session, ledger, proxied, proxy, customer_view):
    """Whatever is lost and whoever is cancelled, a repeat registers all, each once, without gap."""
    drawn = []

    @hypothesis_settings(max_examples=12, deadline=None, database=None)
    @given(plans)
    def collect(plan):
        drawn.append(plan)

    collect()
    node = node_of(session, proxied)
    address = address_of(proxied.key)
    for number, (faults, cancelled, moment) in enumerate(drawn):
        batch = tickets(6, f"round-{number}")
        for method, plan in faults.items():
            proxy.follow(method, plan)
        callers = [asyncio.create_task(ledger.register(proxied, [one])) for one in batch]
        await asyncio.sleep(moment)
        for at in cancelled:
            callers[at].cancel()
        for result in await asyncio.gather(*callers, return_exceptions=True):
            assert isinstance(result, list | NodeUnavailable | asyncio.CancelledError), result

        for method in faults:
            proxy.follow(method, [])
        again = await ledger.register(proxied, batch)
        assert all(one.receipt for one in again)
        wanted = 6 * (number + 1)
        assert await counted(ledger, customer_view, wanted) == wanted
    await ledger.close()
    pending = await node.transaction_count(address, "pending")
    (outcome,) = await ledger.register(proxied, [ticket(-1)])
    assert outcome.created
    assert await node.transaction_count(address, "latest") == pending + 1


async def test_closing_waits_for_what_is_being_handed_over(session, settings, proxied, proxy):
    """After `close` the transaction of a cancelled caller is with the node."""
    ledger = QuorumLedger(session, settings)
    gate = proxy.hold(SEND)
    caller = asyncio.create_task(ledger.register(proxied, [ticket(1)]))
    await until(lambda: proxy.calls(SEND))
    caller.cancel()
    closing = asyncio.create_task(ledger.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    gate.set()
    await closing

    again = QuorumLedger(session, settings)
    (outcome,) = await again.register(proxied, [ticket(1)])
    assert outcome.receipt
    assert await again.count(proxied.view, ANYTHING) == 1


async def test_keys_do_not_wait_for_each_other(engine, ledger, writer):
    """One key's lost answer holds up only that key."""
    sender = ledger._sender(address_of(writer.key), writer.view.node)
    async with sender.nonces.lock:
        own = await ledger.deploy(
            SigningKey(secrets.token_bytes(32)), engine.nodes[0], writer.parties
        )
    assert own.block_number > 0


# -- what only the sandbox can take away


@pytest.fixture
async def station(sandbox, ledger, key):
    """A writer on the sandbox alone."""
    first, customer, _ = sandbox.nodes
    deployment = await ledger.deploy(key, first, [customer.tessera_key])
    view = ContractView(deployment.address, first)
    return ContractWriter(view, key, (customer.tessera_key,))


async def test_a_transaction_lost_from_the_pool_is_sent_again(sandbox, session, settings, station):
    """The node forgets its pool: the very same transactions are sent again, in order."""
    ledger = QuorumLedger(session, settings.model_copy(update={"stall_after": 0.2}))
    sandbox.consortium.halt_blocks()
    callers = [asyncio.create_task(ledger.register(station, [ticket(n)])) for n in range(3)]
    pool = sandbox.consortium.ledger.pool
    await until(lambda: len(pool) == 3)
    hashes = set(pool._hashes)
    for waiting in list(pool._hashes.values()):
        pool.remove(waiting.transaction)
    await until(lambda: set(pool._hashes) == hashes)
    sandbox.consortium.resume_blocks()

    assert all(outcomes[0].created for outcomes in await asyncio.gather(*callers))


async def test_a_nonce_that_went_to_another_is_signed_anew(sandbox, session, settings, station):
    """Our transaction vanished and its nonce is another's in a block: a new one is signed."""
    ledger = QuorumLedger(session, settings.model_copy(update={"stall_after": 0.2}))
    consortium = sandbox.consortium
    consortium.halt_blocks()
    caller = asyncio.create_task(ledger.register(station, [ticket(1)]))
    await until(lambda: len(consortium.ledger.pool))
    (waiting,) = consortium.ledger.pool._hashes.values()
    consortium.ledger.pool.remove(waiting.transaction)
    await send_by_hand(session, station, waiting.transaction.nonce, ticket(2))
    consortium.resume_blocks()

    (outcome,) = await caller
    assert outcome.created
    assert await ledger.count(station.view, ANYTHING) == 2
