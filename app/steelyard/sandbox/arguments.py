"""Reading the arguments of JSON-RPC methods, by Go's rules and with GoQuorum's words.

What cannot be read is named as Go's `encoding/json` and geth's `hexutil` name it: an error says
which type, or which member of which struct, was to be filled.
"""

import re
from typing import Any

from steelyard.sandbox.chain import Chain
from steelyard.sandbox.errors import RpcError, invalid_params, server_error

MAX_NUMBER = 2**63 - 1
_HEX = re.compile(r"^[0-9a-fA-F]*$")
_NO_PREFIX = "hex string without 0x prefix"
_SYNTAX = "invalid hex string"


def _argument(index: int, message: str) -> RpcError:
    return invalid_params(f"invalid argument {index}: {message}")


def wrong_type(what: str, index: int, kind: str, field: str | None = None) -> RpcError:
    """The error for a value of another type than `kind`; `field` is the struct's member."""
    where = f"struct field {field}" if field else "value"
    return _argument(index, f"json: cannot unmarshal {what} into Go {where} of type {kind}")


def name_of(value: Any) -> str:
    """What Go calls the type of a JSON value."""
    names = {bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "string")


def _has_prefix(text: str) -> bool:
    return text[:2] in ("0x", "0X")


def _text_fault(text: str) -> str | None:
    """What is wrong with the hex of bytes, as `hexutil` finds it; the syntax comes later."""
    if text and not _has_prefix(text):
        return _NO_PREFIX
    return "hex string of odd length" if len(text) % 2 else None


def hex_fault(text: str) -> str | None:
    """What is wrong with hex data that must be there."""
    if not text:
        return "empty hex string"
    if not _has_prefix(text):
        return _NO_PREFIX
    if not _HEX.match(text[2:]):
        return _SYNTAX
    return "hex string of odd length" if len(text) % 2 else None


def _number_fault(text: str) -> str | None:
    """What is wrong with the hex of a number of 64 bits."""
    digits = text[2:]
    if not _has_prefix(text):
        return _NO_PREFIX
    if not digits:
        return 'hex string "0x"'
    if digits[0] == "0" and len(digits) > 1:
        return "hex number with leading zero digits"
    if len(digits) > 16:
        return "hex number > 64 bits"
    return None if _HEX.match(digits) else _SYNTAX


def read_bytes(value: Any, index: int, field: str | None = None) -> bytes:
    """Hex data with 0x, of any length; an empty text is no bytes."""
    kind = "hexutil.Bytes"
    if not isinstance(value, str):
        raise wrong_type("non-string", index, kind, field)
    fault = _text_fault(value) or (None if _HEX.match(value[2:]) else _SYNTAX)
    if fault is not None:
        raise wrong_type(fault, index, kind, field)
    return bytes.fromhex(value[2:])


def _fixed_fault(text: str, size: int, kind: str) -> tuple[str | None, str | None]:
    """What is wrong with an address or a hash: in its text, and in its length."""
    fault = _text_fault(text)
    digits = text[2:]
    if fault is None and len(digits) != size * 2:
        return None, f"hex string has length {len(digits)}, want {size * 2} for {kind}"
    return fault or (None if _HEX.match(digits) else _SYNTAX), None


def read_fixed(value: Any, index: int, size: int, kind: str, field: str | None = None) -> bytes:
    """An address or a hash."""
    if not isinstance(value, str):
        raise wrong_type("non-string", index, kind, field)
    fault, length_fault = _fixed_fault(value, size, kind)
    if length_fault is not None:
        raise _argument(index, length_fault)
    if fault is not None:
        raise wrong_type(fault, index, kind, field)
    return bytes.fromhex(value[2:])


def read_address(value: Any, index: int = 0, field: str | None = None) -> bytes:
    """Twenty bytes."""
    return read_fixed(value, index, 20, "common.Address", field)


def read_hash(value: Any, index: int = 0, field: str | None = None) -> bytes:
    """Thirty-two bytes."""
    return read_fixed(value, index, 32, "common.Hash", field)


def read_quantity(
    value: Any, index: int, kind: str = "hexutil.Uint64", field: str | None = None
) -> int:
    """A number in hex without leading zeros; an empty text is 0."""
    if not isinstance(value, str):
        raise wrong_type("non-string", index, kind, field)
    fault = _number_fault(value) if value else None
    if fault is not None:
        raise wrong_type(fault, index, kind, field)
    return int(value, 16) if value else 0


def read_value(value: Any, index: int, field: str) -> int:
    """An amount of at most 256 bits."""
    kind = "*hexutil.Big"
    if not isinstance(value, str):
        raise wrong_type("non-string", index, kind, field)
    fault = _number_fault(value) if value else None
    if fault == "hex number > 64 bits":
        long, bad = len(value) > 66, not _HEX.match(value[2:])
        fault = "hex number > 256 bits" if long else _SYNTAX if bad else None
    if fault is not None:
        raise wrong_type(fault, index, kind, field)
    return int(value, 16) if value else 0


