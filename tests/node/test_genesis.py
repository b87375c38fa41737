"""One genesis is made, of validators that are in order, and kept."""

import json

import pytest
from click.testing import CliRunner
from fakenode import A, B, C, FakeChain, disorderly

from steelyard.network.genesis import extra_data
from steelyard.network.keys import NodeKey, orders_agree
from steelyard.node.asking import NodeClient
from steelyard.node.checking import check
from steelyard.node.cli import node
from steelyard.node.errors import ForeignGenesis, KeysUnusable, NodeProblem, Unanswered
from steelyard.node.genesis import read_genesis, write_genesis
from steelyard.node.keys import NODE_KEY, make_keys

EMPTY_RLP = '{"extraData": "0xc28001", "config": {"chainId": 1}}'
SETTINGS = {"chain_id": 1337, "block_period": 1, "empty_block_period": 5}


def test_a_genesis_is_never_replaced(tmp_path):
    """The same again is fine, in any order and layout; another is refused, with what differs."""
    path = tmp_path / "genesis.json"
    first = write_genesis(path, [A, B], **SETTINGS)
    assert write_genesis(path, [B, A], **SETTINGS) == first
    assert path.stat().st_mode & 0o777 == 0o644
    for others, change, what in (
        ([A, B], {"chain_id": 8}, "config.chainId"),
        ([A, B], {"empty_block_period": 0}, "config.qbft.emptyblockperiodseconds"),
        ([A, C], {}, "the validators"),
    ):
        with pytest.raises(ForeignGenesis, match=rf"differs in {what}\)"):
            write_genesis(path, others, **SETTINGS | change)
    assert read_genesis(path).sha256 == first
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert write_genesis(path, [A, B], **SETTINGS) == read_genesis(path).sha256 != first


def test_the_command_prints_the_hash(tmp_path, monkeypatch):
    """The options count, and no setting of the local network's."""
    monkeypatch.setenv("STEELYARD_NETWORK_CHAIN_ID", "99")
    monkeypatch.setenv("STEELYARD_NETWORK_CONSENSUS", "raft")
    path = tmp_path / "genesis.json"
    arguments = ["--chain-id", "5", "--block-period", "2", "--empty-block-period", "60"]
    names = [f"--validator={one}" for one in (A, B)]
    done = CliRunner().invoke(node, ["genesis", *arguments, *names, "-o", str(path)])
    found = read_genesis(path)
    assert json.loads(done.output) == {"genesis": found.sha256}
    assert found.chain_id == 5
    assert found.validators == (A, B)
    assert found.document["config"]["qbft"]["blockperiodseconds"] == 2
    assert found.document["config"]["qbft"]["emptyblockperiodseconds"] == 60
    assert "berlinBlock" not in found.document["config"]


@pytest.mark.parametrize(
    ("validators", "sentence"),
    [
        (["0x12"], "is no address"),
        ([A[2:]], "is no address"),
        (["0x7e5F4552091A69125d5DfCb7b8C2659029395Bdf"], "is no address"),  # one letter's case
        ([A, B, A], "is named twice"),
        # The case in which they are given does not matter.
        ([one.lower() for one in disorderly()], "sort differently"),
    ],
)
def test_validators_that_cannot_be_make_no_genesis(tmp_path, validators, sentence):
    """The sentence says why, before a network is built on it."""
    with pytest.raises(NodeProblem, match=sentence):
        write_genesis(tmp_path / "g.json", validators, **SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"extraData": "0x00", "config": {}}', "\x00", EMPTY_RLP]
)
def test_what_is_no_genesis_is_told(tmp_path, text):
    (tmp_path / "genesis.json").write_text(text)
    with pytest.raises(NodeProblem, match="is no genesis of a QBFT network"):
        read_genesis(tmp_path / "genesis.json")


@pytest.fixture
def made(tmp_path):
    """A validator's directory, with its genesis beside it."""
    mine = make_keys(tmp_path / "n1")
    digest = write_genesis(tmp_path / "genesis.json", [mine.address, A], **SETTINGS)
    return tmp_path, mine, digest


def test_a_whole_node_passes(made):
    """What it tells is what roles compare."""
    directory, mine, digest = made
    done = CliRunner().invoke(node, ["check", "--directory", str(directory / "n1")])
    told = json.loads(done.output)
    assert told["genesis"] == digest
    assert told["chain_id"] == 1337
    assert set(told["validators"]) == {mine.address, A}
    assert told["may_vote"]
    assert told["tessera_public_key"] == mine.tessera_public_key
    assert check(directory / "n1", sha256=digest.upper())["genesis"] == digest


def test_what_does_not_belong_together_is_told(made):
    """Another genesis, open or missing keys."""
    directory, _, _ = made
    with pytest.raises(ForeignGenesis, match="has the SHA-256"):
        check(directory / "n1", sha256=64 * "0")
    with pytest.raises(NodeProblem, match="No such file"):
        check(directory / "n1", directory / "elsewhere.json")
    (directory / "n1" / NODE_KEY).chmod(0o640)
    with pytest.raises(KeysUnusable, match="open to others"):
        check(directory / "n1")
    (directory / "n1" / NODE_KEY).unlink()
    with pytest.raises(KeysUnusable, match="holds no node key"):
        check(directory / "n1")


def test_a_key_that_must_not_vote_is_told(tmp_path):
    """One that was not drawn for its order may follow, and not be voted in."""
    present, _ = disorderly()
    make_keys(tmp_path / "n1")
    path = tmp_path / "genesis.json"
    write_genesis(path, [present], **SETTINGS)
    keys = (NodeKey.of(number.to_bytes(32)) for number in range(1, 30))
    other = next(key for key in keys if not orders_agree([present, key.address]))
    (tmp_path / "n1" / NODE_KEY).write_text(other.private.hex())
    assert check(tmp_path / "n1")["may_vote"] is False


def test_a_genesis_whose_validators_are_out_of_order_is_told(tmp_path):
    """One that was made otherwise."""
    make_keys(tmp_path / "n1")
    path = tmp_path / "genesis.json"
    write_genesis(path, [A], **SETTINGS)
    document = json.loads(path.read_text())
    document["extraData"] = "0x" + extra_data(disorderly()).hex()
    path.write_text(json.dumps(document))
    with pytest.raises(NodeProblem, match=r"genesis\.json sort differently"):
        check(tmp_path / "n1")


def test_the_running_chain_is_compared(made, serve):
    """Block 0 tells validators and limits."""
    directory, _, _ = made
    chain = FakeChain(A)
    (fake,) = serve(chain, A)
    document = read_genesis(directory / "genesis.json").document
    chain.block_zero = {name: document[name] for name in ("extraData", "mixHash", "gasLimit")}
    assert check(directory / "n1", client=NodeClient(fake.url))["chain_id"] == 1337
    chain.block_zero["extraData"] = "0x00"
    with pytest.raises(ForeignGenesis, match="on another chain than"):
        check(directory / "n1", client=NodeClient(fake.url))
    fake.answers["eth_getBlockByNumber"] = '{"result": null}'
    with pytest.raises(Unanswered):
        check(directory / "n1", client=NodeClient(fake.url))
