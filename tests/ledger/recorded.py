"""A node that answers as a real one did: GoQuorum's recorded answers to one proof.

data/qbft_proof.json says where they come from. What `alter` gives replaces the answers before
they are served, so that the node lies about anything that a test wants.
"""

import json
from copy import deepcopy
from pathlib import Path

from steelyard.ledger.artefact import station_tickets
from steelyard.ledger.encoding import to_hex
from steelyard.ledger.node import Node
from steelyard.ledger.protocol import ContractView, NodeRef
from steelyard.ledger.reading import Reader
from steelyard.ledger.seals import Validators
from steelyard.ledger.verify import Extent, verify
from steelyard.ticket import Receipt, Ticket

DOCUMENT = json.loads((Path(__file__).parent / "data" / "qbft_proof.json").read_text())
RECEIPT = Receipt.model_validate(DOCUMENT["receipt"])
TICKET = Ticket.model_validate_json(json.dumps(DOCUMENT["ticket"]))
VALIDATORS = Validators(frozenset(DOCUMENT["validators"]), "the recorded genesis")
# The code is the artefact's, as it was when this was recorded; it is kept once, in the package.
ANSWERS = {
    call: to_hex(station_tickets().runtime) if "eth_getCode" in call else answer
    for call, answer in DOCUMENT["answers"].items()
}


class RecordedRpc:
    """Stands in for JsonRpc."""

    def __init__(self, answers) -> None:
        self.answers = answers

    async def call(self, method, *params):
        return deepcopy(self.answers.get(json.dumps([method, *params], sort_keys=True)))

    async def call_many(self, method, many):
        return [await self.call(method, *params) for params in many]


async def prove(answers, receipt=RECEIPT, ticket=TICKET, extent=None):
    """The proof of the recorded receipt at a node with these answers."""
    node = Node(RecordedRpc(answers), "recorded")
    view = ContractView(DOCUMENT["contract"], NodeRef("recorded", "", "", ""))
    extent = extent or Extent(3, VALIDATORS)
    return await verify(node, Reader(view, node), view, receipt, ticket, extent)


def leaves(answer, path=()):
    """The places of every text in an answer."""
    if isinstance(answer, str):
        yield path
    elif isinstance(answer, dict):
        for name, value in answer.items():
            yield from leaves(value, (*path, name))
    elif isinstance(answer, list):
        for at, value in enumerate(answer):
            yield from leaves(value, (*path, at))


def at_path(answer, path):
    for step in path:
        answer = answer[step]
    return answer


def replaced(answer, path, value):
    """A copy of the answer with another value at a place."""
    if not path:
        return value
    copy = deepcopy(answer)
    at_path(copy, path[:-1])[path[-1]] = value
    return copy