def _block_number(text: str, index: int, too_high: str) -> int:
    fault = _number_fault(text) if text else "empty hex string"
    if fault is not None:
        raise _argument(index, fault)
    number = int(text, 16)
    if number > MAX_NUMBER:
        raise _argument(index, too_high)
    return number


def _tags(head: int) -> dict[str, int]:
    return {"latest": head, "earliest": 0, "pending": head + 1}


def read_block(value: Any, index: int, head: int) -> int:
    """A block number or tag: "pending" gives the one after the head; the rest may not exist."""
    if not isinstance(value, str):  # its JSON is read as a number, and has no prefix
        raise _argument(index, _NO_PREFIX)
    tags = _tags(head)
    if value in tags:
        return tags[value]
    return _block_number(value, index, "block number larger than int64")


def read_block_or_hash(value: Any, index: int, chain: Chain) -> int:
    """A block's number from a number, a tag, a hash, or an object with one of them."""
    if value is None:
        value = {}
    if isinstance(value, dict):
        return _block_of_object(value, index, chain)
    if not isinstance(value, str):
        raise wrong_type(name_of(value), index, "string")
    tags = _tags(chain.head.number)
    if value in tags:
        return tags[value]
    if len(value) == 66:
        fault = next((one for one in _fixed_fault(value, 32, "common.Hash") if one), None)
        if fault is not None:
            raise _argument(index, fault)
        return _number_of(bytes.fromhex(value[2:]), chain)
    return _block_number(value, index, "blocknumber too high")


def _block_of_object(value: dict[str, Any], index: int, chain: Chain) -> int:
    number, block_hash = value.get("blockNumber"), value.get("blockHash")
    try:
        at = None if number is None else read_block(number, index, chain.head.number)
        digest = None if block_hash is None else read_hash(block_hash, index)
    except RpcError:  # it is then read as a text, and that is what the error tells
        raise wrong_type("object", index, "string") from None
    if at is not None and digest is not None:
        raise _argument(
            index, "cannot specify both BlockHash and BlockNumber, choose one or the other"
        )
    if digest is not None:
        return _number_of(digest, chain)
    if at is None:
        raise server_error("invalid arguments; neither block nor hash specified")
    return at


def _number_of(block_hash: bytes, chain: Chain) -> int:
    block = chain.by_hash(block_hash)
    if block is None:
        raise server_error("header for hash not found")
    return block.number


def read_flag(value: Any, index: int) -> bool:
    """True or false; null is false."""
    if value is not None and not isinstance(value, bool):
        raise wrong_type(name_of(value), index, "bool")
    return bool(value)


def read_digest(value: Any, index: int = 0) -> bytes:
    """A privacy manager's hash, with or without 0x. Raises RpcError."""
    if value is not None and not isinstance(value, str):
        raise wrong_type(name_of(value), index, "string")
    text = value or ""
    digits = text[2:] if _has_prefix(text) else text
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


def read_slot(value: Any, index: int) -> int:
    """A storage slot's index: the last 32 bytes of any hex; what is none ends it."""
    if value is not None and not isinstance(value, str):
        raise wrong_type(name_of(value), index, "string")
    text = value or ""
    digits = text[2:] if _has_prefix(text) else text
    digits = "0" * (len(digits) % 2) + digits
    foreign = next((at for at, each in enumerate(digits) if not _HEX.match(each)), len(digits))
    return int(digits[: foreign // 2 * 2][-64:] or "0", 16)


def read_private_for(value: Any, index: int) -> tuple[list[str] | None, int]:
    """The parties of a private transaction, None when it names none, and its privacy flag."""
    struct = "SendRawTxArgs.PrivateTxArgs"
    if value is None:
        return None, 0
    if not isinstance(value, dict):
        raise wrong_type(name_of(value), index, "ethapi.SendRawTxArgs")
    parties, flag = value.get("privateFor"), value.get("privacyFlag")
    if parties is not None and not isinstance(parties, list):
        raise wrong_type(name_of(parties), index, "[]string", f"{struct}.privateFor")
    for party in parties or ():
        if party is not None and not isinstance(party, str):
            raise wrong_type(name_of(party), index, "string", f"{struct}.privateFor")
    if flag is not None and (isinstance(flag, bool) or not isinstance(flag, int)):
        field = f"{struct}.privacyFlag"
        raise wrong_type(name_of(flag), index, "engine.PrivacyFlagType", field)
    return None if parties is None else [party or "" for party in parties], flag or 0
