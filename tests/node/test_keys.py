"""A node's keys are made once, where they are used."""

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from fakenode import disorderly, orderly_of_another_kind

from steelyard.network.keys import orders_agree
from steelyard.node.cli import node
from steelyard.node.errors import KeysUnusable, NodeProblem
from steelyard.node.keys import CHAIN, NODE_KEY, make_keys, show_keys

# Ends itself by SIGKILL before or after the nth file gets its name.
KILLED = """
import os, pathlib, signal, sys
from steelyard.node.keys import make_keys
real, count = pathlib.Path.replace, 0
def replace(self, target):
    global count
    count += 1
    if count == int(sys.argv[2]) and sys.argv[3] == "before": os.kill(os.getpid(), signal.SIGKILL)
    real(self, target)
    if count == int(sys.argv[2]): os.kill(os.getpid(), signal.SIGKILL)
pathlib.Path.replace = replace
make_keys(pathlib.Path(sys.argv[1]))
"""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once(tmp_path):
    """A second call changes nothing, and says so."""
    first = make_keys(tmp_path / "n1")
    again = make_keys(tmp_path / "n1")
    assert first.made
    assert not again.made
    assert (
        first.as_dict() | {"made": False} == again.as_dict() == show_keys(tmp_path / "n1").as_dict()
    )


def test_others_get_through_the_directory_and_not_to_the_keys(tmp_path):
    """Whatever the umask is: two users' daemons live below the directory."""
    old = os.umask(0o077)
    try:
        make_keys(tmp_path / "nodes" / "n1")
    finally:
        os.umask(old)
    directory = tmp_path / "nodes" / "n1"
    assert mode(directory) == 0o755
    assert mode(directory / "geth" / "geth") == mode(directory / "tessera") == 0o700
    assert mode(directory / NODE_KEY) == mode(directory / "tessera/tm.key") == 0o600
    assert mode(directory / "tessera/tm.pub") == 0o644


def test_no_secret_is_printed(tmp_path):
    """Only public halves, as JSON."""
    done = CliRunner().invoke(node, ["make-keys", "--directory", str(tmp_path / "n1")])
    shown = CliRunner().invoke(node, ["show-keys", "--directory", str(tmp_path / "n1")])
    told = json.loads(done.output)
    private = (tmp_path / "n1" / NODE_KEY).read_text()
    pair = json.loads((tmp_path / "n1/tessera/tm.key").read_text())["data"]["bytes"]
    for output in (done.output, shown.output):
        assert private not in output
        assert pair not in output
    assert told == json.loads(shown.output) | {"made": True}
    assert told["name"] == "n1"


def test_validators_made_apart_sort_alike(tmp_path):
    """Hosts that know nothing of each other draw keys for one genesis."""
    addresses = [make_keys(tmp_path / f"n{number}").address for number in range(12)]
    assert orders_agree(addresses)


def test_a_key_is_drawn_beside_those_of_another_kind(tmp_path):
    """Validators whose keys the local network's command made, or somebody else."""
    others = orderly_of_another_kind(5)
    for number in range(6):
        assert orders_agree([*others, make_keys(tmp_path / f"n{number}", others).address])


def test_others_that_are_out_of_order_stop_it_at_once(tmp_path):
    """No key that is drawn beside them mends that."""
    with pytest.raises(NodeProblem, match="sort differently"):
        make_keys(tmp_path / "n1", disorderly())
    assert not (tmp_path / "n1").exists()


@pytest.mark.parametrize("file", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_call_is_completed_by_the_next(tmp_path, file, when):
    """By SIGKILL at each file: no key that had its name is replaced, and nothing is left over."""
    directory = tmp_path / "n1"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(directory), str(file), when], check=False
    )
    assert killed.returncode == -9
    finished = {path: path.read_bytes() for path in directory.rglob("[!.]*") if path.is_file()}
    assert len(finished) == file - (when == "before")
    assert make_keys(directory).made == (len(finished) < 3)
    assert {path: path.read_bytes() for path in finished} == finished
    assert sorted(path.name for path in directory.rglob("*") if path.is_file()) == [
        *("nodekey", "tm.key", "tm.pub"),
    ]


def test_two_calls_at_once_agree(tmp_path):
    """One makes the keys, the other finds them."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: make_keys(tmp_path / "n1"), range(4)))
    assert len({one.address for one in made}) == len({one.tessera_public_key for one in made}) == 1
    assert [one.made for one in made].count(True) == 1


@pytest.mark.parametrize(
    ("lost", "beside"),
    [
        ([NODE_KEY], CHAIN),
        (["tessera/tm.key", "tessera/tm.pub"], "tessera/database.mv.db"),
        (["tessera/tm.key"], "tessera/tm.pub"),
    ],
)
def test_a_lost_key_is_not_replaced(tmp_path, lost, beside):
    """Beside a chain or payloads a new key would be another party's."""
    make_keys(tmp_path / "n1")
    for name in lost:
        (tmp_path / "n1" / name).unlink()
    (tmp_path / "n1" / beside).touch()
    before = sorted((tmp_path / "n1").rglob("*"))
    with pytest.raises(KeysUnusable, match="back from a backup"):
        make_keys(tmp_path / "n1")
    assert sorted((tmp_path / "n1").rglob("*")) == before


@pytest.mark.parametrize("name", [NODE_KEY, "tessera/tm.key"])
def test_a_damaged_key_is_told_and_kept(tmp_path, name):
    """It is not replaced, and what is left of it is not shown."""
    make_keys(tmp_path / "n1")
    (tmp_path / "n1" / name).write_text("5ec2e7")
    with pytest.raises(KeysUnusable) as raised:
        make_keys(tmp_path / "n1")
    assert "5ec2e7" not in str(raised.value)
    assert (tmp_path / "n1" / name).read_text() == "5ec2e7"


def test_beside_is_for_validators(tmp_path):
    """Somebody who names others means a validator."""
    arguments = ["make-keys", "--directory", str(tmp_path / "n1"), "--beside", "0x" + 40 * "1"]
    done = CliRunner().invoke(node, arguments)
    assert done.exit_code == 2
    assert "--validator" in done.output
    assert CliRunner().invoke(node, [*arguments, "--validator"]).exit_code == 0


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KeysUnusable, match="file"):
        make_keys(tmp_path / "file" / "n1")
