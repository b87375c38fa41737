"""What a party alone counts; tests/ledger has what the engines share."""

from wire_world import KEEP, calldata


async def test_log_indexes_count_what_a_node_knows(consortium, client, contract):
    """Of two logs in a block, the one that only node-1 knows does not count at node-2."""
    consortium.halt_blocks()
    wallet = contract.wallet
    alone = await client.send(wallet, contract.to, calldata(KEEP, 1, 1), parties=())
    both = await client.send(wallet, contract.to, calldata(KEEP, 2, 2))
    consortium.resume_blocks()
    await client.mined(alone)
    await client.mined(both)
    assert alone.receipts[0]["blockNumber"] == both.receipts[0]["blockNumber"]
    assert [receipt["logs"][0]["logIndex"] for receipt in both.receipts[:2]] == ["0x1", "0x0"]
    assert alone.receipts[1]["logs"] == []
