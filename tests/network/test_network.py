"""A network of stand-ins: it starts whole or not at all, is found again, and ends."""

import fcntl
import hashlib
import json
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from steelyard.network import processes
from steelyard.network.errors import (
    Abandoned,
    CorruptState,
    EngineEnded,
    ForeignDirectory,
    MissingProgram,
    NetworkProblem,
    PortOccupied,
    StartTimeout,
    UnfitTessera,
    WrongJava,
)
from steelyard.network.ports import free_block, is_free
from steelyard.network.service import LocalNetwork
from steelyard.network.state import read_state


def records(network: LocalNetwork) -> dict[str, processes.ProcessRecord]:
    return {
        f"{node.name} {part}": record
        for node in network.nodes
        for part, record in node.record.processes.items()
    }


def kept_files(network: LocalNetwork) -> dict[str, str]:
    """Keys and genesis, by their hash."""
    patterns = ["genesis.json", "node-*/geth/geth/nodekey", "node-*/tessera/tm.*[ybk]"]
    found = [path for pattern in patterns for path in sorted(network.directory.glob(pattern))]
    return {
        str(path.relative_to(network.directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
    }


def all_gone(network: LocalNetwork) -> bool:
    """No process of this directory is left, whatever its state says."""
    needle = str(network.directory).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if needle in (entry / "cmdline").read_bytes():
                    return False
            except OSError:
                continue
    return True


def test_up_writes_what_runs_and_down_ends_it(make) -> None:
    """Addresses in the form that the platform reads; every process alive, then none."""
    network = make(nodes=3, chain_id=4242)
    network.up()
    document = json.loads(network.network_file.read_text())
    assert (document["engine"], document["chain_id"]) == ("quorum", 4242)
    assert [node["name"] for node in document["nodes"]] == ["node-1", "node-2", "node-3"]
    for entry, node in zip(document["nodes"], network.nodes, strict=True):
        assert entry["rpc_url"] == node.rpc_url
        assert entry["tessera_url"] == node.tessera_url
        assert entry["tessera_public_key"] == node.tessera_public_key
        assert set(entry["pids"]) == {"geth", "tessera"}
        assert Path(entry["logs"]["tessera"]).exists()
    running = records(network)
    assert len(running) == 6
    assert all(one.runs for one in network.status())
    assert network.exposed_ports() == {}

    network.down()
    assert not any(processes.alive(one) for one in running.values())
    assert not network.network_file.exists()
    assert all_gone(network)
    network.down()


def test_secrets_are_their_owners_alone(make) -> None:
    network = make(nodes=1)
    network.up()
    (node,) = network.nodes
    for path in (node.node_key_file, node.tessera_directory / "tm.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for path in (network.directory, node.directory, node.tessera_directory):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    secret = node.node_key_file.read_text()
    shown = [network.network_file, network.directory / "state.json", node.log("geth")]
    assert not any(secret in path.read_text() for path in shown)


def test_a_second_up_takes_up_keys_genesis_and_data(make) -> None:
    """Nothing is made anew, nor is the chain begun again; the ports stay."""
    network = make(nodes=2)
    network.up()
    before, enodes = kept_files(network), [node.enode for node in network.nodes]
    assert len(before) == 1 + 2 * 3
    marker = network.nodes[0].geth_directory / "geth" / "chaindata" / "marker"
    marker.write_text("data")
    network.down()
    again = make()
    again.up()
    assert kept_files(again) == before
    assert [node.enode for node in again.nodes] == enodes
    assert marker.exists()


def test_up_leaves_alone_what_runs(make) -> None:
    network = make(nodes=2)
    network.up()
    before = records(network)
    network.kill("node-2", "geth")
    network.up()
    after = records(network)
    changed = {name for name in after if before[name] != after[name]}
    assert changed == {"node-2 geth"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"nodes": 3}, "nodes is 2, not 3"),
        ({"consensus": "raft"}, "consensus is qbft, not raft"),
        ({"chain_id": 7}, "chain_id is 1337, not 7"),
        ({"block_period": 9}, "block_period is 1, not 9"),
        ({"empty_block_period": 9}, "empty_block_period is 5, not 9"),
        ({"validators": 1}, "validators is 0, not 1"),
        ({"base_port": 1025}, r"base_port is \d+, not 1025"),
    ],
)
def test_another_network_than_the_directorys_is_refused(make, options, sentence: str) -> None:
    make(nodes=2).up()
    with pytest.raises(ForeignDirectory, match=f"holds another network: {sentence}"):
        make(**options).up()


