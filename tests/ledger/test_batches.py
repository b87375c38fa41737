"""Batches of JSON-RPC calls: in order whatever the node's order, and nonsense is an error."""

import json

import aiohttp
import pytest
from aiohttp import web

from steelyard.ledger.errors import NodeUnavailable
from steelyard.ledger.jsonrpc import JsonRpc, NodeError, NodeUnreached


@pytest.fixture
async def node():
    """A node whose answer to a batch is what `answer` makes of the requests."""

    class Served:
        def __init__(self) -> None:
            self.answer = lambda requests: [
                {"id": one["id"], "result": one["params"][0]} for one in requests
            ]
            self.batches = []
            self.cut = 0

        async def serve(self, request):
            requests = json.loads(await request.read())
            self.batches.append(requests)
            if self.cut:
                self.cut -= 1
                request.transport.abort()
            return web.Response(text=json.dumps(self.answer(requests)))

    served = Served()
    runner = web.ServerRunner(web.Server(served.serve, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        served.rpc = JsonRpc(session, url, "one", 5)
        yield served
    await runner.cleanup()


async def test_results_come_in_the_order_of_the_calls(node):
    """A server may answer a batch in any order."""
    straight = node.answer
    node.answer = lambda requests: straight(requests)[::-1]
    assert await node.rpc.call_many("echo", [[1], [2], [3]]) == [1, 2, 3]
    assert len(node.batches) == 1


async def test_no_calls_are_no_exchange(node):
    """An empty batch is an error to a node."""
    assert await node.rpc.call_many("echo", []) == []
    assert node.batches == []


async def test_a_broken_connection_is_tried_again_once(node):
    """Calls that change nothing may be repeated; twice broken is a problem."""
    node.cut = 1
    assert await node.rpc.call_many("echo", [[1]]) == [1]
    node.cut = 2
    with pytest.raises(NodeUnavailable, match="broke during echo"):
        await node.rpc.call_many("echo", [[1]])


async def test_a_refused_call_is_the_nodes_error(node):
    """One of the batch, or the batch as a whole."""
    error = {"code": -32000, "message": "no"}
    node.answer = lambda requests: [{"id": one["id"], "error": error} for one in requests]
    with pytest.raises(NodeError) as caught:
        await node.rpc.call_many("echo", [[1]])
    assert caught.value.code == -32000
    node.answer = lambda _: {"id": None, "error": error}
    with pytest.raises(NodeError):
        await node.rpc.call_many("echo", [[1]])


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        None,
        7,
        "x",
        [7],
        [{"id": []}],
        [{"id": "1", "result": 1}],
        [{"id": 10**9, "result": 1}],
    ],
)
async def test_nonsense_is_a_problem(node, answer):
    """Answers that are missing, of other calls, or no answers."""
    node.answer = lambda _: answer
    with pytest.raises(NodeUnavailable, match="no JSON-RPC"):
        await node.rpc.call_many("echo", [[1]])


async def test_nobody_there_is_said_at_once(session):
    """No connection, no second try."""
    with pytest.raises(NodeUnreached):
        await JsonRpc(session, "http://127.0.0.1:9", "one", 5).call_many("echo", [[1]])
