"""What reaches a node through the gateway, and how its answers come back."""

import asyncio
import json
import socket
from base64 import b64encode

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from gateway_world import PARAMS, call

OUTCOME = "Steelyard-Outcome"
FORBIDDEN = [
    "admin_addPeer",
    "admin_nodeInfo",
    "admin_peers",
    "admin_startHTTP",
    "debug_setHead",
    "debug_traceTransaction",
    "eth_accounts",
    "eth_getStorageAt",
    "eth_sendTransaction",
    "eth_sendTransactionAsync",
    "eth_sign",
    "eth_storageRoot",
    "eth_subscribe",
    "istanbul_discard",
    "istanbul_propose",
    "miner_setGasPrice",
    "miner_start",
    "miner_stop",
    "net_peerCount",
    "personal_importRawKey",
    "personal_listAccounts",
    "personal_sendTransaction",
    "personal_unlockAccount",
    "quorumExtension_extendContract",
    "quorumPermission_addOrg",
    "raft_addPeer",
    "raft_removePeer",
    "rpc_modules",
    "txpool_content",
    "txpool_inspect",
]


@pytest.mark.parametrize("method", sorted(PARAMS))
async def test_a_method_of_the_list_reaches_the_node(platform, node, method):
    """As it was sent, and the answer comes back."""
    status, answer = await platform.rpc(call(method, PARAMS[method]))
    assert (status, answer) == (200, {"jsonrpc": "2.0", "id": 1, "result": "0x1"})
    assert node.bodies == [call(method, PARAMS[method])]


async def test_no_other_method_reaches_the_node(platform, node):
    """-32601, alone and within a batch."""
    for method in FORBIDDEN:
        status, answer = await platform.rpc(call(method, []))
        assert (status, answer["error"]["code"]) == (200, -32601)
        status, answers = await platform.rpc([call(id=1), call(method, [], id=2)])
        assert [one["error"]["code"] for one in answers] == [-32600, -32601]
    assert node.came == []


async def test_a_batch_goes_as_one(platform, node):
    """One exchange with the node for one with the client."""
    batch = [call("eth_getCode", ["0x1", "latest"], id=number) for number in range(250)]
    status, answers = await platform.rpc(batch)
    assert status == 200
    assert [one["id"] for one in answers] == list(range(250))
    assert node.bodies == [batch]


async def test_nothing_of_the_clients_headers_or_query_is_passed_on(platform, node):
    """The request to the node is the gateway's own."""
    headers = {"Content-Type": "application/json", "Cookie": "a=b", "X-Forwarded-Host": "evil"}
    async with platform.session.post(
        f"{platform.url}/one/rpc?x=1", json=call(), headers=headers
    ) as response:
        assert response.status == 200
    ((_, path, _),) = node.came
    assert path == "/"
    assert set(node.headers[0]) == {
        "Host", "Accept", "Accept-Encoding", "User-Agent", "Content-Type", "Content-Length"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/one/rpc"),
        ("POST", "/one"),
        ("POST", "/"),
        ("POST", "/one/rpc/"),
        ("POST", "/one/rpc/x"),
        ("POST", "/one/tessera/send"),
        ("POST", "/one/tessera/sendsignedtx"),
        ("POST", "/one/tessera/upcheck"),
        ("GET", "/one/tessera/storeraw"),
        ("GET", "/one/tessera/transaction/abc"),
        ("GET", "/one/tessera/receive"),
        ("GET", "/one/tessera/partyinfo"),
        ("GET", "/one/tessera/config/peers"),
        ("GET", "/one/tessera/keys/../transaction/abc"),
        ("GET", "/one/tessera/keys%2f..%2fversion"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
        ("POST", "/three/rpc"),
        ("POST", "/%2e%2e/rpc"),
    ],
)
async def test_no_other_path_reaches_anything(platform, node, method, path):
    """404 or 405, and the word that the node has not seen it."""
    url = URL(platform.url + path, encoded=True)
    async with platform.session.request(method, url, json=call()) as response:
        assert response.status in {404, 405}
        assert response.headers[OUTCOME] == "unreached"
        assert response.content_type == "application/problem+json"
    assert node.came == []


