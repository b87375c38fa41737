"""A node's keys: made once, on the host that uses them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from steelyard.network.errors import CorruptState
from steelyard.network.keys import (
    PrivacyKey,
    draw_node_key,
    read_node_key,
    read_privacy_key,
    read_private_half,
    unlocked,
)
from steelyard.node.addresses import check_orders
from steelyard.node.errors import KeysUnusable
from steelyard.secret_files import locked, write_secret

NODE_KEY = Path("geth/geth/nodekey")
CHAIN = Path("geth/geth/chaindata")
TESSERA = Path("tessera")
_PUBLIC = 0o644


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


def make_keys(directory: Path, beside: Sequence[str] = ()) -> PublicKeys:
    """The public halves of a node's keys; what is missing of them is made.

    A new node key agrees in GoQuorum's two orders with `beside`, the checksummed addresses of other
    validators, and with every other that is made here (docs/decisions/network-keys.md). Raises
    KeysUnusable; never replaces a key. A call that is killed leaves nothing that the next one does
    not complete.
    """
    check_orders(beside)
    try:
        _make_open_directory(directory)
        with locked(directory):
            node_made = _make_node_key(directory, beside)
            pair_made = _make_pair(directory / TESSERA)
    except OSError as error:
        raise KeysUnusable(f"{error.filename or directory}: {error.strerror}") from None
    return show_keys(directory, made=node_made or pair_made)


def show_keys(directory: Path, *, made: bool = False) -> PublicKeys:
    """The public halves of the keys that are there. Raises KeysUnusable."""
    try:
        node = read_node_key(directory / NODE_KEY)
        pair = read_privacy_key(directory / TESSERA)
    except CorruptState as problem:
        raise KeysUnusable(problem.detail) from None
    return PublicKeys(directory.resolve().name, node.address, node.identity, pair.public, made)


def _make_node_key(directory: Path, beside: Sequence[str]) -> bool:
    path = directory / NODE_KEY
    _sweep(path)
    if path.exists():
        return False
    if (directory / CHAIN).exists():
        raise KeysUnusable(
            f"{directory} holds a chain and no node key: bring the key back from a backup"
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_secret(path, draw_node_key(beside).private.hex().encode())
    return True


def _make_pair(directory: Path) -> bool:
    """The private half first: the public one follows from it, also in the next call."""
    private, public = directory / "tm.key", directory / "tm.pub"
    _sweep(private)
    _sweep(public)
    if private.exists() and public.exists():
        return False
    if public.exists():
        raise KeysUnusable(f"{directory} holds tm.pub and no tm.key: bring it back from a backup")
    if private.exists():
        try:
            pair = read_private_half(private)
        except CorruptState as problem:
            raise KeysUnusable(problem.detail) from None
    else:
        if any(directory.glob("database*")):
            raise KeysUnusable(
                f"{directory} holds payloads and no keys: bring the keys back from a backup"
            )
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        pair = PrivacyKey.generate()
        write_secret(private, unlocked(pair).encode())
    write_secret(public, pair.public.encode(), mode=_PUBLIC)
    return True


def _sweep(path: Path) -> None:
    """Remove what a call left that was killed while it wrote the file (secret_files.py)."""
    for scratch in path.parent.glob(f".{path.name}.*"):
        scratch.unlink()


def _make_open_directory(directory: Path) -> None:
    """The directory is for several users: it has the mode 0755."""
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)  # whatever the umask is
