"""Base64 as Tessera's two readers take it: java.util.Base64 for keys, a lenient one in bodies."""

import base64
import string

_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_VALUES = {ord(letter): value for value, letter in enumerate(_ALPHABET)}
_PADDING = ord("=")
_UNFINISHED = "Last unit does not have enough valid bits"


def decode_strictly(text: str) -> bytes:
    """What java.util.Base64's decoder gives: padding may be missing, and nothing else.

    Raises ValueError in its words.
    """
    data = text.encode("latin-1", errors="replace")
    if len(data) == 1:
        raise ValueError("Input byte[] should at least have 2 bytes for base64 bytes")
    at, letters = 0, 0
    while at < len(data) and data[at] in _VALUES:
        at, letters = at + 1, letters + 1
    rest = letters % 4
    if at < len(data):
        if data[at] != _PADDING:
            foreign = data[at] - 256 if data[at] > 127 else data[at]
            raise ValueError(f"Illegal base64 character {foreign:x}")
        at += 1
        if rest == 0 or (rest == 2 and data[at : at + 1] != b"="):
            raise ValueError("Input byte array has wrong 4-byte ending unit")
        at += rest == 2
    if rest == 1:
        raise ValueError(_UNFINISHED)
    if at < len(data):
        raise ValueError(f"Input byte array has incorrect ending byte at {at}")
    return _decode(data[:letters])


def decode_leniently(text: str) -> bytes:
    """What the reader of request bodies gives: foreign letters are passed over.

    Raises ValueError in Tessera's words.
    """
    letters = bytes(one for one in text.split("=", 1)[0].encode() if one in _VALUES)
    if len(letters) % 4 == 1:
        raise ValueError(_UNFINISHED)
    return _decode(letters)


def _decode(letters: bytes) -> bytes:
    return base64.b64decode(letters + b"=" * (-len(letters) % 4))
