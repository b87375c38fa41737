"""Ports: free ones, occupied ones, and who listens beyond the loopback."""

import contextlib
import secrets
import socket
from collections.abc import Collection
from pathlib import Path

from steelyard.network.errors import PortOccupied

_LOWEST = 20_000
_HIGHEST = 65_535
_ATTEMPTS = 200
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTEN = "0A"
# As the kernel prints them: 32-bit words in the machine's (here little-endian) order.
_LOOPBACKS = ("0000000000000000FFFF00000100007F", "00000000000000000000000001000000")


def is_free(port: int) -> bool:
    """Whether one can listen on a port, on the loopback and on every interface."""
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - tried, and closed at once
        with contextlib.closing(socket.socket()) as one:
            # As the engines do: a port of connections that ended just now is free.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
                one.listen(1)
            except OSError:
                return False
    return True


def free_block(count: int) -> int:
    """The first of so many free ports in a row.

    They lie below the ports that the kernel gives to outgoing connections, so that nobody gets one
    by chance while its node is being restarted.
    """
    highest = min(_first_ephemeral(), _HIGHEST) - count
    lowest = _LOWEST if highest > _LOWEST else 1024
    for _ in range(_ATTEMPTS):
        first = lowest + secrets.randbelow(highest - lowest)
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise PortOccupied(f"no {count} free ports in a row between {lowest} and {highest}")


def _first_ephemeral() -> int:
    try:
        return int(_EPHEMERAL.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _HIGHEST


def exposed(ports: Collection[int]) -> set[int]:
    """Those of the ports on which some process listens for more than the loopback."""
    found = set()
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == _LISTEN and int(port, 16) in ports and not _is_loopback(address):
                found.add(int(port, 16))
    return found


def _is_loopback(address: str) -> bool:
    if len(address) == 8:
        return address.endswith("7F")
    return address in _LOOPBACKS
