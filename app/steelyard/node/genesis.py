"""The genesis of a consortium: made once, from its validators, and kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlp  # type: ignore[import-untyped]  # the package ships no types

from steelyard.network.genesis import fingerprint, genesis, rendered
from steelyard.network.settings import NetworkSettings
from steelyard.node.addresses import check_orders, checksummed
from steelyard.node.errors import ForeignGenesis, NodeProblem
from steelyard.secret_files import write_secret


@dataclass(frozen=True, slots=True)
class Genesis:
    """A genesis file: its SHA-256, what it says, and who votes at first."""

    sha256: str
    document: dict[str, Any]
    validators: tuple[str, ...]

    @property
    def chain_id(self) -> int:
        """The chain's id."""
        return int(self.document["config"]["chainId"])


def write_genesis(
    path: Path,
    validators: Sequence[str],
    *,
    chain_id: int,
    block_period: int,
    empty_block_period: int,
) -> str:
    """Write the file, unless it is there already; its SHA-256.

    Raises ForeignGenesis for another one, which is never replaced, and NodeProblem for addresses
    that are none, and for validators that GoQuorum would not order in one way.
    """
    addresses = checksummed(validators)
    check_orders(addresses)
    # Not validated, which would read the environment: the options alone count.
    settings = NetworkSettings.model_construct(
        consensus="qbft",
        chain_id=chain_id,
        block_period=block_period,
        empty_block_period=empty_block_period,
    )
    text = rendered(genesis(settings, addresses))
    try:
        if not path.exists():
            write_secret(path, text.encode(), mode=0o644)
            return fingerprint(text)
    except OSError as error:
        raise NodeProblem(f"{path}: {error.strerror}") from None
    there = read_genesis(path)
    if there.document != json.loads(text):
        raise ForeignGenesis(
            f"{path} is another genesis than this would be (it differs in "
            f"{', '.join(_differences(there.document, json.loads(text)))}); a genesis is made once "
            "and kept, as all blocks stand on it"
        )
    return there.sha256


def read_genesis(path: Path) -> Genesis:
    """A QBFT genesis. Raises NodeProblem."""
    try:
        text = path.read_text("utf-8")
        document = json.loads(text)
        validators = _validators(document["extraData"])
        int(document["config"]["chainId"])
    except OSError as error:
        raise NodeProblem(f"{path}: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, NodeProblem, rlp.exceptions.RLPException):
        raise NodeProblem(f"{path} is no genesis of a QBFT network") from None
    return Genesis(fingerprint(text), document, validators)


def _validators(extra_data: str) -> tuple[str, ...]:
    """The addresses in rlp([vanity, validators, vote, round, seals])."""
    addresses = rlp.decode(bytes.fromhex(extra_data.removeprefix("0x")))[1]
    return tuple(checksummed("0x" + bytes(one).hex() for one in addresses))


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The names of the fields that are not the same, those of `config` and `qbft` by theirs."""
    names: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(key), other.get(key)
        if isinstance(mine, dict) and isinstance(theirs, dict):
            names += [f"{key}.{inner}" for inner in _differences(mine, theirs)]
        elif mine != theirs:
            names.append("the validators" if key == "extraData" else key)
    return names
