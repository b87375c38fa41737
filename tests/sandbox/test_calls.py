"""Questions to earlier states; tests/ledger has what the engines share."""

from wire_world import READ, calldata


async def test_history_ends(consortium, client, contract):
    """A node that is no archive forgets states after 128 blocks."""
    while consortium.ledger.chain.head.number < 130:
        await consortium.make_block()
    error = (await client.call(0, contract.address, calldata(READ, 5), "0x1"))["error"]
    assert error["code"] == -32000
    assert error["message"].startswith("missing trie node ")
