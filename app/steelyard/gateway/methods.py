"""Which JSON-RPC methods pass, with which parameters: what the ledger room uses, and no more.

tests/gateway compares this with the calls in steelyard.ledger.node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TEXT = str
FLAG = bool
Members = frozenset[str]


@dataclass(frozen=True, slots=True)
class Method:
    """The parameters, all of them needed: a text, a flag, or an object with these members."""

    params: tuple[type | Members, ...] = ()
    writes: bool = False

    def takes(self, params: Sequence[Any]) -> bool:
        """Whether these are parameters of it, as far as their kinds go."""
        return len(params) == len(self.params) and all(
            _is(given, wanted) for given, wanted in zip(params, self.params, strict=True)
        )


def _is(given: object, wanted: type | Members) -> bool:
    if isinstance(wanted, frozenset):
        # Go reads names in any case; a name in another case is none of these.
        return isinstance(given, dict) and given.keys() <= wanted
    return isinstance(given, wanted)


METHODS: Mapping[str, Method] = {
    "eth_blockNumber": Method(),
    "eth_call": Method((frozenset({"to", "data", "from"}), TEXT)),
    "eth_chainId": Method(),
    "eth_getBlockByNumber": Method((TEXT, FLAG)),
    "eth_getCode": Method((TEXT, TEXT)),
    "eth_getLogs": Method((frozenset({"address", "fromBlock", "toBlock"}),)),
    "eth_getQuorumPayload": Method((TEXT,)),
    "eth_getTransactionByHash": Method((TEXT,)),
    "eth_getTransactionCount": Method((TEXT, TEXT)),
    "eth_getTransactionReceipt": Method((TEXT,)),
    "eth_sendRawPrivateTransaction": Method((TEXT, frozenset({"privateFor"})), writes=True),
    "eth_sendRawTransaction": Method((TEXT,), writes=True),
    "web3_clientVersion": Method(),
}
READING: Mapping[str, Method] = {
    name: method for name, method in METHODS.items() if not method.writes
}
