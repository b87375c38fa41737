"""Serials and the URNs that carry them."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard import ticket
from steelyard.pki.names import LOADCELL_URN, SERIAL_PATTERN, device_serial, device_urn, is_serial


def test_serial_rule_is_the_tickets() -> None:
    """What a certificate carries, a ticket takes."""
    assert SERIAL_PATTERN == ticket.SERIAL_PATTERN


@given(st.from_regex(SERIAL_PATTERN, fullmatch=True))
def test_urn_round_trip(serial: str) -> None:
    """Every serial comes back from its URN, which is plain ASCII without blanks."""
    urn = device_urn(LOADCELL_URN, serial)
    assert urn.isascii()
    assert " " not in urn
    assert device_serial(LOADCELL_URN, urn) == serial


@given(st.text(max_size=60))
def test_foreign_urns_name_nobody(text: str) -> None:
    """Only the one spelling of a serial is accepted; anything else names no device."""
    serial = device_serial(LOADCELL_URN, LOADCELL_URN + text)
    assert serial is None or (is_serial(serial) and device_urn("", serial) == text)
    assert device_serial(LOADCELL_URN, "urn:other:" + text) is None
