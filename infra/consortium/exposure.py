"""Who may speak to what: the one table behind the firewalls, the documentation and the scan.

The cloud's security groups come from it as well.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["node", "platform", "smartbox", "loadcell", "monitoring"]
Caller = Literal["everyone", "operators", "node", "platform", "monitoring", "station-cells"]
Protocol = Literal["tcp", "udp"]

ANYWHERE = "any"


@dataclass(frozen=True, slots=True)
class Exposed:
    """A port that others may reach. `per_slot`: a node in slot n has port + n."""

    name: str
    listens_on: tuple[Kind, ...]
    protocol: Protocol
    port: int
    callers: Caller
    purpose: str
    secured_by: str
    per_slot: bool = False


EVERY_KIND: tuple[Kind, ...] = ("node", "platform", "smartbox", "loadcell", "monitoring")

EXPOSED = (
    Exposed(
        "ssh",
        EVERY_KIND,
        "tcp",
        22,
        "operators",
        "administration, Ansible",
        "SSH keys of operators",
    ),
    Exposed(
        *("peers", ("node",), "tcp", 30303, "node", "GoQuorum's peers"),
        secured_by="RLPx, and the list of permitted nodes",
        per_slot=True,
    ),
    Exposed(
        *("privacy", ("node",), "tcp", 9000, "node", "Tessera's peers: private payloads"),
        secured_by="mutual TLS by the consortium's authority",
        per_slot=True,
    ),
    Exposed(
        *("gateway", ("node",), "tcp", 8600, "platform", "the nodes' JSON-RPC and storeraw"),
        secured_by="mutual TLS 1.3 by the consortium's authority, a list of methods",
    ),
    Exposed(
        *("management-api", ("platform",), "tcp", 8443, "everyone", "the management API"),
        secured_by="TLS 1.3, access tokens",
    ),
    Exposed(
        *("tickets-api", ("platform",), "tcp", 8444, "everyone", "the weighing tickets API"),
        secured_by="TLS 1.3, access tokens",
    ),
    Exposed(
        *("coap", ("smartbox",), "udp", 5684, "station-cells", "load cells' weights"),
        secured_by="DTLS 1.2, both sides by certificates of the devices' authority",
    ),
    Exposed(
        *("node-exporter", EVERY_KIND, "tcp", 9100, "monitoring", "the machine's figures"),
        secured_by="the firewall",
    ),
)


@dataclass(frozen=True, slots=True)
class Internal:
    """A port that nobody reaches from another host."""

    name: str
    port: str
    purpose: str
    kept_in_by: str


INTERNAL = (
    Internal("JSON-RPC", "22000 + slot", "GoQuorum's own API: no authentication", "127.0.0.1"),
    Internal("Q2T", "UNIX socket", "GoQuorum to its Tessera", "file permissions"),
    Internal(
        "third-party API",
        "UNIX socket",
        "Tessera's client API: storeraw, no authentication",
        "file permissions",
    ),
    Internal("PostgreSQL", "UNIX socket", "the entity database", "file permissions, peer names"),
    Internal("SmartBox status", "8190", "its status page and display", "127.0.0.1"),
)
