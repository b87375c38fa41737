"""Reading the arguments of JSON-RPC methods, with GoQuorum's words for what is wrong."""

import re
from typing import Any

from steelyard.sandbox.chain import Chain
from steelyard.sandbox.errors import RpcError, invalid_params, server_error

_HEX = re.compile(r"^[0-9a-fA-F]*$")
MAX_NUMBER = 2**63 - 1


def _argument(index: int, message: str) -> RpcError:
    return invalid_params(f"invalid argument {index}: {message}")


def _text(value: Any, index: int, kind: str) -> str:
    if not isinstance(value, str):
        names = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
        name = names.get(type(value), "non-string")
        raise _argument(index, f"json: cannot unmarshal {name} into Go value of type {kind}")
    return value


def read_bytes(value: Any, index: int, kind: str = "hexutil.Bytes") -> bytes:
    """Hex data with 0x, of any length."""
    text = _text(value, index, kind)
    fault = None
    if text[:2] not in ("0x", "0X"):
        fault = "without 0x prefix" if text else ""
    elif not _HEX.match(text[2:]):
        raise _argument(
            index, f"json: cannot unmarshal invalid hex string into Go value of type {kind}"
        )
    elif len(text) % 2:
        fault = "of odd length"
    if fault is not None:
        wrong = f"hex string {fault}" if fault else "empty hex string"
        raise _argument(index, f"json: cannot unmarshal {wrong} into Go value of type {kind}")
    return bytes.fromhex(text[2:])


def read_fixed(value: Any, index: int, size: int, kind: str) -> bytes:
    """An address or a hash."""
    text = _text(value, index, kind)
    if text[:2] not in ("0x", "0X") or not _HEX.match(text[2:]):
        raise _argument(
            index, f"json: cannot unmarshal invalid hex string into Go value of type {kind}"
        )
    digits = text[2:]
    if len(digits) != size * 2:
        raise _argument(index, f"hex string has length {len(digits)}, want {size * 2} for {kind}")
    return bytes.fromhex(digits)


def read_address(value: Any, index: int = 0) -> bytes:
    """Twenty bytes."""
    return read_fixed(value, index, 20, "common.Address")


def read_hash(value: Any, index: int = 0) -> bytes:
    """Thirty-two bytes."""
    return read_fixed(value, index, 32, "common.Hash")


def read_quantity(value: Any, index: int) -> int:
    """A number in hex without leading zeros."""
    text = _text(value, index, "hexutil.Uint64")
    if text[:2] not in ("0x", "0X"):
        raise _argument(index, "hex string without 0x prefix")
    digits = text[2:]
    if not digits:
        raise _argument(index, 'hex string "0x"')
    if not _HEX.match(digits):
        raise _argument(index, "invalid hex string")
    if digits[0] == "0" and len(digits) > 1:
        raise _argument(index, "hex number with leading zero digits")
    number = int(digits, 16)
    if number > 2**64 - 1:
        raise _argument(index, "hex number > 64 bits")
    return number


def read_block(value: Any, index: int, head: int) -> int:
    """A block number or tag: "pending" gives the one after the head; the rest may not exist."""
    text = _text(value, index, "rpc.BlockNumber")
    tags = {"latest": head, "earliest": 0, "pending": head + 1}
    if text in tags:
        return tags[text]
    number = read_quantity(text, index)
    if number > MAX_NUMBER:
        raise _argument(index, "block number larger than int64")
    return number


def read_topics(value: Any, index: int) -> list[set[bytes] | None]:
    """Positions of topics: a hash, several of which one must match, or null for any."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise _argument(index, "invalid topics")
    positions: list[set[bytes] | None] = []
    for position in value:
        if position is None:
            positions.append(None)
        elif isinstance(position, list):
            # A null among the alternatives matches everything, as in GoQuorum.
            allowed = None if None in position else {read_hash(topic, index) for topic in position}
            positions.append(allowed or None)
        else:
            positions.append({read_hash(position, index)})
    return positions


def read_addresses(value: Any, index: int) -> set[bytes]:
    """One address or a list; empty for any."""
    if value is None:
        return set()
    return {_log_address(each, index) for each in (value if isinstance(value, list) else [value])}


def _log_address(value: Any, index: int) -> bytes:
    if not isinstance(value, str):
        raise _argument(index, "invalid addresses in query")
    data = read_bytes(value, index)
    if len(data) != 20:
        raise _argument(
            index,
            f"invalid address: hex has invalid length {len(data)} after decoding; "
            "expected 20 for address",
        )
    return data


def read_digest(value: Any, index: int = 0) -> bytes:
    """A privacy manager's hash, with or without 0x. Raises RpcError."""
    text = _text(value, index, "string")
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if not digits:
        raise server_error("Invalid digest hex")
    foreign = next((each for each in digits if not _HEX.match(each)), None)
    if foreign is not None:
        raise server_error(f"encoding/hex: invalid byte: U+{ord(foreign):04X} '{foreign}'")
    if len(digits) % 2:
        raise server_error("encoding/hex: odd length hex string")
    digest = bytes.fromhex(digits)
    if len(digest) != 64:
        raise server_error(f"Expected a Quorum digest of length 64, but got {len(digest)}")
    return digest


def read_flag(value: Any, index: int) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _argument(index, "json: cannot unmarshal non-boolean into Go value of type bool")
    return value


def read_block_or_hash(value: Any, index: int, chain: Chain) -> int:
    """A block's number from a number, a tag, or an object with `blockHash` or `blockNumber`."""
    if not isinstance(value, dict):
        return read_block(value, index, chain.head.number)
    if value.get("blockNumber") is not None:
        return read_block(value["blockNumber"], index, chain.head.number)
    block = chain.by_hash(read_hash(value.get("blockHash"), index))
    if block is None:
        raise server_error("header for hash not found")
    return block.number


def read_slot(value: Any, index: int) -> int:
    """A storage slot's index: hex of any length."""
    text = _text(value, index, "string")
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    if not _HEX.match(digits) or len(digits) > 64:
        raise _argument(index, "invalid hex string")
    return int(digits or "0", 16)


def read_private_for(value: Any, index: int) -> list[str] | None:
    """The parties of a private transaction; None when it names none."""
    kind = "Go struct field SendRawTxArgs.PrivateTxArgs.privateFor of type []string"
    if value is None:
        raise invalid_params(f"missing value for required argument {index}")
    if not isinstance(value, dict):
        raise _argument(
            index, "json: cannot unmarshal non-object into Go value of type ethapi.SendRawTxArgs"
        )
    parties = value.get("privateFor")
    if parties is None:
        return None
    if not isinstance(parties, list):
        name = "string" if isinstance(parties, str) else "non-array"
        raise _argument(index, f"json: cannot unmarshal {name} into {kind}")
    if not all(isinstance(party, str) for party in parties):
        raise _argument(index, f"json: cannot unmarshal non-string into {kind[:-2]}")
    return list(parties)
