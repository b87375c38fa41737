"""The real programs: both consensus mechanisms, both forms of Tessera, keys and data kept.

Skipped, with the reason, where STEELYARD_GETH and STEELYARD_TESSERA are not set. A few starts do
all of it, as each costs a Java virtual machine a node.
"""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeprograms import write_program

from real_engines import require_engines
from steelyard.network import probe, processes
from steelyard.network.errors import EngineEnded
from steelyard.network.programs import TESSERA_VARIABLE
from steelyard.network.service import LocalNetwork
from steelyard.network.settings import NetworkSettings
from steelyard.network.tessera import MAIN_CLASS

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

NODES = 3
START_SCRIPT = """#!/bin/sh
here=$(cd "$(dirname "$0")/.." && pwd)
exec "$JAVA_HOME/bin/java" $JAVA_OPTS -cp "$here/lib/*" {main} "$@"
"""


@pytest.fixture(autouse=True)
def programs() -> None:
    require_engines()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "n"
    yield path
    if (path / "state.json").exists():
        LocalNetwork(path, NetworkSettings()).down()


def unpacked(tmp_path: Path) -> Path:
    """A distribution, as newer Tesseras are, made of the uber jar that is here."""
    jar = Path(os.environ[TESSERA_VARIABLE])
    if not zipfile.is_zipfile(jar):
        pytest.skip(f"{jar} is no uber jar: the other form cannot be made of it")
    directory = tmp_path / "tessera-dist"
    main = MAIN_CLASS.removesuffix(".class").replace("/", ".")
    write_program(directory / "bin" / "tessera", START_SCRIPT.format(main=main))
    (directory / "lib").mkdir()
    shutil.copyfile(jar, directory / "lib" / "tessera.jar")
    return directory


def hashes(directory: Path) -> dict[str, str]:
    patterns = ["genesis.json", "node-*/geth/geth/nodekey", "node-*/tessera/tm.*[ybk]"]
    found = [path for pattern in patterns for path in sorted(directory.glob(pattern))]
    assert len(found) == 1 + 3 * NODES
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def block(network: LocalNetwork, number: int) -> str:
    return str(probe.rpc(network.nodes[0], "eth_getBlockByNumber", hex(number), False)["hash"])


def test_qbft_with_the_uber_jar_and_then_with_the_distribution(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks come and keys are known; the second start, of the other form, goes on where it was."""
    network = LocalNetwork(directory, NetworkSettings(nodes=NODES))
    network.up()
    assert all(one.runs and one.peers == NODES - 1 for one in network.status())
    keys = {node.tessera_public_key for node in network.nodes}
    assert all(probe.known_keys(node) == keys for node in network.nodes)
    validators = probe.rpc(network.nodes[0], "istanbul_getValidators", "latest")
    addresses = {node.record.address.lower() for node in network.nodes}
    assert {one.lower() for one in validators} == addresses
    first, head, files = block(network, 1), probe.head(network.nodes[0]), hashes(directory)

    network.kill("node-2", "geth")
    network.start("node-2")
    assert network.ended() == set()
    network.down()
    assert hashes(directory) == files

    monkeypatch.setenv(TESSERA_VARIABLE, str(unpacked(tmp_path)))
    with LocalNetwork(directory, NetworkSettings()) as again:
        assert not again.programs.tessera.uber_jar
        assert hashes(directory) == files
        assert block(again, 1) == first
        assert probe.head(again.nodes[0]) > head
        running = [one for node in again.nodes for one in node.record.processes.values()]
    assert not any(processes.alive(one) for one in running)


def test_raft_has_a_leader(directory: Path) -> None:
    """Nobody mines, every node knows the same leader, and a lost leader is replaced."""
    with LocalNetwork(directory, NetworkSettings(nodes=NODES, consensus="raft")) as network:
        leaders = {probe.raft_leader(node) for node in network.nodes}
        assert len(leaders) == 1
        roles = {node.name: probe.rpc(node, "raft_role") for node in network.nodes}
        assert sorted(roles.values()) == ["minter", "verifier", "verifier"]
        (leader,) = (name for name, role in roles.items() if role == "minter")
        network.kill(leader, "geth")
        network.start(leader)
        assert all(one.runs for one in network.status())
        # The transport's port is open to all, whatever one does; JSON-RPC and peers never are.
        open_ports = set(network.exposed_ports())
        for node in network.nodes:
            assert node.record.raft_port in open_ports
            assert not {node.record.rpc_port, node.record.peer_port} & open_ports


def test_a_real_node_without_its_privacy_manager_says_why(directory: Path) -> None:
    """The node's own words are in the sentence."""
    network = LocalNetwork(directory, NetworkSettings(nodes=1))
    network.up()
    network.stop("node-1")
    with pytest.raises(EngineEnded, match=r"geth of node-1 ended with status [1-9].*\n.*tm\.ipc"):
        network.start("node-1", "geth")
