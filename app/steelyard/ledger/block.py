"""A block's header and transactions, recomputed from what a node says of them."""

from collections.abc import Sequence

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
from steelyard.ledger.signer import recover_sender
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
PARENT, ROOT, NUMBER, EXTRA_DATA, MIX_HASH = 0, 4, 8, 12, 13
_TRANSACTION_MEMBERS = 9
# The mark of Istanbul's and QBFT's headers: the ASCII of "ctical byzantine fault tolerance".
_BFT_MIX_HASH = from_hex("0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")


# -- headers


def header_fields(block: dict[str, Json]) -> list[Rlp] | None:
    """The 15 members of a block's header, in their order; None if it is not a header."""
    try:
        return [read(block[name]) for name, read in _HEADER]
    except (KeyError, ValueError, TypeError):
        return None


def decode_header(data: bytes) -> list[Rlp] | None:
    """The members of an encoded header, numbers as integers; None if it is none."""
    try:
        fields = rlp_decode(data)
        if not isinstance(fields, list) or len(fields) != len(_HEADER):
            return None
        return [
            _number(field) if read is from_quantity else _text(field)
            for (_, read), field in zip(_HEADER, fields, strict=True)
        ]
    except ValueError:
        return None


def hash_of_header(fields: Sequence[Rlp]) -> str | None:
    """The hash of the block with this header; None if its extra data is not QBFT's.

    A QBFT block is hashed without its commit seals and its round, as these come after the
    proposal that they seal: extraData = [vanity, validators, vote, round, seals] counts as
    [vanity, validators, vote, 0, []].
    """
    hashed = list(fields)
    if is_byzantine(fields):
        extra = extra_data(fields)
        if extra is None:
            return None
        hashed[EXTRA_DATA] = rlp_encode([*extra[:3], b"", []])
    return to_hex(keccak(rlp_encode(hashed)))


def is_byzantine(fields: Sequence[Rlp]) -> bool:
    """Whether a header has the mark of Istanbul's and QBFT's."""
    return fields[MIX_HASH] == _BFT_MIX_HASH


def extra_data(fields: Sequence[Rlp]) -> list[Rlp] | None:
    """The five members of a QBFT header's extra data; None if it is none."""
    raw = fields[EXTRA_DATA]
    try:
        extra = rlp_decode(raw) if isinstance(raw, bytes) else None
    except ValueError:
        return None
    return extra if isinstance(extra, list) and len(extra) == 5 else None


def header_hash(block: dict[str, Json]) -> str | None:
    """The hash that a block's header must have; None if it is not a header."""
    fields = header_fields(block)
    return None if fields is None else hash_of_header(fields)


def number_of(block: dict[str, Json]) -> int | None:
    """A block's number; None if it says none."""
    try:
        return from_quantity(block["number"])
    except (KeyError, ValueError, TypeError):
        return None


# -- transactions


def transactions_root(block: dict[str, Json]) -> str | None:
    """The root that the header must have for the transactions listed; None if one is not legacy."""
    try:
        return to_hex(list_root([raw_transaction(one) for one in block["transactions"]]))
    except (KeyError, ValueError, TypeError):
        return None


def raw_transaction(transaction: dict[str, Json]) -> bytes:
    """A legacy transaction as it was sent. Raises KeyError, ValueError or TypeError."""
    return rlp_encode([*_signed_fields(transaction), *_signature(transaction)])


def decode_transaction(raw: bytes) -> dict[str, Json] | None:
    """A legacy transaction's members as JSON-RPC names them, its hash too; None if it is none."""
    try:
        fields = rlp_decode(raw)
        if not isinstance(fields, list) or len(fields) != _TRANSACTION_MEMBERS:
            return None
        target, data = _text(fields[3]), _text(fields[5])
        names = ("nonce", "gasPrice", "gas", "", "value", "", "v", "r", "s")
        numbers = {
            name: hex(_number(field)) for name, field in zip(names, fields, strict=True) if name
        }
    except ValueError:
        return None
    return numbers | {
        "to": to_hex(target) if target else None,
        "input": to_hex(data),
        "hash": to_hex(keccak(raw)),
    }


def listed_at(block: dict[str, Json], transaction_hash: str) -> int | None:
    """Where a block lists a transaction; None if it does not.

    Looked for by its content, not by the hash that the node says it has; and None as well if
    any transaction of the block is listed with another hash, place or block than it has.
    """
    found = None
    try:
        for at, one in enumerate(block["transactions"]):
            said = (one["hash"], one["transactionIndex"], one["blockHash"], one["blockNumber"])
            if said != (content_hash(one), hex(at), block["hash"], block["number"]):
                return None
            if one["hash"] == transaction_hash:
                found = at
    except (KeyError, ValueError, TypeError):
        return None
    return found


def content_hash(transaction: dict[str, Json]) -> str | None:
    """The hash that a legacy transaction of this content must have; None if it is none."""
    try:
        return to_hex(keccak(raw_transaction(transaction)))
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


def _text(field: Rlp) -> bytes:
    if isinstance(field, bytes):
        return field
    raise ValueError("a list where bytes belong")


def _number(field: Rlp) -> int:
    text = _text(field)
    if text[:1] == b"\0":
        raise ValueError("a number with leading zeros")
    return int.from_bytes(text, "big")
