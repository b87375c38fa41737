"""Genesis, peers and configurations say what was chosen, for any number of nodes."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from steelyard.network.configuration import geth_command, tessera_document, write_configuration
from steelyard.network.genesis import QBFT_MIX_HASH, genesis
from steelyard.network.keys import draw_node_keys
from steelyard.network.layout import made_or_reused, nodes_of
from steelyard.network.settings import NetworkSettings
from steelyard.network.tessera import Tessera

TESSERA = Tessera(Path("/t"), uber_jar=True, version=None, needed_java=None, reserves_value=False)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.integers(1, 2**31), st.integers(1, 3600), st.sampled_from([0, 1, 10]))
def test_a_qbft_genesis_names_every_validator(nodes, chain_id, period, empty) -> None:
    """ExtraData decodes to vanity, sorted addresses, no vote, round zero and no seal."""
    chosen = NetworkSettings(
        nodes=nodes, chain_id=chain_id, block_period=period, empty_block_period=empty
    )
    addresses = [key.address for key in draw_node_keys(nodes)]
    document = json.loads(json.dumps(genesis(chosen, addresses)))
    vanity, validators, vote, number, seals = rlp.decode(bytes.fromhex(document["extraData"][2:]))
    assert vanity == bytes(32)
    assert validators == sorted(bytes.fromhex(address[2:]) for address in addresses)
    assert (vote, number, seals) == ([], b"", [])
    config = document["config"]
    assert config["chainId"] == chain_id
    assert config["qbft"]["blockperiodseconds"] == period
    assert config["qbft"].get("emptyblockperiodseconds", 0) == empty
    assert document["mixHash"] == QBFT_MIX_HASH
    assert document["difficulty"] == "0x1"


def test_no_genesis_has_berlin() -> None:
    """Under its rules a private call that writes ends GoQuorum 24.4.1 at every party."""
    for consensus in ("qbft", "raft"):
        config = genesis(NetworkSettings(consensus=consensus), ["0x" + 40 * "1"])["config"]
        assert "berlinBlock" not in config
        assert config["istanbulBlock"] == 0
        assert config["isQuorum"] is True


def test_a_raft_genesis_names_nobody() -> None:
    document = genesis(NetworkSettings(consensus="raft"), ["0x" + 40 * "1"])
    assert "qbft" not in document["config"]
    assert document["difficulty"] == "0x0"
    assert document["extraData"] == "0x" + 64 * "0"
    assert document["mixHash"] == "0x" + 64 * "0"


@pytest.mark.parametrize("consensus", ["qbft", "raft"])
@pytest.mark.parametrize("count", [1, 7])
def test_every_node_knows_every_node(tmp_path, consensus: str, count: int) -> None:
    """Each node's static nodes are all, at their ports; Raft's with the port of its transport."""
    state = made_or_reused(tmp_path, NetworkSettings(nodes=count, consensus=consensus))
    nodes = nodes_of(tmp_path, state)
    for node in nodes:
        write_configuration(node, nodes, TESSERA)
        static = json.loads((node.geth_directory / "static-nodes.json").read_text())
        assert static == json.loads((node.geth_directory / "permissioned-nodes.json").read_text())
        assert len(static) == count
        for enode, other in zip(static, nodes, strict=True):
            parts = urlsplit(enode)
            assert parts.username == other.record.identity
            assert (parts.hostname, parts.port) == ("127.0.0.1", other.record.peer_port)
            raft = parse_qs(parts.query).get("raftport")
            assert raft == ([str(other.record.raft_port)] if consensus == "raft" else None)
        listen = f'ListenAddr = "127.0.0.1:{node.record.peer_port}"'
        assert listen in (node.directory / "geth.toml").read_text()
    ports = [
        port for node in nodes for part in ("geth", "tessera") for port in node.ports(part).values()
    ]
    assert len(ports) == len(set(ports)) == count * (5 if consensus == "raft" else 4)


def test_command_lines_differ_by_consensus(tmp_path) -> None:
    """QBFT mines, Raft has its transport; both stay on the loopback."""
    lines = {}
    for consensus in ("qbft", "raft"):
        (tmp_path / consensus).mkdir()
        state = made_or_reused(tmp_path / consensus, NetworkSettings(consensus=consensus, nodes=1))
        (node,) = nodes_of(tmp_path / consensus, state)
        lines[consensus] = geth_command(Path("/geth"), node, state.choices)
    for line in lines.values():
        assert line[0] == "/geth"
        assert line[line.index("--http.addr") + 1] == "127.0.0.1"
        assert "--port" not in line
    assert "--mine" in lines["qbft"]
    assert "--raft" not in lines["qbft"]
    assert "--raft" in lines["raft"]
    assert "--mine" not in lines["raft"]


def test_only_validators_mine_and_stand_in_the_genesis(tmp_path) -> None:
    """The first nodes vote; the others know every node, and follow."""
    state = made_or_reused(tmp_path, NetworkSettings(nodes=5, validators=3))
    nodes = nodes_of(tmp_path, state)
    assert [node.votes for node in nodes] == [True, True, True, False, False]
    for node in nodes:
        assert ("--mine" in geth_command(Path("/geth"), node, state.choices)) is node.votes
    extra = bytes.fromhex(json.loads((tmp_path / "genesis.json").read_text())["extraData"][2:])
    named = {"0x" + address.hex() for address in rlp.decode(extra)[1]}
    assert named == {node.record.address.lower() for node in nodes[:3]}


def test_more_voters_than_nodes_are_refused() -> None:
    """The sentence names both numbers."""
    with pytest.raises(ValidationError, match="5 cannot vote where there are 4 nodes"):
        NetworkSettings(nodes=4, validators=5)
    with pytest.raises(ValidationError, match="with Raft every node votes"):
        NetworkSettings(consensus="raft", validators=2)


@pytest.mark.parametrize("reserves", [False, True])
def test_tesseras_configuration(tmp_path, reserves: bool) -> None:
    """Three servers, all peers, keys by file: no secret is in it. H2 2 is told about VALUE."""
    state = made_or_reused(tmp_path, NetworkSettings(nodes=3))
    nodes = nodes_of(tmp_path, state)
    document = tessera_document(nodes[0], nodes, reserves_value=reserves)
    servers = {one["app"]: one for one in document["serverConfigs"]}
    assert servers["Q2T"]["serverAddress"] == f"unix:{nodes[0].socket}"
    assert servers["ThirdParty"]["serverAddress"] == nodes[0].tessera_url
    for app in ("ThirdParty", "P2P"):
        assert servers[app]["bindingAddress"] == servers[app]["serverAddress"]
    assert [one["url"] for one in document["peer"]] == [one.privacy_url for one in nodes]
    assert ("NON_KEYWORDS=VALUE" in document["jdbc"]["url"]) is reserves
    assert "WRITE_DELAY=0" in document["jdbc"]["url"], "a payload that is taken is on the disk"
    secret = json.loads((nodes[0].tessera_directory / "tm.key").read_text())["data"]["bytes"]
    assert secret not in json.dumps(document)
