"""The rules of role base's firewall: checked, and put as nftables takes them."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, TypedDict

ANY = "any"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_COMMENT_BYTES = 100  # nftables takes 128
Network = IPv4Network | IPv6Network


class FirewallRule(TypedDict):
    """A rule as the template needs it. `addresses`: by IP version; `any`: for everyone."""

    set: str
    protocol: str
    ports: list[str]
    any: bool
    addresses: dict[int, list[str]]
    comment: str


def problems(rules: Sequence[Mapping[str, Any]], ssh_sources: Sequence[str]) -> list[str]:
    """What is wrong, a sentence each; empty when nothing is."""
    found = []
    if not ssh_sources:
        found.append("base_ssh_sources must name operators' addresses or networks, or any")
    found += [_not_a_source("base_ssh_sources", one) for one in ssh_sources if not _is_source(one)]
    for place, rule in enumerate(rules, start=1):
        name = str(rule.get("name", ""))
        told = f"firewall rule {name or place}"
        if not _NAME.fullmatch(name):
            found.append(f"{told}: a name has lower case letters, digits and hyphens, 40 at most")
        if rule.get("protocol", "tcp") not in {"tcp", "udp"}:
            found.append(f"{told}: protocol must be tcp or udp")
        ports = _ports(rule)
        if not ports:
            found.append(f"{told}: needs port or ports")
        for port in ports:
            if not _is_port(port):
                found.append(f"{told}: port {port} must be 1 to 65535, or a range of these")
        if not rule.get("sources"):
            found.append(f"{told}: needs sources; without any, leave the rule out")
        found += [
            _not_a_source(told, one) for one in rule.get("sources", []) if not _is_source(one)
        ]
    return found


def rendered(rules: Sequence[Mapping[str, Any]]) -> list[FirewallRule]:
    """Rules without problems, with their sources by IP version and names for their sets."""
    views: list[FirewallRule] = []
    for place, rule in enumerate(rules):
        networks = [_network(one) for one in rule["sources"] if one != ANY]
        name = str(rule["name"]).replace("-", "_")
        views.append(
            {
                "set": f"{name}_{place}",
                "protocol": str(rule.get("protocol", "tcp")),
                "ports": _ports(rule),
                "any": ANY in rule["sources"],
                "addresses": {} if ANY in rule["sources"] else _by_version(networks),
                "comment": _comment(str(rule.get("comment") or rule["name"])),
            }
        )
    return views


def includes(address: str, sources: Sequence[str]) -> bool:
    """Whether an address is among the sources; one in a scope (fe80::1%eth0) without the scope."""
    if ANY in sources:
        return True
    one = ip_address(address.partition("%")[0])
    if one.version == 6 and one.ipv4_mapped is not None:
        one = one.ipv4_mapped
    return any(one in _network(source) for source in sources)


def _by_version(networks: Sequence[Network]) -> dict[int, list[str]]:
    return {
        version: sorted({_shown(one) for one in networks if one.version == version})
        for version in (4, 6)
    }


def _shown(network: Network) -> str:
    if network.num_addresses == 1:
        return str(network.network_address)
    return str(network)


def _comment(text: str) -> str:
    kept = "".join(one if one.isprintable() and one not in '"\\' else " " for one in text)
    return kept.encode()[:_COMMENT_BYTES].decode(errors="ignore")


def _ports(rule: Mapping[str, Any]) -> list[str]:
    ports = rule.get("ports") or [rule.get("port")]
    return [str(one) for one in ports if one is not None]


def _is_port(port: str) -> bool:
    match = _PORT.fullmatch(port)
    if match is None:
        return False
    first, last = int(match[1]), int(match[2] or match[1])
    return 1 <= first <= last <= 65535


def _is_source(source: object) -> bool:
    if source == ANY:
        return True
    try:
        _network(source)
    except ValueError:
        return False
    return True


def _network(source: object) -> Network:
    # A number would be taken for an address by ipaddress.
    return ip_network(str(source), strict=True)


def _not_a_source(where: str, source: object) -> str:
    return f"{where}: source {source} must be an IP address, a network such as 10.0.0.0/8, or any"
