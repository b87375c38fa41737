"""All nodes die at once: what was acknowledged is what they know when they are back."""

from dataclasses import replace

import pytest
from breaking import Outages
from builders import tickets

from stations import Engine
from steelyard.ledger.quorum import QuorumLedger

pytestmark = [pytest.mark.slow]


async def known(ledger: QuorumLedger, engine: Engine, writer, outcomes) -> list[object]:
    """What each node says of the receipts' blocks and transactions, and the parties of tickets."""
    told: list[object] = []
    for at, ref in enumerate(engine.nodes):
        view = replace(writer.view, node=ref)
        node = ledger.node(view)
        for one in outcomes:
            block = await node.block(one.receipt.block_number)
            told.append(block["hash"])
            told.append(await node.transaction(one.receipt.transaction_hash))
            mined = await node.mined(one.receipt.transaction_hash)
            told.append((mined.block_number, mined.logs))
            if at < 2:
                told.append(await ledger.receipt(view, one.ticket_id))
    return told


async def test_a_power_cut_takes_nothing_back(
    engine: Engine, ledger: QuorumLedger, writer, outages: Outages
) -> None:
    """The same blocks, transactions and receipts at once, at every node, and tickets go on.

    A geth that keeps its states in memory comes back with an earlier head, and when all do so, they
    make other blocks from there on.
    """
    outcomes = [(await ledger.register(writer, [one]))[0] for one in tickets(4)]
    before = await known(ledger, engine, writer, outcomes)
    await outages.power_cut()
    assert await known(ledger, engine, writer, outcomes) == before
    again = await ledger.register(writer, tickets(5))
    assert [one.created for one in again] == [False] * 4 + [True]
    assert [one.receipt for one in again[:4]] == [one.receipt for one in outcomes]
    assert await known(ledger, engine, writer, outcomes) == before
