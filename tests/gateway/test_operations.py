"""The command, its settings, its health and metrics, and what it logs."""

import asyncio
import contextlib
import json
import signal
import sys
from base64 import b64encode
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web
from click.testing import CliRunner

from gateway_world import FakeNode, asking, call, serving
from steelyard.cli import steelyard
from steelyard.errors import ConfigurationError
from steelyard.gateway.settings import GatewaySettings

NODE = {"name": "one", "rpc_url": "http://127.0.0.1:22000", "tessera": "unix:/run/tessera.sock"}
CLIENT = {"name": "platform", "nodes": ["*"]}
FILES = {"certificate": "c", "private_key": "k", "client_ca_file": "a"}


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_health_and_metrics_are_on_loopback_alone(open_gateway, ask, node, tmp_path):
    """Over plain HTTP on 127.0.0.1; the counts say who asked what, and what became of it."""
    port_file = tmp_path / "port"
    url = await open_gateway(metrics_port_file=port_file)
    operations = f"http://127.0.0.1:{port_file.read_text().strip()}"
    client = await ask(url)
    await client.rpc(call())
    await client.rpc(call("admin_peers"))
    await client.rpc([call(), call("eth_chainId", id=2)])
    await (await ask(url, "stranger")).rpc(call())

    assert (await fetch(f"{operations}/healthz"))[0] == 200
    assert (await fetch(f"{operations}/readyz"))[0] == 200
    _, text = await fetch(f"{operations}/metrics")
    for client_name, node_name, asked, outcome in (
        ("platform", "one", "eth_blockNumber", "answered"),
        ("platform", "one", "nothing that passes", "refused"),
        ("platform", "one", "several methods", "answered"),
        ("", "", "", "unreached"),
    ):
        labels = (
            f'{{asked="{asked}",client="{client_name}",node="{node_name}",outcome="{outcome}"}}'
        )
        assert f"steelyard_gateway_calls_total{labels} 1.0" in text
    assert "steelyard_gateway_certificate_expiry_timestamp_seconds" in text
    assert "stranger" not in text
    assert "admin_peers" not in text

    await node.stop()
    status, text = await fetch(f"{operations}/readyz")
    assert status == 503
    assert "one: JSON-RPC, one: privacy manager" in text


async def test_a_privacy_manager_on_a_unix_socket(open_gateway, ask, node, tmp_path):
    """The third-party API need not have a port at all."""
    manager = FakeNode()
    place = Path(tmp_path) / "tessera.sock"
    await manager.start(lambda runner: web.UnixSite(runner, str(place)))
    nodes = [{"name": "one", "rpc_url": node.url, "tessera": f"unix:{place}"}]
    client = await ask(await open_gateway(nodes=nodes))
    async with client.session.get(f"{client.url}/one/tessera/upcheck") as response:
        assert await response.text() == "I'm up!"
    assert [path for _, path, _ in manager.came] == ["/upcheck"]
    assert node.came == []
    await manager.stop()


