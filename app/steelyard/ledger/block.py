"""A block's header and transactions, recomputed from what a node says of them."""

from eth_utils.address import to_checksum_address

from steelyard.ledger.encoding import (
    Rlp,
    from_hex,
    from_quantity,
    keccak,
    rlp_decode,
    rlp_encode,
    to_hex,
)
from steelyard.ledger.jsonrpc import Json
from steelyard.ledger.signer import recover_sender, transaction_hash
from steelyard.ledger.trie import list_root

_HEADER = (
    ("parentHash", from_hex),
    ("sha3Uncles", from_hex),
    ("miner", from_hex),
    ("stateRoot", from_hex),
    ("transactionsRoot", from_hex),
    ("receiptsRoot", from_hex),
    ("logsBloom", from_hex),
    ("difficulty", from_quantity),
    ("number", from_quantity),
    ("gasLimit", from_quantity),
    ("gasUsed", from_quantity),
    ("timestamp", from_quantity),
    ("extraData", from_hex),
    ("mixHash", from_hex),
    ("nonce", from_hex),
)
_EXTRA_DATA = 12
# The mark of Istanbul's and QBFT's headers: the ASCII of "ctical byzantine fault tolerance".
_BFT_MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"


def header_hash(block: dict[str, Json]) -> str | None:
    """The hash that a block's header must have; None if it is not a header.

    A QBFT block is hashed without its commit seals and its round, as these come after the
    proposal that they seal: extraData = [vanity, validators, vote, round, seals] counts as
    [vanity, validators, vote, 0, []].
    """
    try:
        fields: list[Rlp] = [read(block[name]) for name, read in _HEADER]
        if block["mixHash"] == _BFT_MIX_HASH:
            extra = rlp_decode(from_hex(block["extraData"]))
            if not isinstance(extra, list) or len(extra) != 5:
                return None
            fields[_EXTRA_DATA] = rlp_encode([*extra[:3], b"", []])
        return to_hex(keccak(rlp_encode(fields)))
    except (KeyError, ValueError, TypeError):
        return None


def transactions_root(block: dict[str, Json]) -> str | None:
    """The root that the header must have for the transactions listed; None if one is not legacy."""
    try:
        return to_hex(
            list_root(
                [
                    rlp_encode([*_signed_fields(transaction), *_signature(transaction)])
                    for transaction in block["transactions"]
                ]
            )
        )
    except (KeyError, ValueError, TypeError):
        return None


def hashes_in(block: dict[str, Json]) -> list[str]:
    """The hashes of a block's transactions, in order."""
    transactions = block.get("transactions") or []
    return [str(one.get("hash")) if isinstance(one, dict) else str(one) for one in transactions]


def content_hash(transaction: dict[str, Json]) -> str | None:
    """The hash that a legacy transaction of this content must have; None if it is none."""
    try:
        return transaction_hash(_signed_fields(transaction), *_signature(transaction))
    except (KeyError, ValueError, TypeError):
        return None


def signer_of(transaction: dict[str, Json]) -> str | None:
    """The address whose key signed a private transaction, from its signature; or None."""
    try:
        return recover_sender(_signed_fields(transaction), *_signature(transaction))
    except (KeyError, ValueError, TypeError):
        return None


def target_of(transaction: dict[str, Json]) -> str | None:
    """The checksummed address that a transaction goes to; None for a deployment."""
    try:
        return to_checksum_address(transaction["to"])
    except (KeyError, ValueError, TypeError):
        return None


def _signed_fields(transaction: dict[str, Json]) -> list[Rlp]:
    return [
        from_quantity(transaction["nonce"]),
        from_quantity(transaction["gasPrice"]),
        from_quantity(transaction["gas"]),
        from_hex(transaction["to"]) if transaction["to"] else b"",
        from_quantity(transaction["value"]),
        from_hex(transaction["input"]),
    ]


def _signature(transaction: dict[str, Json]) -> tuple[int, int, int]:
    v, r, s = (from_quantity(transaction[part]) for part in ("v", "r", "s"))
    return v, r, s
