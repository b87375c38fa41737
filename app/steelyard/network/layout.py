"""Makes a network's directory, or takes up the one that is there."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from steelyard.network.errors import CorruptState, ForeignDirectory
from steelyard.network.genesis import fingerprint, genesis, rendered
from steelyard.network.keys import (
    NodeKey,
    PrivacyKey,
    draw_node_keys,
    read_node_key,
    read_privacy_key,
    write_node_key,
    write_privacy_key,
)
from steelyard.network.lock import LOCK_FILE
from steelyard.network.node import Node
from steelyard.network.ports import free_block
from steelyard.network.settings import PORTS_PER_NODE, NetworkSettings
from steelyard.network.state import Choices, NodeRecord, State, read_state, write_state

GENESIS_FILE = "genesis.json"
# sockaddr_un holds 108 bytes, with a zero at the end (unix(7)).
_SOCKET_BYTES = 107
_IN_THE_GENESIS = (*("consensus", "chain_id", "block_period", "empty_block_period", "validators"),)


def nodes_of(directory: Path, state: State) -> list[Node]:
    """The nodes with their places."""
    raft = state.choices.consensus == "raft"
    voting = state.choices.validators or len(state.nodes)
    return [
        Node(record, directory, raft, votes=place < voting)
        for place, record in enumerate(state.nodes)
    ]


def made_or_reused(directory: Path, settings: NetworkSettings) -> State:
    """The directory's network, which is made where there is none.

    Raises ForeignDirectory for another network than asked for, and for a directory that is used
    for something else; CorruptState for keys or a genesis that are not the network's.
    """
    state = read_state(directory)
    if state is None:
        return _make(directory, settings)
    _compare(directory, state, settings)
    _verify(directory, state)
    chosen = {name: value for name in Choices.model_fields if (value := _given(settings, name))}
    state.choices = state.choices.model_copy(update=chosen)
    return state


def _given(settings: NetworkSettings, name: str) -> object:
    """A setting's value if somebody set it, else None."""
    return getattr(settings, name) if name in settings.model_fields_set else None


def _make(directory: Path, settings: NetworkSettings) -> State:
    strangers = sorted(one.name for one in directory.iterdir() if one.name != LOCK_FILE)
    if strangers:
        raise ForeignDirectory(
            f"{directory} holds {strangers[0]} but no network: name an empty directory"
        )
    keys = draw_node_keys(settings.nodes)
    base = settings.base_port or free_block(PORTS_PER_NODE * settings.nodes)
    privacy_keys = [PrivacyKey.generate() for _ in keys]
    voting = settings.validators or len(keys)
    text = rendered(genesis(settings, [key.address for key in keys[:voting]]))
    state = State(
        choices=Choices(**{name: getattr(settings, name) for name in Choices.model_fields}),
        genesis=fingerprint(text),
        nodes=[
            _record(number, key, privacy.public, base)
            for number, (key, privacy) in enumerate(zip(keys, privacy_keys, strict=True))
        ],
    )
    try:
        nodes = nodes_of(directory, state)
        _check_sockets(nodes)
        _write(nodes, keys, privacy_keys)
        (directory / GENESIS_FILE).write_text(text, "ascii")
        write_state(directory, state)
    except BaseException:
        # Half a network would be taken for something else's directory the next time.
        for record in state.nodes:
            shutil.rmtree(directory / record.name, ignore_errors=True)
        (directory / GENESIS_FILE).unlink(missing_ok=True)
        raise
    return state


def _record(number: int, key: NodeKey, public_key: str, base: int) -> NodeRecord:
    rpc, peer, third_party, privacy, raft = range(
        base + number * PORTS_PER_NODE, base + (number + 1) * PORTS_PER_NODE
    )
    return NodeRecord(
        name=f"node-{number + 1}",
        address=key.address,
        identity=key.identity,
        public_key=public_key,
        rpc_port=rpc,
        peer_port=peer,
        third_party_port=third_party,
        privacy_port=privacy,
        raft_port=raft,
    )


def _check_sockets(nodes: Sequence[Node]) -> None:
    longest = max((node.socket for node in nodes), key=lambda path: len(os.fsencode(path)))
    if len(os.fsencode(longest)) > _SOCKET_BYTES:
        raise ForeignDirectory(
            f"{longest} is longer than the {_SOCKET_BYTES} bytes that a socket's path may have: "
            "name a directory with a shorter path"
        )


def _write(nodes: Sequence[Node], keys: Sequence[NodeKey], pairs: Sequence[PrivacyKey]) -> None:
    for node, key, pair in zip(nodes, keys, pairs, strict=True):
        node.directory.mkdir(mode=0o700)
        node.node_key_file.parent.mkdir(parents=True, mode=0o700)
        node.tessera_directory.mkdir(mode=0o700)
        write_node_key(node.node_key_file, key)
        write_privacy_key(node.tessera_directory, pair)


def _compare(directory: Path, state: State, settings: NetworkSettings) -> None:
    """What was asked for, and cannot be changed any more, must be what the directory has."""
    found: dict[str, object] = {
        "nodes": len(state.nodes),
        "base_port": state.nodes[0].rpc_port,
        **{name: getattr(state.choices, name) for name in _IN_THE_GENESIS},
    }
    for name, value in found.items():
        asked = _given(settings, name)
        if name == "base_port" and not asked:
            continue  # the ports that it has are as good as any free ones
        if asked is not None and asked != value:
            raise ForeignDirectory(
                f"{directory} holds another network: {name} is {value}, not {asked}; "
                "name an empty directory, or leave the option out"
            )


def _verify(directory: Path, state: State) -> None:
    """Genesis and keys are those that the state knows."""
    path = directory / GENESIS_FILE
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise CorruptState(f"{path} cannot be read") from None
    if fingerprint(text) != state.genesis:
        raise CorruptState(f"{path} is not the genesis that this network was started with")
    for node in nodes_of(directory, state):
        if read_node_key(node.node_key_file).address != node.record.address:
            raise CorruptState(f"{node.node_key_file} is not the key of {node.name}")
        if read_privacy_key(node.tessera_directory).public != node.tessera_public_key:
            raise CorruptState(f"{node.tessera_directory} does not hold the keys of {node.name}")