async def test_no_payload_is_logged(open_gateway, ask, node):
    """Neither what was asked, nor what was answered, nor what was refused, at any level."""
    secret = "5ec2e7" * 8

    async def answer(*_):
        return web.Response(text=secret, status=500)

    with structlog.testing.capture_logs() as lines:
        client = await ask(await open_gateway())
        await client.rpc(call("eth_getQuorumPayload", [secret]))
        await client.rpc(call("eth_sendRawTransaction", [secret]))
        await client.rpc(call(secret))
        await client.rpc(f'{{"{secret}'.encode())
        stored = {"payload": b64encode(secret.encode()).decode(), "from": "YQ=="}
        url = f"{client.url}/one/tessera/storeraw"
        await client.session.post(url, json=stored)
        await client.session.post(f"{client.url}/{secret}/rpc?{secret}", json={secret: secret})
        node.answer = answer
        async with client.session.post(url, json=stored) as response:
            assert response.status == 500
    assert len([line for line in lines if line["event"] == "call"]) == 7
    text = json.dumps(lines, default=str)
    assert secret not in text
    assert stored["payload"] not in text
    assert {line["log_level"] for line in lines} == {"debug", "info", "warning"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": [NODE | {"rpc_url": "http://10.0.0.1:22000"}]}, "loopback"),
        ({"nodes": [NODE | {"rpc_url": "http://localhost:22000"}]}, "loopback"),
        ({"nodes": [NODE | {"rpc_url": "https://127.0.0.1:22000"}]}, "loopback"),
        ({"nodes": [NODE | {"rpc_url": "http://127.0.0.1:22000/x"}]}, "loopback"),
        ({"nodes": [NODE | {"rpc_url": "http://127.0.0.1"}]}, "loopback"),
        ({"nodes": [NODE | {"rpc_url": "http://u@127.0.0.1:1"}]}, "loopback"),
        ({"nodes": [NODE | {"tessera": "unix:run/x"}]}, "absolute path"),
        ({"nodes": [NODE | {"tessera": "http://192.0.2.1:9080"}]}, "loopback"),
        ({"nodes": [NODE | {"name": "a/b"}]}, "name"),
        ({"nodes": [NODE, NODE]}, "listed twice"),
        ({"nodes": []}, "nodes"),
        ({"clients": [CLIENT, CLIENT]}, "listed twice"),
        ({"clients": [CLIENT | {"nodes": ["two"]}]}, "no node"),
        ({"clients": [CLIENT | {"readonly": True}]}, "readonly"),
        ({"clients": []}, "clients"),
        ({"max_held_bytes": 4096}, "max_held_bytes"),
    ],
)
def test_settings_that_open_too_much_are_refused(tmp_path, changes, words):
    """In one sentence each."""
    file = tmp_path / "gateway.toml"
    values = {"nodes": [NODE], "clients": [CLIENT], **FILES, **changes}
    file.write_text(f"[gateway]\n{_toml(values)}")
    with pytest.raises(ConfigurationError, match=words):
        GatewaySettings.load(file)


def _toml(values: dict) -> str:
    return "\n".join(f"{name} = {_value(value)}" for name, value in values.items())


def _value(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_value(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value)


def test_the_command_says_what_is_missing(tmp_path):
    """Without a configuration it names the settings."""
    result = CliRunner().invoke(steelyard, ["gateway"])
    assert isinstance(result.exception, ConfigurationError)
    assert "gateway.certificate" in str(result.exception)


async def test_the_command_serves_until_it_is_told_to_stop(issued, node, tmp_path):
    """From a TOML file with tables, as its own process, ended by SIGTERM in order."""
    issued.client("platform")
    port_file = tmp_path / "port"
    file = tmp_path / "gateway.toml"
    file.write_text(f"""
[gateway]
port = 0
port_file = "{port_file}"
metrics_port = 0
certificate = "{issued.server.certificate_path}"
private_key = "{issued.server.key_path}"
client_ca_file = "{issued.authority.certificate_path}"
client_crl_file = "{issued.authority.crl_path}"

[[gateway.nodes]]
name = "one"
rpc_url = "{node.url}"
tessera = "{node.url}"

[[gateway.clients]]
name = "platform"
nodes = ["*"]
""")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from steelyard.cli import main; main()",
        "gateway",
        "--config",
        str(file),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        line = await process.stdout.readline()
        assert line.startswith(b"steelyard gateway ready on https://127.0.0.1:"), line
        url = f"https://127.0.0.1:{port_file.read_text().strip()}"
        async with asking(issued, url, issued.client("platform")) as client:
            assert (await client.rpc(call()))[0] == 200
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in errors
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_a_taken_port_is_named(issued, node, open_gateway):
    """Of both servers."""
    url = await open_gateway()
    port = int(url.rpartition(":")[2])
    for name in ("port", "metrics_port"):
        settings = issued.settings(
            [{"name": "one", "rpc_url": node.url, "tessera": node.url}], [CLIENT], **{name: port}
        )
        with pytest.raises(ConfigurationError, match=f"gateway.{name}"):
            async with serving(settings):
                pass
