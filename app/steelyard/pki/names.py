"""How a certificate names a device: a URN beside the subject's common name.

Imported by load cells: nothing heavy here.
"""

import re
from urllib.parse import quote, unquote

LOADCELL_URN = "urn:steelyard:loadcell:"
SMARTBOX_URN = "urn:steelyard:smartbox:"

# The same as steelyard.ticket.SERIAL_PATTERN, which this room may not import; a test compares them.
SERIAL_PATTERN = r"^[!-~]([ -~]{0,30}[!-~])?$"
SERIAL_RULE = "1 to 32 printable ASCII characters without blanks at either end"


def is_serial(value: str) -> bool:
    """Whether this can be a device's serial."""
    return re.fullmatch(SERIAL_PATTERN, value) is not None


def device_urn(prefix: str, serial: str) -> str:
    """The URN of a device; what a URN may not hold (RFC 8141) is percent-encoded."""
    return prefix + quote(serial, safe="")


def device_serial(prefix: str, urn: str) -> str | None:
    """The serial that a URN names, or None where it is not of this kind or not well formed."""
    if not urn.startswith(prefix):
        return None
    serial = unquote(urn[len(prefix) :], errors="replace")
    return serial if is_serial(serial) and device_urn(prefix, serial) == urn else None
