"""The two HTTP clients and the meaning of a node's refusals."""

import json
from base64 import b64encode

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from steelyard.ledger.errors import (
    NodeUnavailable,
    PartyUnreachable,
    PrivacyManagerUnavailable,
    TransactionFailed,
)
from steelyard.ledger.jsonrpc import JsonRpc, NodeError, NodeUnreached
from steelyard.ledger.node import Node
from steelyard.ledger.refusals import Verdict, judge, problem_of
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.tessera import Tessera


@pytest.fixture
async def serve(session):
    """Starts a server that answers every request with a body and a status."""
    runners = []

    async def start(body: bytes, status: int = 200) -> str:
        async def handle(_: web.BaseRequest) -> web.Response:
            return web.Response(body=body, status=status)

        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"not json", 200),
        (b"[]", 200),
        (b"{}", 200),
        (b"\xff", 200),
        (b"<html>gateway", 502),
        (b"content length too large", 413),
    ],
)
async def test_an_answer_that_is_no_json_rpc_is_a_failing_node(serve, session, body, status):
    """Whatever comes back instead of JSON-RPC, it is a node that does not answer."""
    rpc = JsonRpc(session, await serve(body, status), "node-1", 5)
    with pytest.raises(NodeUnavailable, match="node-1") as caught:
        await rpc.call("eth_blockNumber")
    assert not isinstance(caught.value, NodeError | NodeUnreached)


async def test_an_error_answer_keeps_its_parts_and_hides_its_words(serve, session):
    """Code, message and data are there for the room; the sentence shows none of them."""
    error = {"code": 3, "message": "execution reverted: secret", "data": "0x12"}
    url = await serve(json.dumps({"id": 1, "error": error}).encode())
    with pytest.raises(NodeError) as caught:
        await JsonRpc(session, url, "node-1", 5).call("eth_call", "payload")
    assert (caught.value.code, caught.value.data) == (3, "0x12")
    assert caught.value.is_revert
    assert "secret" not in str(caught.value)
    assert "payload" not in str(caught.value)


@pytest.mark.parametrize("result", [7, "12", "0x", "zz", [], {}, None, True])
async def test_nonsense_from_a_node_is_a_failing_node(serve, session, result):
    """Answers of a wrong type never surface as a KeyError or a ValueError."""
    url = await serve(json.dumps({"id": 1, "result": result}).encode())
    node = Node(JsonRpc(session, url, "node-1", 5), "node-1")
    questions = [node.block_number]
    if result != {} and result is not None:
        questions += [lambda: node.mined("0x1"), lambda: node.transaction("0x1")]
    if result != []:
        questions.append(lambda: node.registered_in("0x1", 1))
    if result != "0x":
        questions.append(lambda: node.code("0x1"))
    for question in questions:
        with pytest.raises(NodeUnavailable):
            await question()


async def test_no_connection_is_certainly_not_delivered(session):
    """A refused connection, a bad host and a bad URL are told apart from a lost answer."""
    for url in ("http://127.0.0.1:9", "http://nowhere.invalid:1", "not a url", "http://[::1"):
        with pytest.raises(NodeUnreached) as caught:
            await JsonRpc(session, url, "node-1", 5).call_once("x", wait=5)
        assert url not in str(caught.value)


async def test_a_broken_connection_is_tried_twice_for_reading_only(proxy, session):
    """A kept-alive connection may be closed under us: reading repeats, sending never does."""
    rpc = JsonRpc(session, proxy.url, "node-1", 5)
    proxy.lose_answers("eth_blockNumber", 1)
    assert int(await rpc.call("eth_blockNumber"), 16) >= 0
    proxy.lose_answers("eth_blockNumber", 1)
    with pytest.raises(NodeUnavailable):
        await rpc.call_once("eth_blockNumber", wait=5)
    assert len(proxy.calls("eth_blockNumber")) == 3


