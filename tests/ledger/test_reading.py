"""Joining the contract's bounded scans, against scripted answers."""

import pytest
from eth_abi import abi as eth_abi

from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.errors import LedgerProblem
from steelyard.ledger.protocol import ContractView, NodeRef
from steelyard.ledger.reading import Reader
from steelyard.ticket import TicketFilter

VIEW = ContractView("0x" + 40 * "1", NodeRef("node-1", "", "", ""))


class ScriptedNode:
    """Answers `count` with what is scripted for each cursor."""

    def __init__(self, script: dict[int, tuple[int, int]]) -> None:
        self.script = script

    async def call(self, address: str, data: bytes, sender: str | None = None) -> bytes:
        _, cursor = station_tickets().functions["count"].decode_input(data)
        return eth_abi.encode(["uint256", "uint256"], self.script[cursor])


async def test_a_count_joins_its_scans():
    """Every scan counts, also one that finds nothing, until no cursor is left."""
    node = ScriptedNode({0: (3, 50), 50: (0, 90), 90: (2, 0)})
    assert await Reader(VIEW, node).count(TicketFilter()) == 5


@pytest.mark.parametrize("script", [{0: (1, 5), 5: (1, 5)}, {0: (1, 5), 5: (1, 3)}])
async def test_a_scan_that_does_not_move_on_ends(script):
    """A contract that gives the same cursor again does not keep us for ever."""
    with pytest.raises(LedgerProblem, match="does not move on"):
        await Reader(VIEW, ScriptedNode(script)).count(TicketFilter())
