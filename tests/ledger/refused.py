"""What a node says when it refuses a private transaction."""

from wire_world import hexed


async def refused(client, raw, parties=(1,), node=0):
    answer = await client.offer(node, raw, list(parties))
    assert "result" not in answer, answer
    assert answer["error"]["code"] == -32000
    return answer["error"]["message"]


async def options_error(client, raw, options):
    return await client.error(0, "eth_sendRawPrivateTransaction", hexed(raw), options)
