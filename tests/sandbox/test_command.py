"""`steelyard sandbox` as its user runs it, and the endpoint for faults."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from steelyard.sandbox.consortium import Consortium
from steelyard.sandbox.control import ControlServer
from steelyard.sandbox.errors import SandboxProblem
from wire_world import CONTRACT, Wallet

COMMAND = str(Path(sys.executable).with_name("steelyard"))


async def run(*arguments: str, cwd: Path, **options) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        COMMAND,
        "sandbox",
        *arguments,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **options,
    )


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_what_it_is_and_stops_when_told(tmp_path, session, signal_number):
    """The banner, network.json as documented, status 0; off are persistence and faults."""
    process = await run("--nodes", "2", cwd=tmp_path)
    lines = []
    async with asyncio.timeout(60):
        async for line in process.stdout:
            lines.append(line.decode())
            if line.startswith(b"Ready"):
                break
    banner = "".join(lines)
    assert "development and demonstration only" in banner
    assert "no consensus" in banner
    assert "Faults" not in banner
    network = json.loads((tmp_path / "network.json").read_text())
    assert (network["engine"], network["chain_id"]) == ("sandbox", 1337)
    assert [node["name"] for node in network["nodes"]] == ["node-1", "node-2"]
    assert "control_url" not in network
    for node in network["nodes"]:
        async with session.get(node["tessera_url"] + "/upcheck") as response:
            assert response.status == 200
    process.send_signal(signal_number)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, errors) == (0, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["network.json"]


@pytest.mark.parametrize(
    ("arguments", "toml", "sentence"),
    [
        (("--nodes", "0"), "", "'--nodes'"),
        ((), "[sandbox]\nnodes = 0\n", "sandbox.nodes: Input should be greater than or equal to 1"),
        ((), "[sandbox]\nblocks = 1\n", "sandbox.blocks"),
        (("--base-port", "65534"), "", "--base-port"),
        (("--network-file", "missing/network.json"), "", "missing/network.json cannot be written"),
    ],
)
async def test_wrong_settings_are_one_sentence(tmp_path, arguments, toml, sentence):
    """No traceback, and a status that is not 0."""
    config = tmp_path / "steelyard.toml"
    config.write_text(toml)
    process = await run("--config", str(config), *arguments, cwd=tmp_path)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode != 0
    assert sentence in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_settings_come_from_file_and_environment(tmp_path):
    """The environment wins over the file, an option over both."""
    config = tmp_path / "steelyard.toml"
    config.write_text('[sandbox]\nnodes = 2\nchain_id = 7\nnetwork_file = "here.json"\n')
    environment = {"STEELYARD_SANDBOX_NODES": "3", "PATH": "/usr/bin:/bin"}
    process = await run("--config", str(config), "--chain-id", "8", cwd=tmp_path, env=environment)
    async with asyncio.timeout(60):
        async for line in process.stdout:
            if line.startswith(b"Ready"):
                break
    network = json.loads((tmp_path / "here.json").read_text())
    assert (network["chain_id"], len(network["nodes"])) == (8, 3)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 20)


@pytest.fixture
async def control(consortium: Consortium):
    server = ControlServer(consortium, 0)
    await server.start()
    yield server
    await server.stop()


async def act(session, control, action, **body):
    async with session.post(f"{control.url}/{action}", json=body) as response:
        return response.status, await response.json()


async def test_faults_over_http(consortium, session, control, client):
    """Each action does what the method of the same name does."""
    status, state = await act(session, control, "node-down", node="node-2")
    assert status == 200
    assert [node["up"] for node in state["nodes"]] == [True, False, True]
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.result(1, "eth_blockNumber")
    assert (await act(session, control, "node-up", node="node-2"))[0] == 200
    await client.result(1, "eth_blockNumber")
    _, state = await act(session, control, "privacy-manager-down", node="node-3")
    assert [node["privacy_manager_up"] for node in state["nodes"]] == [True, True, False]
    await act(session, control, "privacy-manager-up", node="node-3")
    await client.store(2, b"x")
    await act(session, control, "fault", node="node-1", method="eth_chainId", kind="drop-response")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.result(0, "eth_chainId")
    await act(session, control, "fault", node="node-1", count=9)
    await act(session, control, "clear-faults")
    await client.result(0, "eth_chainId")
    _, state = await act(session, control, "halt-blocks")
    _, more = await act(session, control, "make-block")
    assert more["block_number"] == state["block_number"] + 1
    await client.send(Wallet(), b"", CONTRACT)
    _, state = await act(session, control, "lose-pool", node="node-2")
    assert state["waiting_transactions"] == 1
    _, state = await act(session, control, "lose-pool", node="node-1")
    assert state["waiting_transactions"] == 0
    _, state = await act(session, control, "block-period", seconds=0.5)
    assert state["block_period"] == 0.5
    await act(session, control, "resume-blocks")
    async with session.get(control.url) as response:
        assert (await response.json())["waiting_transactions"] == 0


async def test_requests_that_make_no_sense(session, control):
    """What is wrong, and what is allowed."""
    status, answer = await act(session, control, "node-down", node="node-9")
    assert (status, answer["error"]) == (422, "node must be one of node-1, node-2, node-3")
    status, answer = await act(session, control, "explode")
    assert status == 422
    assert "halt-blocks" in answer["error"]
    for body, name in (({"count": 0}, "count"), ({"x": 1}, "x"), ({"kind": "y"}, "kind")):
        status, answer = await act(session, control, "fault", node="node-1", **body)
        assert (status, answer["error"].split(":")[0]) == (422, name)
    async with session.post(control.url + "/halt-blocks", data="x") as response:
        assert response.status == 405
    headers = {"Host": "evil.example"}
    async with session.get(control.url, headers=headers) as response:
        assert response.status == 403
    async with session.post(
        control.url + "/fault", data="{", headers={"Content-Type": "application/json"}
    ) as response:
        assert response.status == 422


async def test_a_taken_control_port(consortium, control):
    """It is named."""
    with pytest.raises(SandboxProblem, match=str(control.port)):
        await ControlServer(consortium, control.port).start()
