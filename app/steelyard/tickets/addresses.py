"""Which addresses a customer's URL may lead to: the public ones, and what the operator allows.

The platform stands in networks that a customer has no business in. So each address of a name is
looked at, by the resolver whose answer the connection is then made to: a name that answers
otherwise the second time (DNS rebinding) has no second time.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Ways to write an IPv4 address that another machine unpacks: NAT64 (RFC 6052, RFC 8215), 6to4,
# Teredo, and the old IPv4-compatible form.
_TRANSLATED = tuple(
    map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
)
# Not global by IANA's registries, whatever an interpreter's tables say.
_NEVER: tuple[Network, ...] = (
    *map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ),
    ),
    *map(
        IPv6Network,
        (
            *("::1/128", "::/128", "100::/64", "2001:db8::/32", "3fff::/20", "5f00::/16"),
            *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
        ),
    ),
)


class AddressRefused(OSError):
    """A name, or an address, leads where no webhook may go."""


def may_be_called(text: str, allowed: Sequence[Network]) -> bool:
    """Whether an address, as text, is public or in one of the allowed networks."""
    try:
        address: Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in allowed):
        return True
    refused = any(address in network for network in (*_NEVER, *_TRANSLATED))
    return address.is_global and not refused


class GuardedResolver(AbstractResolver):
    """Resolves names by another resolver and refuses those with any address that may not be called.

    Not only the bad addresses: a name that has one is not meant for us.
    """

    def __init__(self, resolver: AbstractResolver, allowed: Sequence[Network]) -> None:
        self._resolver = resolver
        self._allowed = tuple(allowed)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises AddressRefused, and OSError for an unknown name."""
        found = await self._resolver.resolve(host, port, family)
        if not all(may_be_called(one["host"], self._allowed) for one in found):
            raise AddressRefused("the name has an address that webhooks may not be sent to")
        return found

    async def close(self) -> None:
        """Close the other resolver."""
        await self._resolver.close()