async def test_the_privacy_manager_has_three_calls(platform, node):
    """A payload is stored, and two are for looking."""

    async def answer(request, body):
        if request.path == "/storeraw":
            return web.json_response({"key": "abc"})
        return web.Response(text=f"told {request.path}")

    node.answer = answer
    stored = {"payload": b64encode(b"secret").decode(), "from": b64encode(bytes(32)).decode()}
    async with platform.session.post(f"{platform.url}/one/tessera/storeraw", json=stored) as got:
        assert (got.status, await got.json()) == (200, {"key": "abc"})
    for path in ("upcheck", "keys"):
        async with platform.session.get(f"{platform.url}/one/tessera/{path}") as got:
            assert await got.text() == f"told /{path}"
    assert [path for _, path, _ in node.came] == ["/storeraw", "/upcheck", "/keys"]
    assert node.bodies == [stored]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload":"YQ=="}',
        b'{"payload":"YQ==","from":"YQ==","to":["x"]}',
        b'{"payload":"YQ==","from":"YQ==","payload":"Yg=="}',
        b'{"payload":"not base64","from":"YQ=="}',
        '{"payload":"YQ==é","from":"YQ=="}'.encode(),
        b'{"payload":5,"from":"YQ=="}',
        b'{"payload":null,"from":"YQ=="}',
    ],
)
async def test_a_payload_that_is_none_does_not_pass(platform, node, body):
    """400, and it is not said what was in it."""
    headers = {"Content-Type": "application/json"}
    url = f"{platform.url}/one/tessera/storeraw"
    async with platform.session.post(url, data=body, headers=headers) as response:
        assert response.status == 400
        assert response.headers[OUTCOME] == "unreached"
    assert node.came == []


async def test_a_body_that_is_too_large_reaches_nothing(open_gateway, ask, node):
    """With its length told or not, for both servers; the largest that may be passes."""
    client = await ask(await open_gateway(max_body_bytes=2048))
    large = json.dumps(call(params=["x" * 2048])).encode()

    async def pieces():
        yield large

    for path in ("rpc", "tessera/storeraw"):
        for data in (large, pieces()):
            url = f"{client.url}/one/{path}"
            headers = {"Content-Type": "application/json"}
            async with client.session.post(url, data=data, headers=headers) as response:
                assert response.status == 413
                assert response.headers[OUTCOME] == "unreached"
    assert node.came == []
    fits = json.dumps(call("eth_getQuorumPayload", ["x"])).encode()
    _, answer = await client.rpc(fits + b" " * (2048 - len(fits)))
    assert answer["result"] == "0x1"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_another_kind_of_body_is_refused(platform, node, headers):
    """415: nothing is guessed and nothing unpacked."""
    status, _ = await platform.rpc(json.dumps(call()).encode(), headers=headers)
    assert status == 415
    assert node.came == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"x","data":"0x12"}}'),
        (200, b""),
        (413, b"request body too large"),
        (500, b"\xff\x00"),
        (503, b"<html>"),
        (302, b"elsewhere"),
    ],
)
async def test_an_answer_comes_back_as_it_was(platform, node, status, body):
    """Status, bytes and type are the node's, and no header says that they are not."""

    async def answer(*_):
        headers = {"Location": "http://127.0.0.1/evil", "Set-Cookie": "a=b", OUTCOME: "unreached"}
        return web.Response(status=status, body=body, content_type="text/odd", headers=headers)

    node.answer = answer
    url = f"{platform.url}/one/rpc"
    async with platform.session.post(url, json=call(), allow_redirects=False) as response:
        assert (response.status, await response.read()) == (status, body)
        assert response.content_type == "text/odd"
        assert not {OUTCOME, "Location", "Set-Cookie"} & set(response.headers)


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_large_answer_is_streamed(platform, node, chunked):
    """Ten megabytes, of which the gateway never holds more than a little."""
    piece = bytes(range(256)) * 4096

    async def answer(request, _):
        response = web.StreamResponse()
        if not chunked:
            response.content_length = 10 * len(piece)
        await response.prepare(request)
        for _ in range(10):
            await response.write(piece)
        return response

    node.answer = answer
    async with platform.session.post(f"{platform.url}/one/rpc", json=call()) as response:
        assert await response.read() == piece * 10


@pytest.mark.parametrize("told", [True, False])
async def test_an_answer_without_an_end_is_cut_off(open_gateway, ask, node, told):
    """Refused when its length is told, else cut: it never looks complete."""

    async def answer(request, _):
        response = web.StreamResponse()
        if told:
            response.content_length = 400_000
        await response.prepare(request)
        for _ in range(4):
            await response.write(bytes(100_000))
        return response

    node.answer = answer
    client = await ask(await open_gateway(max_answer_bytes=150_000))
    if told:
        async with client.session.post(f"{client.url}/one/rpc", json=call()) as response:
            assert (response.status, response.headers[OUTCOME]) == (504, "unknown")
        return
    with pytest.raises(aiohttp.ClientError):
        async with client.session.post(f"{client.url}/one/rpc", json=call()) as response:
            await response.read()


