"""The first block: consensus, validators and limits."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]  # the package ships no types

from steelyard.network.settings import NetworkSettings

# "tical byzantine fault tolerance": how a node knows a QBFT block (EIP-650's constant).
QBFT_MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
# Not Berlin: under its rules GoQuorum 24.4.1 panics on a call that writes to a private state.
FORKS = (
    *("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg"),
    *("istanbul", "muirGlacier"),
)
# A node moves its limit to this by itself; starting there keeps it the same for ever.
GAS_LIMIT = 700_000_000
_KILOBYTES = 128
_VANITY_BYTES = 32


def extra_data(validators: Sequence[str]) -> bytes:
    """QBFT: rlp([vanity, sorted validators, no vote, round 0, no seals])."""
    addresses = sorted(bytes.fromhex(address.removeprefix("0x")) for address in validators)
    encoded: bytes = rlp.encode([bytes(_VANITY_BYTES), addresses, [], b"", []])
    return encoded


def genesis(settings: NetworkSettings, validators: Sequence[str]) -> dict[str, Any]:
    """The document that `geth init` reads."""
    qbft = settings.consensus == "qbft"
    config = {f"{fork}Block": 0 for fork in FORKS} | {
        "chainId": settings.chain_id,
        "isQuorum": True,
        "txnSizeLimit": _KILOBYTES,
        "maxCodeSizeConfig": [{"block": 0, "size": _KILOBYTES}],
        **({"qbft": _qbft(settings)} if qbft else {}),
    }
    return {
        "config": config,
        "nonce": "0x0",
        "timestamp": "0x0",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x1" if qbft else "0x0",
        "mixHash": QBFT_MIX_HASH if qbft else "0x" + 64 * "0",
        "coinbase": "0x" + 40 * "0",
        "alloc": {},
        "extraData": "0x" + (extra_data(validators) if qbft else bytes(_VANITY_BYTES)).hex(),
    }


def _qbft(settings: NetworkSettings) -> dict[str, int]:
    document = {
        "epochlength": 30_000,
        "blockperiodseconds": settings.block_period,
        "requesttimeoutseconds": 4,
        "policy": 0,
        "ceil2Nby3Block": 0,
    }
    if settings.empty_block_period:
        document["emptyblockperiodseconds"] = settings.empty_block_period
    return document


def rendered(document: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(document, indent=2) + "\n"


def fingerprint(text: str) -> str:
    """SHA-256 of the file's text, by which a directory knows its own genesis."""
    return hashlib.sha256(text.encode()).hexdigest()
