"""The network between machines: a bridge on this computer, which no packet leaves.

What a machine fetches from outside (packages) goes through slirp4netns, a network stack in a
process of ours: this computer's routes and firewall stay as they are.
"""

import hashlib
import ipaddress
import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from infra.machines.errors import MachineProblem
from infra.machines.programs import run

# From these a group of machines takes a /24 of its own.
_POOL = ipaddress.IPv4Network("10.213.0.0/16")
_PREFIX = 24


@dataclass(frozen=True, slots=True)
class Wire:
    """A bridge with its network; this computer has the first address."""

    bridge: str
    network: ipaddress.IPv4Network

    @property
    def own_address(self) -> str:
        """The computer's address on the bridge."""
        return str(self.network[1])

    def address(self, place: int) -> str:
        """The address of the machine in this place, from 0 on."""
        if not 0 <= place < 200:
            raise MachineProblem(f"{place + 1} machines: a network has room for 200")
        return str(self.network[10 + place])

    @property
    def prefix(self) -> int:
        """Length of the network's prefix, in bits."""
        return self.network.prefixlen


def make_wire(group: str) -> Wire:
    """A bridge for this group of machines, in a network that nobody here uses."""
    digest = hashlib.sha256(group.encode()).digest()
    bridge = f"sy-{digest[:5].hex()}"
    taken = _networks_here()
    for step in range(256):
        network = ipaddress.IPv4Network(
            (int(_POOL.network_address) + (((digest[5] + step) % 256) << 8), _PREFIX)
        )
        if not any(network.overlaps(one) for one in taken):
            break
    else:
        raise MachineProblem(f"all networks of {_POOL} are used on this computer")
    wire = Wire(bridge, network)
    _add(wire)
    return wire


def restore_wire(wire: Wire) -> None:
    """Make a group's bridge anew where it is not there, as after a restart of the computer."""
    with suppress(MachineProblem):
        run(["ip", "link", "show", wire.bridge])
        return
    _add(wire)


def remove_wire(bridge: str) -> None:
    """Remove a bridge; nothing happens where there is none."""
    with suppress(MachineProblem):
        run(["ip", "link", "delete", bridge])


def network_file(address: str, prefix: int) -> str:
    """systemd-networkd's file for a machine's end of the wire."""
    return (
        "[Match]\nName=host0\n\n[Network]\n"
        f"Address={address}/{prefix}\nLinkLocalAddressing=ipv6\nLLDP=no\nEmitLLDP=no\n"
    )


def open_way_out(leader: int, log: Path) -> int:
    """Give a machine a way to the outside; the process that is it."""
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            ["slirp4netns", "--configure", "--disable-host-loopback", str(leader), "tap0"],  # noqa: S607
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return process.pid


def _add(wire: Wire) -> None:
    run(["ip", "link", "add", wire.bridge, "type", "bridge"])
    run(["ip", "address", "add", f"{wire.own_address}/{wire.prefix}", "dev", wire.bridge])
    run(["ip", "link", "set", wire.bridge, "up"])


def _networks_here() -> list[ipaddress.IPv4Network]:
    links = json.loads(run(["ip", "-json", "-4", "address", "show"]))
    return [
        ipaddress.IPv4Network((one["local"], one["prefixlen"]), strict=False)
        for link in links
        for one in link["addr_info"]
    ]