async def test_a_slow_node_is_given_up(proxy, session):
    """Beyond its time a call is unclear, and says which call it was."""
    gate = proxy.hold("eth_blockNumber")
    with pytest.raises(NodeUnavailable, match="did not answer eth_blockNumber"):
        await JsonRpc(session, proxy.url, "node-1", 0.1).call("eth_blockNumber")
    gate.set()


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"Public key x not found when searching for private key", 404, PartyUnreachable),
        (b"broken", 500, PrivacyManagerUnavailable),
        (b"not json", 200, PrivacyManagerUnavailable),
        (b"{}", 200, PrivacyManagerUnavailable),
        (b"[1]", 200, PrivacyManagerUnavailable),
        (
            json.dumps({"key": b64encode(bytes(63)).decode()}).encode(),
            200,
            PrivacyManagerUnavailable,
        ),
        (json.dumps({"key": "***"}).encode(), 200, PrivacyManagerUnavailable),
        (json.dumps({"key": 5}).encode(), 200, PrivacyManagerUnavailable),
    ],
)
async def test_a_payload_without_a_name_is_not_stored(serve, session, body, status, kind):
    """Only a 64-byte name counts as stored."""
    tessera = Tessera(session, await serve(body, status), "node-1", 5)
    with pytest.raises(kind):
        await tessera.store_raw(b"secret", "key")


async def test_upcheck_never_raises(serve, session):
    """Up only when it says so."""
    assert await Tessera(session, await serve(b"I'm up!"), "n", 5).is_up()
    for url in (await serve(b"down"), await serve(b"I'm up!", 500), "http://127.0.0.1:9", "bad"):
        assert not await Tessera(session, url, "n", 5).is_up()


UNIQUE = (
    '500 status: Unique index or primary key violation: "PUBLIC.PRIMARY_KEY_D ON '
    'PUBLIC.ENCRYPTED_TRANSACTION(HASH) VALUES 2"; SQL statement:\nINSERT INTO'
)
POSTGRESQL = (
    '500 status: ERROR: duplicate key value violates unique constraint "encrypted_transaction_pkey"'
)
# To a Tessera of API version 1 (before 20.10): the text of its answer is not in it.
OLD = (
    "Non-200 status code: &{{Status:{0} StatusCode:{1} Proto:HTTP/1.1 ProtoMajor:1 ProtoMinor:1 "
    "Header:map[Content-Length:[73] Content-Type:[text/plain]] Body:0xc000123}}"
)
MEASURED = [
    ("nonce too low", Verdict.NONCE_USED, None),
    ("replacement transaction underpriced", Verdict.NONCE_USED, None),
    ("already known", Verdict.KNOWN, None),
    (UNIQUE, Verdict.DISTRIBUTED, None),
    (POSTGRESQL, Verdict.DISTRIBUTED, None),
    ("404 status: Recipient not found for key: Bw=", Verdict.REFUSED, PartyUnreachable),
    ('410 status: {\n"message":"Connection error while communicating with http://x/"}',
     Verdict.REFUSED, PartyUnreachable),
    ("500 status: Unable to push payload to recipient url http://x/", Verdict.REFUSED,
     PrivacyManagerUnavailable),
    ("404 status: Raw Transaction with hash V== was not found", Verdict.REFUSED,
     PrivacyManagerUnavailable),
    (OLD.format("404 Not Found", 404), Verdict.REFUSED, PartyUnreachable),
    (OLD.format("500 Internal Server Error", 500), Verdict.UNEXPLAINED, PrivacyManagerUnavailable),
    (OLD.format("503 Service Unavailable", 503), Verdict.REFUSED, PrivacyManagerUnavailable),
    ("intrinsic gas too low", Verdict.REFUSED, TransactionFailed),
    ("exceeds block gas limit", Verdict.REFUSED, TransactionFailed),
    ("txpool is full", Verdict.REFUSED, NodeUnavailable),
]  # fmt: skip


@pytest.mark.parametrize(("message", "verdict", "kind"), MEASURED)
def test_a_refusal_has_the_meaning_that_was_measured(message, verdict, kind):
    """The texts of GoQuorum and Tessera lead to the right next step and the right error."""
    error = NodeError("node-1", "eth_sendRawPrivateTransaction", -32000, message, None)
    assert judge(error) is verdict
    if kind is not None:
        problem = problem_of(error, "node-1")
        assert type(problem) is kind
        assert "Bw=" not in str(problem)


@given(st.text(max_size=60))
def test_an_unknown_refusal_leaves_the_nonce_free(message):
    """Any other text is a refusal with a named error."""
    error = NodeError("node-1", "x", 0, "~" + message.replace("n", ""), None)
    assert judge(error) in Verdict
    assert str(problem_of(error, "node-1"))


def test_settings_stay_below_the_block_gas_limit():
    """The largest batch's gas fits into GoQuorum's default block gas limit."""
    settings = LedgerSettings()
    most = settings.gas_base + 200 * settings.gas_per_ticket
    assert max(most, settings.gas_deploy) < 700_000_000
