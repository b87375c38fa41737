"""JSON-RPC over HTTP, as geth's server does it, on every engine."""

import json

import pytest

JSON = {"Content-Type": "application/json"}
SHORT_TOPIC = "hex has invalid length 0 after decoding; expected 32 for topic"


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
        ('{"id":5}', {"id": 5, "error": {"code": -32600, "message": "invalid request"}}),
        (
            '{"id":5,"method":7}',
            {"id": 5, "error": {"code": -32600, "message": "invalid request"}},
        ),
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
    """An empty answer with status 200; so does an answer to nothing."""
    answer = '{"jsonrpc":"2.0","id":1,"result":"0x1"}'
    for body in ('{"jsonrpc":"2.0","method":"net_version"}', "", " ", answer):
        assert await post(session, client, body) == (200, b"")


async def test_what_is_not_json_rpc(session, client):
    """Other types, methods, paths, names and sizes are refused by HTTP status."""
    url = client.nodes[0]["rpc_url"]
    call = '{"id":1,"method":"net_version"}'
    text = {"Content-Type": "text/plain"}
    assert (await post(session, client, call, text))[0] == 415
    assert (await post(session, client, call, {**JSON, "Host": "evil.example"}))[0] == 403
    assert (await post(session, client, call, {**JSON, "Host": "localhost:1"}))[0] == 200
    other = {"Content-Type": "application/json-rpc"}
    assert (await post(session, client, call, other))[0] == 200
    async with session.get(url) as response:
        assert (response.status, await response.read()) == (200, b"")
    for method, status in (("PUT", 405), ("DELETE", 405), ("OPTIONS", 200), ("PATCH", 200)):
        async with session.request(method, url, data=call, headers=JSON) as response:
            assert response.status == status, method
    async with session.post(url + "/rpc", data=call, headers=JSON) as response:
        assert response.status == 404


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
    assert "quorum-v" in await client.result(0, "web3_clientVersion")
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
        ({"address": [7]}, (-32602, "invalid argument 0: non-string address at index 0")),
        ({"topics": ["0x"]}, (-32602, f"invalid argument 0: {SHORT_TOPIC}")),
        ({"topics": [7]}, (-32602, "invalid argument 0: invalid topic(s)")),
        ({"fromBlock": 7}, (-32602, "invalid argument 0: hex string without 0x prefix")),
    ],
)
async def test_log_queries_that_are_wrong(client, query, error):
    """eth_getLogs says what is wrong."""
    found = await client.error(0, "eth_getLogs", query)
    assert (found["code"], found["message"]) == error


async def test_log_ranges_without_blocks(client):
    """From above to, and from the future: nothing."""
    nobody = {"address": "0x" + "77" * 20}
    for blocks in ({"fromBlock": "0x9", "toBlock": "0x1"}, {"fromBlock": "0xffffff"}, {}):
        assert await client.result(0, "eth_getLogs", nobody | blocks) == []
