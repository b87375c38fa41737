"""Who is let in: certificates of a real authority over real connections."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from gateway_world import Certificates, call
from steelyard.errors import ConfigurationError
from steelyard.gateway.trust import MutualTls
from steelyard.pki.authority import Authority
from steelyard.pki.profiles import client_profile

STORED = {"payload": "YQ==", "from": "YQ=="}


async def test_a_listed_client_is_let_in_over_tls_1_3(open_gateway, ask, issued, node):
    """By address and by name; with TLS 1.2 nobody is."""
    url = await open_gateway()
    client = await ask(url)
    for place in (url, url.replace("127.0.0.1", "localhost")):
        async with client.session.post(f"{place}/one/rpc", json=call()) as response:
            assert response.status == 200
    context = issued.context(issued.client("platform"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), ssl=context)


@pytest.mark.parametrize("kind", ["none", "another authority", "a server's", "expired", "unborn"])
async def test_a_certificate_that_is_no_good_opens_nothing(
    open_gateway, ask, issued, node, tmp_path, kind
):
    """The handshake fails: not even a path is looked at."""
    shown = None
    if kind == "another authority":
        stranger = Authority.create(tmp_path / "stranger", "Consortium")
        shown = stranger.issue_client("platform", tmp_path)
    elif kind == "a server's":
        shown = issued.authority.issue_server("platform", ["localhost"], tmp_path)
    elif kind != "none":
        shown = issued.authority.issue_client("platform", tmp_path)
        key = load_pem_private_key(shown.key_path.read_bytes(), None)
        start = datetime.now(UTC) + timedelta(days=30 if kind == "unborn" else -0.5)
        life = 1 if kind == "unborn" else 0.25
        odd = issued.authority.sign(
            client_profile("platform"), key.public_key(), days=life, not_before=start
        )
        shown.certificate_path.write_bytes(odd.public_bytes(Encoding.PEM))
    client = await ask(await open_gateway(), shown)
    with pytest.raises(aiohttp.ClientError):
        await client.rpc(call())
    assert node.came == []


async def test_a_name_that_is_not_listed_is_refused(open_gateway, ask, node):
    """403 for every path alike, and the connection ends."""
    client = await ask(await open_gateway(), "somebody")
    for name in ("one", "nowhere"):
        url = f"{client.url}/{name}/rpc"
        async with client.session.post(url, json=call()) as response:
            assert (response.status, response.headers["Steelyard-Outcome"]) == (403, "unreached")
            assert response.headers["Connection"] == "close"
    assert node.came == []


async def test_a_client_has_its_nodes_only(open_gateway, ask, node):
    """Another's node is answered like one that is not there."""
    verifier = await ask(await open_gateway(), "verifier")
    assert (await verifier.rpc(call()))[0] == 200
    answers = [await verifier.rpc(call(), node=name) for name in ("two", "three")]
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert len(node.came) == 1


async def test_a_client_that_may_only_read_sends_nothing(open_gateway, ask, node):
    """No transaction and no payload; looking at the privacy manager is reading."""
    verifier = await ask(await open_gateway(), "verifier")
    for method, params in (
        ("eth_sendRawTransaction", ["0x1"]),
        ("eth_sendRawPrivateTransaction", ["0x1", {"privateFor": []}]),
    ):
        _, answer = await verifier.rpc(call(method, params))
        assert answer["error"]["code"] == -32601
    url = f"{verifier.url}/one/tessera"
    async with verifier.session.post(f"{url}/storeraw", json=STORED) as response:
        assert (response.status, response.headers["Steelyard-Outcome"]) == (403, "unreached")
    assert node.came == []
    async with verifier.session.get(f"{url}/keys") as response:
        assert response.status == 200


