"""Validators' addresses as an operator, or a node, gives them."""

import re
from collections.abc import Iterable, Sequence

from eth_utils.address import to_checksum_address

from steelyard.network.keys import orders_agree
from steelyard.node.errors import NodeProblem

_HEX = re.compile("0x[0-9a-fA-F]{40}")


def checksummed(addresses: Iterable[str]) -> list[str]:
    """The addresses in their checksummed form. Raises NodeProblem for what is none, or is twice."""
    found: list[str] = []
    for one in addresses:
        address = str(to_checksum_address(one)) if _HEX.fullmatch(one) else ""
        if one not in (address, address.lower()) or not address:
            raise NodeProblem(
                f"{one!r} is no address: it has 0x and 40 hexadecimal digits, in the case of its "
                "checksum or all small"
            )
        if address in found:
            raise NodeProblem(f"{address} is named twice")
        found.append(address)
    return found


def check_orders(addresses: Sequence[str]) -> None:
    """Raise NodeProblem for checksummed addresses that GoQuorum would not order in one way."""
    if not orders_agree(addresses):
        raise NodeProblem(
            f"the addresses of these {len(addresses)} validators sort differently by bytes and by "
            "checksum: restarted nodes would disagree with the others about whose turn it is; make "
            "the keys by `steelyard node make-keys`"
        )
