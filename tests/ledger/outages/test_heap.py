"""A payload beyond what a privacy manager's heap holds: refused by name, nothing half-done."""

import pytest
from breaking import Outages
from builders import ticket

from steelyard.ledger.errors import PrivacyManagerUnavailable
from steelyard.ledger.signer import PrivateTransaction, sign
from steelyard.ledger.tessera import Tessera

pytestmark = [pytest.mark.slow]
MIB = 2**20
PASSES = 4 * MIB  # eight times the largest batch of tickets
REFUSED = 40 * MIB  # with the 256 MB of heap that `steelyard network` gives a Tessera


@pytest.fixture
def tessera(session, writer) -> Tessera:
    ref = writer.view.node
    return Tessera(session, ref.tessera_url, ref.name, 60)


async def test_a_payload_larger_than_any_batch_reaches_the_parties(
    session, ledger, writer, customer_view, tessera
):
    """The privacy manager's own limit is far beyond the contract's; the engine's is not in the way.

    The transaction reverts, as the contract knows no such call, and is mined all the same.
    """
    ref, payload = writer.view.node, bytes(PASSES)
    digest = await tessera.store_raw(payload, ref.tessera_key)
    signed = sign(writer.key, PrivateTransaction(1, 10_000_000, writer.view.address, digest))
    node = ledger.node(writer.view)
    await node.send_private(signed.raw, writer.parties, 60)
    (outcome,) = await ledger.register(writer, [ticket()])

    assert outcome.created
    mined = await node.mined(signed.hash)
    assert (mined.succeeded, mined.logs) == (False, ())
    assert await ledger.node(customer_view).payload("0x" + digest.hex()) == payload


async def test_a_payload_beyond_the_heap_is_refused(ledger, writer, tessera, outages: Outages):
    """The privacy manager says so and lives on; no nonce is used."""
    node_key = writer.view.node.tessera_key
    for _ in range(2):
        with pytest.raises(PrivacyManagerUnavailable, match="HTTP 500"):
            await tessera.store_raw(bytes(REFUSED), node_key)
    assert await tessera.is_up()
    (outcome,) = await ledger.register(writer, [ticket()])
    assert outcome.created
    node = ledger.node(writer.view)
    transaction = await node.transaction(outcome.receipt.transaction_hash)
    assert transaction["nonce"] == "0x1"
    # A Java that ran out of heap once may be short of a thread: others shall not inherit it.
    await outages.kill_manager("node-1")
    await outages.start("node-1")