async def _until(condition) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_revoked_certificate_is_refused_at_once(open_gateway, ask, certificates, node):
    """On a new connection in the handshake, on an open one at its next request."""
    url = await open_gateway(certificates, reload_seconds=0.02)
    client = await ask(url, "platform", certificates)
    assert (await client.rpc(call()))[0] == 200
    assert certificates.authority.revoke(certificates.client("platform").certificate)

    async def refused() -> bool:
        try:
            status, _ = await client.rpc(call())
        except aiohttp.ClientError:
            return True
        return status == 403

    await _until(refused)
    came = len(node.came)
    fresh = await ask(url, certificates.client("platform"), certificates)
    with pytest.raises(aiohttp.ClientError):
        await fresh.rpc(call())
    # By a name too: then the client names the server in its hello.
    fresh.url = url.replace("127.0.0.1", "localhost")
    with pytest.raises(aiohttp.ClientError):
        await fresh.rpc(call())
    assert len(node.came) == came
    # Another client of the same authority goes on.
    verifier = await ask(url, "verifier", certificates)
    assert (await verifier.rpc(call()))[0] == 200


async def test_an_open_connection_ends_when_its_certificate_is_revoked(
    open_gateway, ask, certificates, node
):
    """Its next request is answered by 403 and not passed on."""
    url = await open_gateway(certificates, reload_seconds=0.02)
    client = await ask(url, "platform", certificates)
    statuses = [(await client.rpc(call()))[0]]
    certificates.authority.revoke(certificates.client("platform").certificate)
    async with asyncio.timeout(20):
        while statuses[-1] == 200:
            statuses.append((await client.rpc(call()))[0])
    assert statuses[-1] == 403
    assert len(node.came) == len(statuses) - 1


async def test_the_gateways_own_certificate_is_renewed(open_gateway, ask, certificates, tmp_path):
    """New connections see the new one; the clients of the old one go on."""
    url = await open_gateway(certificates, reload_seconds=0.02)
    old = await ask(url, "platform", certificates)
    assert (await old.rpc(call()))[0] == 200
    renewed = certificates.authority.issue_server("gateway", ["127.0.0.1"], tmp_path)
    for fresh, known in (
        (renewed.certificate_path, certificates.server.certificate_path),
        (renewed.key_path, certificates.server.key_path),
    ):
        fresh.replace(known)

    async def seen() -> bool:
        port = int(url.rpartition(":")[2])
        context = certificates.context(certificates.client("platform"))
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        shown = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        return int(shown, 16) == renewed.serial_number

    await _until(seen)
    assert (await old.rpc(call()))[0] == 200


async def test_files_that_do_not_fit_leave_the_old_ones_in_use(certificates):
    """A list cut off, or another authority's, neither opens nor shuts the door."""
    tls = MutualTls(certificates.settings([NODE], [CLIENT]))
    list_file = certificates.authority.crl_path
    good = list_file.read_bytes()
    other = Authority.create(certificates.directory / "other", "Consortium")
    shown = certificates.client("platform").certificate.public_bytes(Encoding.DER)
    for bad in (b"", good[:80], other.crl_path.read_bytes(), good * 2):
        list_file.write_bytes(bad)
        assert not tls.reload_if_changed()
        assert tls.name_of(shown) == "platform"
    list_file.unlink()
    assert not tls.reload_if_changed()
    list_file.write_bytes(good)
    certificates.authority.revoke(certificates.client("platform").certificate)
    assert tls.reload_if_changed()
    with pytest.raises(Exception, match="revoked"):
        tls.name_of(shown)


NODE = {"name": "one", "rpc_url": "http://127.0.0.1:1", "tessera": "unix:/run/tessera.sock"}
CLIENT = {"name": "platform", "nodes": ["one"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_ca_file": "crl"}, "client_ca_file"),
        ({"client_crl_file": "ca"}, "client_crl_file"),
        ({"client_crl_file": "missing"}, "cannot be read"),
        ({"private_key": "ca"}, "private_key"),
    ],
)
def test_files_that_are_no_good_are_named_at_the_start(issued: Certificates, changes, words):
    """Nothing is served with them."""
    files = {
        "crl": issued.authority.crl_path,
        "ca": issued.authority.certificate_path,
        "missing": issued.directory / "missing",
    }
    named = {name: files[file] for name, file in changes.items()}
    with pytest.raises(ConfigurationError, match=words):
        MutualTls(issued.settings([NODE], [CLIENT], **named))
