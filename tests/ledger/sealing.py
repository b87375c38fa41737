"""QBFT headers with real seals, by validators made up for a test."""

from eth_keys.datatypes import PrivateKey

from steelyard.ledger import block, seals
from steelyard.ledger.encoding import keccak, rlp_encode, to_hex

_BFT = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
KEYS = [PrivateKey(keccak(f"validator {number}".encode())) for number in range(40)]


def addresses(keys) -> list[str]:
    return [key.public_key.to_address() for key in keys]


def header(number=1, parent=bytes(32), *, listed=(), sealers=(), round_=0, extra=None):
    """The fields of a header that lists validators, sealed by the keys of `sealers`."""
    members = [bytes(32), [key.public_key.to_canonical_address() for key in listed], [], round_]
    fields = [
        parent, bytes(32), bytes(20), bytes(32), bytes(32), bytes(32), bytes(256),
        1, number, 10**9, 0, 1_700_000_000 + number, b"", _BFT, bytes(8),
    ]  # fmt: skip
    fields[block.EXTRA_DATA] = rlp_encode([*members, []])
    digest = seals.seal_hash(fields)
    signed = [key.sign_msg_hash(digest).to_bytes() for key in sealers]
    fields[block.EXTRA_DATA] = rlp_encode([*members, extra if extra is not None else signed])
    return fields


_NAMES = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot",
    "logsBloom", "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData",
    "mixHash", "nonce",
)  # fmt: skip


def as_json(fields) -> dict[str, object]:
    """A header as a node gives it."""
    written = [hex(field) if isinstance(field, int) else to_hex(field) for field in fields]
    return dict(zip(_NAMES, written, strict=True)) | {"hash": block.hash_of_header(fields)}


def chain(length: int, first: int = 10, **members: object) -> list[list]:
    """Headers that follow one another."""
    found = [header(first, **members)]
    for number in range(first + 1, first + length):
        parent = bytes.fromhex(block.hash_of_header(found[-1])[2:])
        found.append(header(number, parent, **members))
    return found
