"""The ledger's clients before a gateway: what an answer means to them."""

import asyncio
import os

import aiohttp
import pytest
from aiohttp import web

from gateway_world import call, ledger_settings
from steelyard.errors import ConfigurationError
from steelyard.ledger.connections import ClientTls, open_session
from steelyard.ledger.errors import NodeUnavailable, PartyUnreachable, PrivacyManagerUnavailable
from steelyard.ledger.jsonrpc import JsonRpc, NodeError, NodeUnreached
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.tessera import Tessera

SEND = "eth_sendRawTransaction"


@pytest.fixture
async def session(issued):
    async with open_session(ledger_settings(issued, "platform")) as one:
        yield one


async def test_calls_and_errors_come_through(open_gateway, session, node):
    """A node's error is a NodeError with its code, message and data."""
    url = await open_gateway()
    rpc = JsonRpc(session, f"{url}/one/rpc", "one", 5)
    assert await rpc.call("eth_blockNumber") == "0x1"
    assert await rpc.call_many("eth_getCode", [["0x1", "latest"]] * 3) == ["0x1"] * 3

    async def answer(*_):
        error = {"code": -32000, "message": "nonce too low", "data": "0x12"}
        return web.json_response({"jsonrpc": "2.0", "id": 1, "error": error})

    node.answer = answer
    with pytest.raises(NodeError) as caught:
        await rpc.call_once(SEND, "0x1", wait=5)
    assert (caught.value.code, caught.value.message) == (-32000, "nonce too low")


async def test_a_node_that_is_away_is_unreached(open_gateway, session, node):
    """Nothing was sent: the sender's nonce is free, and the same may go again at once."""
    url = await open_gateway()
    await node.stop()
    with pytest.raises(NodeUnreached, match="HTTP 502"):
        await JsonRpc(session, f"{url}/one/rpc", "one", 5).call_once(SEND, "0x1", wait=5)
    tessera = Tessera(session, f"{url}/one/tessera", "one", 5)
    with pytest.raises(PrivacyManagerUnavailable, match="cannot be reached"):
        await tessera.store_raw(b"x", "YQ==")
    assert not await tessera.is_up()
    assert await tessera.keys() == ()


async def test_a_gateway_that_is_away_is_unreached(session, node):
    """So is one that does not take the connection in half of the time."""
    with pytest.raises(NodeUnreached):
        await JsonRpc(session, "https://127.0.0.1:9/one/rpc", "one", 5).call("eth_blockNumber")
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    rpc = JsonRpc(session, f"https://127.0.0.1:{port}/one/rpc", "one", 5)
    with pytest.raises(NodeUnreached):  # no handshake: the request was never written
        # Seconds: where a machine stands still past both limits at once, nobody knows.
        await rpc.call_once(SEND, "0x1", wait=8)
    silent.close()


async def test_a_lost_answer_is_unknown_and_sent_once(open_gateway, session, node):
    """Reading is tried again, as without a gateway; sending never is."""

    async def answer(request, _):
        request.transport.abort()
        return web.Response()

    node.answer = answer
    rpc = JsonRpc(session, f"{await open_gateway()}/one/rpc", "one", 5)
    with pytest.raises(NodeUnavailable) as caught:
        await rpc.call_once(SEND, "0x1", wait=5)
    assert not isinstance(caught.value, NodeUnreached | NodeError)
    assert len(node.came) == 1
    with pytest.raises(NodeUnavailable):
        await rpc.call("eth_blockNumber")
    assert len(node.came) == 3


async def test_what_a_gateway_refuses_was_not_sent(open_gateway, issued, node):
    """A name that is not listed, a node that is not served, a client that may only read."""
    url = await open_gateway()
    for name, place in (("stranger", "one"), ("verifier", "two")):
        async with open_session(ledger_settings(issued, name)) as session:
            rpc = JsonRpc(session, f"{url}/{place}/rpc", "n", 5)
            with pytest.raises(NodeUnreached):
                await rpc.call_once(SEND, "0x1", wait=5)
            with pytest.raises(PrivacyManagerUnavailable) as caught:
                # 404 from a privacy manager means that it has not the key; this 404 does not.
                await Tessera(session, f"{url}/{place}/tessera", "n", 5).store_raw(b"x", "YQ==")
            assert not isinstance(caught.value, PartyUnreachable)
    async with open_session(ledger_settings(issued, "verifier")) as session:
        with pytest.raises(NodeError) as refused:
            await JsonRpc(session, f"{url}/one/rpc", "n", 5).call_once(SEND, "0x1", wait=5)
        assert refused.value.code == -32601
    assert node.came == []


async def test_a_server_that_is_not_the_consortiums_is_not_spoken_to(
    open_gateway, session, certificates, node
):
    """Another authority's gateway gets no request, nor does a name that it does not have."""
    url = await open_gateway(certificates)
    with pytest.raises(NodeUnreached):
        await JsonRpc(session, f"{url}/one/rpc", "one", 5).call("eth_blockNumber")
    other = (await open_gateway()).replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(NodeUnreached):
        await JsonRpc(session, f"{other}/one/rpc", "one", 5).call("eth_blockNumber")
    assert node.came == []


async def test_a_renewed_client_certificate_is_shown(open_gateway, issued, node, tmp_path):
    """New connections show it without a restart; a pair that does not fit is not taken."""
    url = await open_gateway()
    first = issued.authority.issue_client("platform", tmp_path / "first")
    second = issued.authority.issue_client("stranger", tmp_path / "second")
    settings = LedgerSettings(
        ca_file=issued.authority.certificate_path,
        certificate_file=first.certificate_path,
        private_key_file=first.key_path,
    )
    tls = ClientTls(settings)

    async def status() -> int:
        connector = aiohttp.TCPConnector(ssl=tls.context, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"{url}/one/rpc", json=call()) as response,
        ):
            return response.status

    assert await status() == 200
    assert not tls.reload_if_changed()
    os.replace(second.key_path, first.key_path)  # noqa: PTH105
    assert not tls.reload_if_changed()
    assert await status() == 200
    os.replace(second.certificate_path, first.certificate_path)  # noqa: PTH105
    assert tls.reload_if_changed()
    assert await status() == 403


def test_settings_of_the_ledger_are_all_or_none(issued, tmp_path):
    """Two of the three files are a mistake, and so are files that are no PEM."""
    files = issued.ledger_files("platform")
    for name in files:
        file = tmp_path / "config.toml"
        rest = "\n".join(f'{one} = "{path}"' for one, path in files.items() if one != name)
        file.write_text(f"[ledger]\n{rest}\n")
        with pytest.raises(ConfigurationError, match="or none of them"):
            LedgerSettings.load(file)
    with pytest.raises(ConfigurationError, match=r"ledger\.ca_file"):
        ClientTls(LedgerSettings(**files | {"ca_file": files["private_key_file"]}))
    with pytest.raises(ConfigurationError, match="certificate and its"):
        ClientTls(LedgerSettings(**files | {"certificate_file": files["ca_file"]}))