def test_a_directory_of_something_else_is_left_alone(make, tmp_path: Path) -> None:
    network = make()
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "precious").write_text("x")
    with pytest.raises(ForeignDirectory, match="holds precious but no network"):
        network.up()
    assert sorted(one.name for one in (tmp_path / "n").iterdir()) == [".lock", "precious"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ForeignDirectory, match="file: File exists"):
        make("file").up()
    for method in ("down", "status"):
        with pytest.raises(ForeignDirectory, match="`steelyard network up` makes"):
            getattr(make("nothing"), method)()
    with pytest.raises(ForeignDirectory, match="longer than the 107 bytes"):
        make("x" * 100).up()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is not a network's state: Invalid JSON"),
        ("{", "is not a network's state: Invalid JSON"),
        ("[]", "is not a network's state"),
        ('{"version": 2}', "version: Input should be 1"),
        ('{"version": 1}', "choices: Field required"),
    ],
)
def test_a_corrupt_state_is_one_sentence(make, content: str, sentence: str) -> None:
    """It names the file; nothing is started, stopped or overwritten."""
    network = make(nodes=1)
    network.up()
    running = records(network)
    path = network.directory / "state.json"
    good = path.read_text()
    path.write_text(content)
    try:
        for method in ("up", "down", "status"):
            with pytest.raises(
                CorruptState, match=rf"state\.json {sentence}|state\.json.*{sentence}"
            ):
                getattr(network, method)()
        assert path.read_text() == content
        assert all(processes.alive(one) for one in running.values())
    finally:
        path.write_text(good)


def test_keys_and_genesis_that_were_changed_are_refused(make) -> None:
    network = make(nodes=2)
    network.up()
    network.down()
    first, second = network.nodes
    genesis = network.directory / "genesis.json"
    good = genesis.read_text()
    genesis.write_text(good + " ")
    with pytest.raises(CorruptState, match="not the genesis that this network was started with"):
        network.up()
    genesis.write_text(good)
    first.node_key_file.write_text(second.node_key_file.read_text())
    with pytest.raises(CorruptState, match="nodekey is not the key of node-1"):
        network.up()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("geth:node-2:dies", "geth of node-2 ended with status 7 during the start; the end of"),
        ("tessera:node-1:dies", "tessera of node-1 ended with status 7 during the start"),
        ("init:node-1:dies", "geth init of node-1 ended with status 7"),
    ],
)
def test_an_engine_that_dies_is_named_with_the_end_of_its_log(
    make, monkeypatch: pytest.MonkeyPatch, trouble: str, sentence: str
) -> None:
    """Everything that was started is ended again; the next start succeeds."""
    network = make(nodes=2)
    with monkeypatch.context() as context:
        context.setenv("FAKE_TROUBLE", trouble)
        with pytest.raises(EngineEnded, match=sentence) as caught:
            network.up()
        expected = [] if trouble.startswith("init") else ["    a first line"]
        lines = str(caught.value).splitlines()
        assert "    Fatal: this is why it ended" in lines
        assert all(line in lines for line in expected)
    assert all_gone(network)
    assert records(network) == {}
    assert not network.network_file.exists()
    network.up()


@pytest.mark.parametrize(
    ("trouble", "sentence"),
    [
        ("tessera:node-2:silent", "privacy managers are up: not so at node-2 after 2 s"),
        ("tessera:node-1:tableless", "privacy managers are up: not so at node-1 after 2 s"),
        ("geth:node-1:silent", "nodes answer: not so at node-1"),
        ("geth:*:stuck", "nodes see their peers: not so at node-1, node-2"),
    ],
)
def test_who_does_not_come_up_is_named(
    make, monkeypatch: pytest.MonkeyPatch, trouble: str, sentence: str
) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", trouble)
    network = make(nodes=2, start_timeout=2)
    with pytest.raises(StartTimeout, match=sentence):
        network.up()
    assert all_gone(network)


