"""Hashes, RLP and hexadecimal, in the forms that the Ethereum wire uses."""

from typing import TypeAlias

import rlp  # type: ignore[import-untyped]  # the package ships no types
from eth_utils.crypto import keccak as _keccak

# What RLP holds: bytes, lists of it, and integers when encoding.
Rlp: TypeAlias = "bytes | int | list[Rlp]"


def keccak(data: bytes) -> bytes:
    """Keccak-256, Ethereum's hash."""
    return _keccak(data)


def rlp_encode(item: Rlp) -> bytes:
    """The recursive length prefix encoding (Ethereum yellow paper, appendix B)."""
    encoded: bytes = rlp.encode(item)
    return encoded


def rlp_decode(data: bytes) -> Rlp:
    """The items of an encoding. Raises ValueError."""
    try:
        decoded: Rlp = rlp.decode(data)
    except rlp.exceptions.DecodingError:
        raise ValueError("not a recursive length prefix encoding") from None
    return decoded


def to_hex(data: bytes) -> str:
    """Lower-case hexadecimal behind 0x."""
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """The bytes of hexadecimal behind 0x. Raises ValueError."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError("not hexadecimal behind 0x")
    return bytes.fromhex(text[2:])


def to_quantity(number: int) -> str:
    """A number as JSON-RPC writes it: hexadecimal behind 0x without leading zeros."""
    return hex(number)


def from_quantity(text: str) -> int:
    """The number of a JSON-RPC quantity. Raises ValueError."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError("not a quantity")
    return int(text, 16)
