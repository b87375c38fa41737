"""A node's keys: made once, on the host that uses them."""

import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steelyard.network.errors import CorruptState
from steelyard.network.keys import (
    NodeKey,
    PrivacyKey,
    orders_agree,
    read_node_key,
    read_privacy_key,
    write_privacy_key,
)
from steelyard.node.errors import KeysUnusable
from steelyard.secret_files import write_secret

NODE_KEY = Path("geth/geth/nodekey")
CHAIN = Path("geth/geth/chaindata")
TESSERA = Path("tessera")
_DRAWS = 100_000


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What others may know: `identity` is the enode's hexadecimal, `made` whether it is new."""

    name: str
    address: str
    identity: str
    tessera_public_key: str
    made: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def make_keys(directory: Path, beside: Sequence[str] | None) -> PublicKeys:
    """The public halves of a node's keys; what is missing of them is made.

    `beside` are the addresses of the other validators, if this is to be one: it is drawn until
    all addresses sort alike in both of GoQuorum's orders (docs/decisions/network-keys.md). None
    for a node that does not vote. Raises KeysUnusable; never replaces a key.
    """
    node_file, pair_directory = directory / NODE_KEY, directory / TESSERA
    made = False
    if not node_file.exists():
        if (directory / CHAIN).exists():
            raise KeysUnusable(
                f"{directory} holds a chain and no node key: bring the key back from a backup"
            )
        _make_directory(node_file.parent)
        write_secret(node_file, _drawn(beside).private.hex().encode())
        made = True
    if not (pair_directory / "tm.key").exists() and not (pair_directory / "tm.pub").exists():
        if any(pair_directory.glob("database*")):
            raise KeysUnusable(
                f"{pair_directory} holds payloads and no keys: bring the keys back from a backup"
            )
        _make_pair(pair_directory)
        made = True
    return show_keys(directory, made=made)


def show_keys(directory: Path, *, made: bool = False) -> PublicKeys:
    """The public halves of the keys that are there. Raises KeysUnusable."""
    try:
        node = read_node_key(directory / NODE_KEY)
        pair = read_privacy_key(directory / TESSERA)
    except CorruptState as problem:
        raise KeysUnusable(problem.detail) from None
    return PublicKeys(directory.name, node.address, node.identity, pair.public, made)


def _drawn(beside: Sequence[str] | None) -> NodeKey:
    for _ in range(_DRAWS):
        key = NodeKey.of(secrets.token_bytes(32))
        if beside is None or orders_agree([*beside, key.address]):
            return key
    # The others alone are out of order: nothing that is drawn beside them mends that.
    raise KeysUnusable(
        "the addresses of the other validators sort differently by bytes and by checksum; "
        "no key can be drawn beside them"
    )


def _make_pair(directory: Path) -> None:
    """Both files or none: a half would be taken for a damaged pair."""
    _make_directory(directory)
    scratch = directory / ".new"
    _make_directory(scratch)
    write_privacy_key(scratch, PrivacyKey.generate())
    for name in ("tm.pub", "tm.key"):
        _sync(scratch / name)
        (scratch / name).replace(directory / name)
    scratch.rmdir()


def _make_directory(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True, mode=0o750)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
