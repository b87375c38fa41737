"""JSON-RPC over HTTP, as geth's server does it."""

import json
import sys

import pytest

JSON = {"Content-Type": "application/json"}


async def post(session, client, body, headers=JSON):
    async with session.post(client.nodes[0]["rpc_url"], data=body, headers=headers) as response:
        return response.status, await response.read()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ('{"jsonrpc":"2.0","id":1,"method":"net_version"}', {"id": 1, "result": "1337"}),
        ('{"id":"abc","method":"net_version","params":null}', {"id": "abc", "result": "1337"}),
        ('{"id":null,"method":"net_version","params":[]}', {"id": None, "result": "1337"}),
        (
            '{"jsonrpc":"2.0","id":7,"method":',
            {"id": None, "error": {"code": -32700, "message": "parse error"}},
        ),
        ('"hello"', {"id": None, "error": {"code": -32600, "message": "invalid request"}}),
        ("17", {"id": None, "error": {"code": -32600, "message": "invalid request"}}),
        ("{}", {"id": None, "error": {"code": -32600, "message": "invalid request"}}),
        ("[]", {"id": None, "error": {"code": -32600, "message": "empty batch"}}),
        (
            '{"id":1,"method":"net_version","params":{}}',
            {"id": 1, "error": {"code": -32602, "message": "non-array args"}},
        ),
        (
            '{"id":1,"method":"net_version","params":[1]}',
            {"id": 1, "error": {"code": -32602, "message": "too many arguments, want at most 0"}},
        ),
        (
            '{"id":1,"method":"admin_peers"}',
            {
                "id": 1,
                "error": {
                    "code": -32601,
                    "message": "the method admin_peers does not exist/is not available",
                },
            },
        ),
    ],
)
async def test_single_requests(session, client, body, answer):
    """Each request has its answer, or its error with geth's code and words."""
    status, content = await post(session, client, body)
    assert status == 200
    assert json.loads(content) == {"jsonrpc": "2.0", **answer}


async def test_batches(session, client):
    """Answers come in order; junk gets an error, a notification nothing."""
    body = json.dumps(
        [
            {"jsonrpc": "2.0", "id": 1, "method": "net_version"},
            1,
            {"jsonrpc": "2.0", "method": "net_version"},
            {"jsonrpc": "2.0", "id": 2, "method": "eth_nope"},
        ]
    )
    _, content = await post(session, client, body)
    first, junk, unknown = json.loads(content)
    assert first["result"] == "1337"
    assert junk["error"] == {"code": -32600, "message": "invalid request"}
    assert (unknown["id"], unknown["error"]["code"]) == (2, -32601)


async def test_notifications_and_empty_bodies_get_nothing(session, client):
    """An empty answer with status 200."""
    for body in ('{"jsonrpc":"2.0","method":"net_version"}', "", " "):
        assert await post(session, client, body) == (200, b"")


async def test_what_is_not_json_rpc(session, client):
    """Other types, methods, paths, names and sizes are refused by HTTP status."""
    url = client.nodes[0]["rpc_url"]
    call = '{"id":1,"method":"net_version"}'
    text = {"Content-Type": "text/plain"}
    assert (await post(session, client, call, text))[0] == 415
    assert (await post(session, client, call, {**JSON, "Host": "evil.example"}))[0] == 403
    assert (await post(session, client, call, {**JSON, "Host": "localhost:1"}))[0] == 200
    assert (await post(session, client, b" " * (5 * 1024 * 1024 + 1)))[0] == 413
    async with session.get(url) as response:
        assert (response.status, await response.read()) == (200, b"")
    async with session.put(url, data=call, headers=JSON) as response:
        assert response.status == 405
    async with session.post(url + "/rpc", data=call, headers=JSON) as response:
        assert response.status == 404


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


async def test_a_large_batch_is_not_nested(session, client):
    """Many calls side by side are answered; brackets in a text are no nesting."""
    call = {"jsonrpc": "2.0", "id": '[[{{\\"[[' * 100, "method": "net_version", "params": []}
    _, content = await post(session, client, json.dumps([call] * 500))
    answers = json.loads(content)
    assert len(answers) == 500
    assert answers[-1] == {"jsonrpc": "2.0", "id": call["id"], "result": "1337"}


async def test_simple_questions(client):
    """What a client asks first."""
    answers = {
        "net_version": "1337",
        "eth_chainId": "0x539",
        "net_peerCount": "0x2",
        "net_listening": True,
        "eth_syncing": False,
        "eth_gasPrice": "0x0",
        "eth_accounts": [],
    }
    for method, answer in answers.items():
        assert await client.result(0, method) == answer
    assert "sandbox" in (await client.result(0, "web3_clientVersion")).lower()
    assert int(await client.result(0, "eth_blockNumber"), 16) >= 0
    assert await client.result(0, "eth_getBalance", "0x" + "77" * 20, "latest") == "0x0"


@pytest.mark.parametrize(
    ("digest", "message"),
    [
        ("0x" + "ab" * 32, "Expected a Quorum digest of length 64, but got 32"),
        ("0xzz", "encoding/hex: invalid byte: U+007A 'z'"),
        ("", "Invalid digest hex"),
    ],
)
async def test_digests_that_are_none(client, digest, message):
    """eth_getQuorumPayload says what is wrong."""
    error = await client.error(0, "eth_getQuorumPayload", digest)
    assert error == {"code": -32000, "message": message}
    assert await client.result(0, "eth_getQuorumPayload", "0x" + "ab" * 64) == "0x"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"blockHash": "0x" + "22" * 32}, (-32000, "unknown block")),
        (
            {"blockHash": "0x" + "22" * 32, "fromBlock": "0x0"},
            (
                -32602,
                (
                    "invalid argument 0: cannot specify both BlockHash and FromBlock/ToBlock, "
                    "choose one or the other"
                ),
            ),
        ),
        (
            {"address": "0x12"},
            (
                -32602,
                (
                    "invalid argument 0: invalid address: hex has invalid length 1 after decoding; "
                    "expected 20 for address"
                ),
            ),
        ),
    ],
)
async def test_log_queries_that_are_wrong(client, query, error):
    """eth_getLogs says what is wrong."""
    found = await client.error(0, "eth_getLogs", query)
    assert (found["code"], found["message"]) == error


async def test_log_ranges_without_blocks(client):
    """From above to, and from the future: nothing."""
    for query in ({"fromBlock": "0x9", "toBlock": "0x1"}, {"fromBlock": "0xffffff"}, {}):
        assert await client.result(0, "eth_getLogs", query) == []
