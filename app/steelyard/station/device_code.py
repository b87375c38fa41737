"""A short code that tells one machine from another; it is no secret and opens nothing."""

import hashlib
from pathlib import Path

from steelyard.pki.claims import ALPHABET

LENGTH = 8
# The board's own serial; else what the first boot made.
SOURCES = (
    Path("/sys/firmware/devicetree/base/serial-number"),
    Path("/sys/class/dmi/id/product_uuid"),
    Path("/etc/machine-id"),
)


def read_device_code(sources: tuple[Path, ...] = SOURCES) -> str:
    """The code, in two groups of four; zeros where the machine has nothing to tell it by."""
    for path in sources:
        try:
            told = path.read_bytes().strip(b"\0 \n")
        except OSError:
            continue
        if told:
            return device_code(told)
    return "0000-0000"


def device_code(told: bytes) -> str:
    """The code of what a machine says of itself."""
    number = int.from_bytes(
        hashlib.sha256(b"steelyard device code v1\0" + told).digest()[:5], "big"
    )
    text = "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))
    return f"{text[:4]}-{text[4:]}"
