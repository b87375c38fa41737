"""A node's keys are made once, where they are used."""

import json
import os
import stat

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.network.keys import NodeKey, orders_agree
from steelyard.node.cli import node
from steelyard.node.errors import ForeignGenesis, KeysUnusable, NodeProblem
from steelyard.node.genesis import write_genesis
from steelyard.node.keys import CHAIN, NODE_KEY, make_keys, show_keys


def test_keys_are_made_once(tmp_path):
    """A second call changes nothing, and says so."""
    first = make_keys(tmp_path / "n1", None)
    again = make_keys(tmp_path / "n1", None)
    assert first.made
    assert not again.made
    assert (first.address, first.identity, first.tessera_public_key) == (
        *(again.address, again.identity, again.tessera_public_key),
    )
    for name in (NODE_KEY, "tessera/tm.key"):
        assert stat.S_IMODE((tmp_path / "n1" / name).stat().st_mode) == 0o600


def test_no_secret_is_printed(tmp_path):
    """Only public halves, as JSON."""
    done = CliRunner().invoke(node, ["make-keys", "--directory", str(tmp_path / "n1")])
    told = json.loads(done.output)
    private = (tmp_path / "n1" / NODE_KEY).read_text()
    pair = json.loads((tmp_path / "n1/tessera/tm.key").read_text())["data"]["bytes"]
    assert private not in done.output
    assert pair not in done.output
    assert told == show_keys(tmp_path / "n1").as_dict() | {"made": True}


@settings(max_examples=25, deadline=None)
@given(count=st.integers(2, 8))
def test_validators_sort_alike_in_both_orders(tmp_path_factory, count):
    """Each is drawn beside those that there are."""
    directory = tmp_path_factory.mktemp("nodes")
    addresses: list[str] = []
    for number in range(count):
        addresses.append(make_keys(directory / f"n{number}", addresses).address)
    assert orders_agree(addresses)
    digest = write_genesis(
        directory / "genesis.json", addresses, chain_id=1, block_period=1, empty_block_period=5
    )
    assert len(digest) == 64


@pytest.mark.parametrize("what", ["chain", "payloads"])
def test_a_lost_key_is_not_replaced(tmp_path, what):
    """Beside a chain or payloads a new key would be another party's."""
    make_keys(tmp_path / "n1", None)
    if what == "chain":
        (tmp_path / "n1" / CHAIN).mkdir()
        (tmp_path / "n1" / NODE_KEY).unlink()
    else:
        (tmp_path / "n1/tessera/database.mv.db").touch()
        (tmp_path / "n1/tessera/tm.key").unlink()
        (tmp_path / "n1/tessera/tm.pub").unlink()
    with pytest.raises(KeysUnusable, match=r"bring the keys? back from a backup"):
        make_keys(tmp_path / "n1", None)


def test_half_a_pair_is_told_and_kept(tmp_path):
    """It is neither replaced nor completed in silence."""
    make_keys(tmp_path / "n1", None)
    (tmp_path / "n1/tessera/tm.pub").unlink()
    with pytest.raises(KeysUnusable, match="hold no pair of keys"):
        make_keys(tmp_path / "n1", None)
    assert (tmp_path / "n1/tessera/tm.key").exists()


def test_a_genesis_is_never_replaced(tmp_path):
    """The same again is fine; another one is refused."""
    addresses = [make_keys(tmp_path / "n1", []).address]
    path = tmp_path / "genesis.json"
    first = write_genesis(path, addresses, chain_id=7, block_period=1, empty_block_period=5)
    assert write_genesis(path, addresses, chain_id=7, block_period=1, empty_block_period=5) == first
    with pytest.raises(ForeignGenesis, match="made once and kept"):
        write_genesis(path, addresses, chain_id=8, block_period=1, empty_block_period=5)
    assert json.loads(path.read_text())["config"]["chainId"] == 7


def test_validators_out_of_order_make_no_genesis(tmp_path):
    """The sentence says why, before a network is built on it."""
    while True:
        addresses = [NodeKey.of(os.urandom(32)).address for _ in range(4)]
        if not orders_agree(addresses):
            break
    with pytest.raises(NodeProblem, match="sort differently"):
        write_genesis(
            tmp_path / "g.json", addresses, chain_id=1, block_period=1, empty_block_period=5
        )
    assert not (tmp_path / "g.json").exists()
