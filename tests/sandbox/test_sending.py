"""A transaction on its way, with the chain held still; tests/ledger has what the engines share."""

from wire_world import CONTRACT, Wallet, hexed


async def test_a_waiting_transaction_is_seen_everywhere_without_a_block(consortium, client):
    """Before its block: no receipt, no block in the transaction, and a higher pending nonce."""
    consortium.halt_blocks()
    wallet = Wallet()
    sent = await client.send(wallet, b"", CONTRACT)
    for node in range(3):
        seen = await client.result(node, "eth_getTransactionByHash", sent.hash)
        assert (seen["blockHash"], seen["blockNumber"], seen["transactionIndex"]) == (None,) * 3
        assert await client.result(node, "eth_getTransactionReceipt", sent.hash) is None
        address = hexed(wallet.address)
        assert await client.result(node, "eth_getTransactionCount", address, "pending") == "0x1"
        assert await client.result(node, "eth_getTransactionCount", address, "latest") == "0x0"
