"""Hashes, addresses, roots and blooms, by the yellow paper's appendices B to D."""

from collections.abc import Sequence

from eth_hash.auto import keccak

from steelyard.sandbox.rlp import Encodable, encode

EMPTY_ROOT = keccak(encode(b""))
EMPTY_CODE_HASH = keccak(b"")
EMPTY_BLOOM = bytes(256)
_ODD, _LEAF = 0x10, 0x20

_CALL_GAS, _CREATE_GAS, _ZERO_BYTE_GAS, _BYTE_GAS = 21_000, 32_000, 4, 16


def contract_address(sender: bytes, nonce: int) -> bytes:
    """The address of the contract that this sender's transaction creates."""
    return keccak(encode([sender, nonce]))[12:]


def checksummed(address: bytes) -> str:
    """An address in the letters of EIP-55."""
    digits = address.hex()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) > 7 else digit
        for digit, mark in zip(digits, marks, strict=False)
    )


def intrinsic_gas(data: bytes, *, creates: bool) -> int:
    """The gas that a transaction costs before it runs (EIP-2028 prices)."""
    zeros = data.count(0)
    base = _CALL_GAS + (_CREATE_GAS if creates else 0)
    return base + zeros * _ZERO_BYTE_GAS + (len(data) - zeros) * _BYTE_GAS


def bloom(parts: Sequence[bytes]) -> bytes:
    """The 2048-bit filter of the logs' addresses and topics."""
    bits = 0
    for part in parts:
        digest = keccak(part)
        for index in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[index : index + 2], "big") & 0x7FF)
    return bits.to_bytes(256, "big")


def list_root(items: Sequence[bytes]) -> bytes:
    """The root of the trie that maps the RLP of each index to its item."""
    return trie_root({encode(index): item for index, item in enumerate(items)})


def trie_root(entries: dict[bytes, bytes]) -> bytes:
    """The root hash of a Merkle Patricia trie of these keys and values."""
    if not entries:
        return EMPTY_ROOT
    pairs = sorted((_nibbles(key), value) for key, value in entries.items())
    return keccak(encode(_node(pairs, 0)))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _compact(nibbles: bytes, *, leaf: bool) -> bytes:
    flag = _LEAF if leaf else 0
    if len(nibbles) % 2:
        nibbles = bytes([flag | _ODD | nibbles[0]]) + nibbles[1:]
        head, rest = nibbles[:1], nibbles[1:]
    else:
        head, rest = bytes([flag]), nibbles
    packed = bytes(high << 4 | low for high, low in zip(rest[::2], rest[1::2], strict=True))
    return head + packed


def _node(pairs: list[tuple[bytes, bytes]], depth: int) -> list[Encodable]:
    """The trie node that holds these sorted pairs, whose keys agree up to `depth`."""
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) == 1:
        return [_compact(first[depth:], leaf=True), pairs[0][1]]
    shared = depth
    while shared < len(first) and first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        return [_compact(first[depth:shared], leaf=False), _reference(_node(pairs, shared))]
    branch: list[Encodable] = [b""] * 17
    for nibble in range(16):
        below = [pair for pair in pairs if len(pair[0]) > depth and pair[0][depth] == nibble]
        if below:
            branch[nibble] = _reference(_node(below, depth + 1))
    branch[16] = next((value for key, value in pairs if len(key) == depth), b"")
    return branch


def _reference(node: list[Encodable]) -> Encodable:
    encoded = encode(node)
    return node if len(encoded) < 32 else keccak(encoded)
