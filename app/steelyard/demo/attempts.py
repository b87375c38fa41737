"""Four attempts to look at what is not one's own: at the API, and at the nodes themselves.

At the nodes the demo asks by plain JSON-RPC, as anyone with access to that node could, and asks a
party's node the same: an attempt that sees nothing proves something only where a party sees it all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from steelyard.demo.client import ApiClient
from steelyard.demo.errors import DemoFailed
from steelyard.demo.result import Finding

EMPTY = "0x"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node's name and where its JSON-RPC answers."""

    name: str
    rpc_url: str


@dataclass(frozen=True, slots=True)
class Secret:
    """What is not everybody's: a ticket's transaction and the contract that holds the ticket."""

    contract: str
    transaction: str
    ticket_id: str
    station: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """What a node shows of a secret: sizes in bytes."""

    code: int
    payload: int
    public_input: int
    logs: int

    @property
    def sees_nothing(self) -> bool:
        """Whether it is a non-party's view: a 64-byte hash on the chain and nothing else."""
        return (self.code, self.payload, self.logs, self.public_input) == (0, 0, 0, 64)

    @property
    def sees_everything(self) -> bool:
        """Whether it is a party's view."""
        return self.code > 0 and self.payload > 0 and self.logs > 0

    def __str__(self) -> str:
        return (
            f"code {self.code} B, payload {self.payload} B, {self.logs} logs, "
            f"{self.public_input} B on the chain"
        )


async def look_at_node(
    session: aiohttp.ClientSession, node: NodeAddress, secret: Secret
) -> NodeView:
    """Ask a node for everything that it knows of a secret."""

    async def ask(method: str, *parameters: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        async with session.post(node.rpc_url, json=body) as response:
            answer = await response.json()
        if "error" in answer:
            raise DemoFailed(f"{node.name}: {method}: {answer['error'].get('message')}")
        return answer["result"]

    transaction = await ask("eth_getTransactionByHash", secret.transaction)
    receipt = await ask("eth_getTransactionReceipt", secret.transaction)
    if transaction is None or receipt is None:
        raise DemoFailed(f"{node.name} does not have the transaction {secret.transaction}")
    return NodeView(
        code=_bytes(await ask("eth_getCode", secret.contract, "latest")),
        payload=_bytes(await ask("eth_getQuorumPayload", transaction["input"])),
        public_input=_bytes(transaction["input"]),
        logs=len(receipt["logs"]),
    )


def _bytes(text: str) -> int:
    return (len(text) - len(EMPTY)) // 2


async def party_at_node(
    session: aiohttp.ClientSession, who: str, node: NodeAddress, secret: Secret
) -> Finding:
    """The counterpart of the attempts: a party sees the ticket at its own node."""
    view = await look_at_node(session, node, secret)
    return Finding(
        name=f"{who} looks at its node {node.name}",
        expected=f"{secret.station}'s contract, payload and log",
        seen=str(view),
        holds=view.sees_everything,
    )


async def stranger_at_node(
    session: aiohttp.ClientSession, who: str, node: NodeAddress | None, secret: Secret
) -> Finding:
    """An attempt at a node that is no party."""
    name = f"{who} looks for a ticket of {secret.station} at its own node"
    if node is None:
        return Finding(name, "nothing", "not tried: the file has no such party", None)
    view = await look_at_node(session, node, secret)
    return Finding(name, "nothing but a 64-byte hash", f"{node.name}: {view}", view.sees_nothing)


async def stranger_at_api(
    tickets: ApiClient, who: str, scale_serials: Sequence[str], ticket_id: str
) -> Finding:
    """The paper's figure 11: a customer asks for another's weighbridge, and for a ticket by id."""
    name = f"{who} asks the API for another customer's weighbridge"
    if not scale_serials:
        return Finding(name, "0 tickets", "not tried: the file has one customer", None)
    page = await tickets.expect(
        200, "GET", "/v1/tickets", query={"scaleSerialNumber": scale_serials[0]}
    )
    foreign = await tickets.ask("GET", f"/v1/tickets/{ticket_id}")
    unknown = await tickets.ask("GET", f"/v1/tickets/{ticket_id}0")
    same = (foreign.status, foreign.body) == (unknown.status, unknown.body)
    return Finding(
        name=name,
        expected="0 tickets; its ticket's id answers like one that never was",
        seen=f"{page['count']} tickets of {scale_serials[0]}; by id {foreign.status}, "
        f"{'the same as' if same else 'unlike'} an unknown id",
        holds=page["count"] == 0 and same and foreign.status == 404,
    )
