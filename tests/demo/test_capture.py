"""The eavesdropper's look sees what is in clear: a negative control for `demo --capture`."""

import shutil
import struct
from decimal import Decimal
from pathlib import Path

import pytest

from steelyard.demo.capture import Capture, is_encrypted
from steelyard.demo.examine import secrets_of
from steelyard.demo.plan import Plan, read_plan
from steelyard.loadcell.sender import encode_reading
from steelyard.loadcell.source import Reading

WEIGHINGS = Path(__file__).parent.parent.parent / "data" / "weighings-600.csv"
COAP, HTTPS = 5684, 8443
RAW_IP = 101

tshark = pytest.mark.skipif(
    shutil.which("tshark") is None, reason="tshark is not installed (Debian: tshark)"
)


def packet(protocol: int, port: int, payload: bytes) -> bytes:
    """An IPv4 packet with UDP (17) or TCP (6); nobody checks its checksums."""
    if protocol == 17:
        inner = struct.pack("!HHHH", 40_000, port, 8 + len(payload), 0) + payload
    else:
        inner = struct.pack("!HHIIBBHHH", 40_000, port, 1, 1, 5 << 4, 0x18, 8192, 0, 0) + payload
    total = 20 + len(inner)
    loopback = bytes([127, 0, 0, 1])
    header = struct.pack("!BBHHHBBH", 0x45, 0, total, 1, 0, 64, protocol, 0)
    return header + loopback + loopback + inner


def pcap(path: Path, packets: list[bytes]) -> Path:
    """A capture file (the classic format, microseconds)."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, RAW_IP)
    body = b"".join(
        struct.pack("<IIII", number, 0, len(one), len(one)) + one
        for number, one in enumerate(packets)
    )
    path.write_bytes(head + body)
    return path


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return read_plan(WEIGHINGS, {}, tmp_path_factory.mktemp("weighings"))


async def look(tmp_path: Path, plan: Plan, packets: list[bytes]) -> dict[str, bool | None]:
    capture = Capture(pcap(tmp_path / "capture.pcap", packets), [COAP], [HTTPS])
    findings = await capture.findings(secrets_of(plan.stations), [b"LC112010201"])
    return {finding.name: finding.holds for finding in findings}


@tshark
async def test_one_sample_in_clear_is_seen(tmp_path: Path, plan: Plan) -> None:
    """Plain CoAP on the cells' port is seen as no DTLS, and its sample is read."""
    weighing = plan.stations[0].weighings[7]
    sample = encode_reading(Reading(7, weighing.timestamp, Decimal(weighing.cells[2].grams) / 1000))
    seen = await look(tmp_path, plan, [packet(17, COAP, b"\x44\x02\x00\x01abcd\xff" + sample)])
    assert seen["load cells' samples, as SenML has them in the recorded packets"] is False
    assert seen["UDP packets with anything but DTLS records, their data encrypted"] is False
    assert seen["ticket ids in the recorded packets"] is True


@tshark
async def test_one_ticket_in_clear_is_seen(tmp_path: Path, plan: Plan) -> None:
    """A ticket over plain HTTP is read by its id, its vehicle and its weights."""
    weighing = plan.stations[0].weighings[7]
    body = (
        f'{{"ticketID":"{weighing.station}_{weighing.weighbridge}_{weighing.timestamp}",'
        f'"scaleGross":{weighing.gross},"vehicle":"{weighing.vehicle}"}}'
    )
    request = f"POST /v1/tickets HTTP/1.1\r\n\r\n{body}".encode()
    seen = await look(tmp_path, plan, [packet(6, HTTPS, request)])
    for kind in (
        "ticket ids",
        "vehicles",
        "weights in grams, as a ticket's JSON has them",
        "words of HTTP and of tickets",
    ):
        assert seen[f"{kind} in the recorded packets"] is False, kind
    assert seen["TLS version of the stations' uplinks"] is False


@pytest.mark.parametrize(
    ("datagram", "encrypted"),
    [
        (b"", False),
        (b"\x44\x02\x00\x01abcd", False),
        (bytes.fromhex("16fefd0000000000000000000101"), True),
        (bytes.fromhex("17fefd0001000000000001000101"), True),
        (bytes.fromhex("17fefd0000000000000001000101"), False),
        (bytes.fromhex("17fefd000100000000000100010100"), False),
        (bytes.fromhex("17fefd0001000000000001000201"), False),
    ],
    ids=["empty", "coap", "handshake", "data", "data in epoch 0", "rest", "cut off"],
)
def test_a_datagram_is_encrypted_or_not(datagram: bytes, encrypted: bool) -> None:
    """Only whole DTLS records count, and no application data before the keys are in use."""
    assert is_encrypted(datagram) is encrypted