async def test_a_node_that_is_away_has_certainly_not_seen_it(open_gateway, ask, node):
    """502 with the word for it: JSON-RPC and privacy manager, a port and a socket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
        nodes = [{"name": "one", "rpc_url": gone, "tessera": "unix:/nowhere/tessera.sock"}]
        client = await ask(await open_gateway(nodes=nodes))
        stored = {"payload": "YQ==", "from": "YQ=="}
        for path, body in (("rpc", call()), ("tessera/storeraw", stored)):
            url = f"{client.url}/one/{path}"
            async with client.session.post(url, json=body) as response:
                assert (response.status, response.headers[OUTCOME]) == (502, "unreached")
                problem = await response.json()
                assert problem["type"] == "urn:steelyard:problem:node-unreachable"
                assert gone not in problem["detail"]


async def test_a_node_that_breaks_off_may_have_acted(platform, node):
    """504 and `unknown`, when the connection ends before an answer or in its head."""

    async def answer(request, _):
        request.transport.abort()
        return web.Response()

    node.answer = answer
    async with platform.session.post(f"{platform.url}/one/rpc", json=call()) as response:
        assert (response.status, response.headers[OUTCOME]) == (504, "unknown")
    assert len(node.came) == 1  # nothing is sent twice on its own


async def test_half_an_answer_never_looks_whole(platform, node):
    """A short one becomes `unknown`; of a long one, the connection is cut."""
    for size, seen in ((1_000, False), (500_000, True)):

        async def answer(request, _, size=size):
            response = web.StreamResponse()
            response.content_length = size + 1
            await response.prepare(request)
            await response.write(bytes(size))
            await asyncio.sleep(0)
            request.transport.close()
            return response

        node.answer = answer
        if seen:
            with pytest.raises(aiohttp.ClientError):
                await platform.rpc(call())
            continue
        async with platform.session.post(f"{platform.url}/one/rpc", json=call()) as response:
            assert (response.status, response.headers[OUTCOME]) == (504, "unknown")


async def test_a_node_that_hangs_may_have_acted(open_gateway, ask, node, hold):
    """After `answer_seconds` it is given up."""
    client = await ask(await open_gateway(answer_seconds=0.2))
    async with client.session.post(f"{client.url}/one/rpc", json=call()) as response:
        assert (response.status, response.headers[OUTCOME]) == (504, "unknown")
    hold.set()


async def test_a_client_that_asks_too_much_waits_for_itself_alone(open_gateway, ask, node, hold):
    """Its further requests are refused after a while; another client's and node's go on."""
    url = await open_gateway(max_in_flight=2, wait_seconds=0.1)
    client, other = await ask(url), await ask(url, "verifier")
    first = [asyncio.create_task(client.rpc(call())) for _ in range(2)]
    await node.has_seen(2)
    async with client.session.post(f"{url}/one/rpc", json=call()) as response:
        assert (response.status, response.headers[OUTCOME]) == (503, "unreached")
        assert response.headers["Retry-After"] == "1"
    beside = [
        asyncio.create_task(other.rpc(call())),
        asyncio.create_task(client.rpc(call(), node="two")),
    ]
    await node.has_seen(4)
    hold.set()
    assert [status for status, _ in await asyncio.gather(*first, *beside)] == [200] * 4
    assert len(node.came) == 4


async def test_a_request_whose_client_left_while_it_waited_is_not_sent(
    open_gateway, ask, node, hold
):
    """What comes late would be a surprise: the client has begun to look what became of it."""
    url = await open_gateway(max_in_flight=1, wait_seconds=20)
    client, hurried = await ask(url), await ask(url)
    first = asyncio.create_task(client.rpc(call(id=1)))
    await node.has_seen(1)
    with pytest.raises(TimeoutError):
        await hurried.rpc(call(id=2), timeout=aiohttp.ClientTimeout(total=0.1))
    await asyncio.sleep(0.1)
    hold.set()
    await first
    assert (await client.rpc(call(id=3)))[0] == 200
    assert [one["id"] for one in node.bodies] == [1, 3]


async def test_large_bodies_have_a_bound_together(open_gateway, ask, node, hold):
    """What is over it is refused before it is read."""
    url = await open_gateway(max_body_bytes=2048, max_held_bytes=3000)
    client = await ask(url)
    large = json.dumps(call("eth_getQuorumPayload", ["x" * 1900])).encode()
    first = asyncio.create_task(client.rpc(large))
    await node.has_seen(1)
    status, problem = await client.rpc(large)
    assert (status, problem["type"]) == (503, "urn:steelyard:problem:gateway-busy")
    hold.set()
    assert (await first)[0] == 200
    assert (await client.rpc(large))[0] == 200