def test_a_failed_up_ends_what_it_started_and_no_more(
    make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ran before still runs."""
    network = make(nodes=2)
    network.up()
    network.stop("node-2", "geth")
    before = records(network)
    monkeypatch.setenv("FAKE_TROUBLE", "geth:node-2:dies")
    with pytest.raises(EngineEnded):
        network.up()
    assert records(network) == before
    assert all(processes.alive(one) for one in before.values())


@pytest.mark.parametrize(("offset", "what"), [(0, "JSON-RPC"), (1, "peers"), (7, "third-party")])
def test_an_occupied_port_is_named(make, offset: int, what: str) -> None:
    """With what it is for; nothing is left running."""
    base = free_block(10)
    network = make(nodes=2, base_port=base)
    with socket.create_server(("127.0.0.1", base + offset)):
        with pytest.raises(PortOccupied, match=rf"port {base + offset} \(.*{what}"):
            network.up()
        assert all_gone(network)
    network.up()


def test_missing_programs_and_java_are_told_before_anything_is_made(
    make, environment: dict[str, str], tmp_path: Path
) -> None:
    geth = environment.pop("STEELYARD_GETH")
    environment["STEELYARD_GETH"] = "/nowhere/geth"
    with pytest.raises(MissingProgram, match="/nowhere/geth is not a file"):
        make().up()
    environment["STEELYARD_GETH"] = geth
    environment["JAVA_HOME"] = str(tmp_path)
    with pytest.raises(WrongJava, match="bin/java cannot be run"):
        make().up()
    assert not (tmp_path / "n").exists()


def test_the_uber_jar_runs_as_well(make, environment: dict[str, str], tmp_path: Path) -> None:
    from fakeprograms import write_jar

    environment["STEELYARD_TESSERA"] = str(write_jar(tmp_path / "app.jar", version="20.10.1"))
    network = make(nodes=1, heap=99)
    network.up()
    log = network.nodes[0].log("tessera").read_text()
    assert "-configfile" in log
    assert network.programs.tessera.uber_jar


def test_raft_waits_for_a_leader(make) -> None:
    said: list[str] = []
    network = make(nodes=2, consensus="raft")
    network._report = said.append
    network.up()
    assert any("a leader exists" in line for line in said)
    assert not any("blocks come" in line for line in said)
    assert "raftport=" in network.nodes[0].enode


def test_an_old_tessera_that_cannot_list_keys_is_not_waited_for(
    make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "tessera:*:old")
    make(nodes=1).up()


def test_a_tessera_that_does_not_tell_its_version_is_refused(
    make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GoQuorum would take it for a Constellation, come up, and make no private transaction."""
    monkeypatch.setenv("FAKE_TROUBLE", "tessera:node-2:versionless")
    network = make(nodes=2)
    with pytest.raises(UnfitTessera, match=r"Tessera of node-2 does not tell its version"):
        network.up()
    assert all_gone(network)


def test_ports_beyond_the_loopback_are_told(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured, not taken from the configuration."""
    monkeypatch.setenv("FAKE_TROUBLE", "tessera:node-2:exposed")
    network = make(nodes=2)
    network.up()
    _, open_one = network.nodes
    assert set(network.exposed_ports()) == set(open_one.ports("tessera").values())


def test_one_node_is_stopped_killed_and_started(make) -> None:
    """The other one never notices; a stop is in order, a kill of one part leaves the other."""
    network = make(nodes=2)
    network.up()
    first = {name: one for name, one in records(network).items() if "node-1" in name}
    network.stop("node-2")
    states = {part.part: part.state for part in network.status()[1].parts}
    assert states == {"geth": "stopped", "tessera": "stopped"}
    assert network.ended() == set()
    with pytest.raises(NetworkProblem, match="geth of node-2 does not run"):
        network.kill("node-2", "geth")
    network.start("node-2")
    assert all(one.runs for one in network.status())
    network.kill("node-2", "tessera")
    assert [part.pid is None for part in network.status()[1].parts] == [True, False]
    network.start("node-2", "tessera")
    network.restart("node-2", "geth")
    network.suspend("node-2", "geth")
    network.resume("node-2", "geth")
    assert all(one.runs for one in network.status())
    assert {name: one for name, one in records(network).items() if "node-1" in name} == first
    with pytest.raises(NetworkProblem, match="there is no node-9; there are node-1, node-2"):
        network.stop("node-9")


def test_an_engine_that_ended_by_itself_is_told_from_one_that_was_stopped(make) -> None:
    network = make(nodes=1)
    network.up()
    processes.kill(network.nodes[0].record.processes["geth"])
    assert network.ended() == {("node-1", "geth")}
    assert network.status()[0].parts[1].state == "ended by itself"
    network.start("node-1")
    assert network.ended() == set()


def test_a_stubborn_engine_is_killed_and_told(make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "geth:node-1:stubborn")
    said: list[str] = []
    network = make(nodes=1, stop_timeout=0.2)
    network._report = said.append
    network.up()
    network.down()
    assert all_gone(network)
    assert "1 processes did not end in 0.2 s and were killed" in said


def test_a_start_can_be_abandoned(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another thread, or a signal's handler: what was started is ended again."""
    monkeypatch.setenv("FAKE_TROUBLE", "geth:node-1:silent")
    network = make(nodes=1)
    caught: list[BaseException] = []

    def start() -> None:
        try:
            network.up()
        except Abandoned as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    while not (state := read_state(network.directory)) or len(state.nodes[0].processes) < 2:
        time.sleep(0.02)
    network.abandoned.set()
    thread.join()
    assert len(caught) == 1
    assert all_gone(network)


def test_two_commands_at_once_are_kept_apart(make, monkeypatch: pytest.MonkeyPatch) -> None:
    network = make(nodes=1)
    network.up()
    monkeypatch.setattr("steelyard.network.lock.LOCK_SECONDS", 0.2)
    with (network.directory / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(NetworkProblem, match="another command is at work"):
            network.down()
    network.down()


def test_as_a_context_manager_it_is_down_afterwards(make) -> None:
    with make(nodes=1) as network:
        ports = network.nodes[0].ports("geth").values()
        assert not any(is_free(port) for port in ports)
    assert all_gone(network)
