"""JSON made to exhaust its reader; tests/ledger has what the engines share."""

import json
import sys

import pytest


async def post(session, client, body):
    headers = {"Content-Type": "application/json"}
    async with session.post(client.nodes[0]["rpc_url"], data=body, headers=headers) as response:
        return response.status, await response.read()


@pytest.fixture
def high_recursion_limit():
    """As py_ecc leaves it in a process that has imported eth-account."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


async def test_deep_and_odd_json_is_no_trouble(session, client, high_recursion_limit):
    """Nesting, huge numbers and lone surrogates end in an error of JSON-RPC."""
    for body in (
        "[" * 1_000_000,
        '{"id":1,"method":"net_version","params":' + '[{"a":' * 200_000,
        '{"id":1,"method":"eth_getBlockByNumber","params":[1e999,false]}',
        '{"id":1,"method":"eth_getCode","params":["\\ud800","latest"]}',
        '{"id":' + "9" * 5000 + ',"method":"net_version"}',
        '{"id":{},"method":"net_version"}',
        b'{"id":1,"method":"\xff"}',
    ):
        status, content = await post(session, client, body)
        assert status == 200
        assert "error" in json.loads(content) or "result" in json.loads(content)
