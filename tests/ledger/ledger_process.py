"""A process that registers tickets, as a platform's does: an order on stdin, outcomes on stdout.

It says "ready" and begins at the next line, so that several begin together. It needs no more than
the ledger's room.
"""

import asyncio
import json
import sys
from typing import Any

import aiohttp
import structlog

from steelyard.ledger.protocol import (
    ContractView,
    ContractWriter,
    NodeRef,
    Registration,
    SigningKey,
)
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import Ticket


def order_of(writer: ContractWriter, tickets: list[Ticket]) -> bytes:
    """The line that asks a process to register these tickets, each by a call of its own."""
    node = writer.view.node
    document = {
        "node": [node.name, node.rpc_url, node.tessera_url, node.tessera_key],
        "address": writer.view.address,
        "key": writer.key.secret.hex(),
        "parties": writer.parties,
        "tickets": [one.as_json() for one in tickets],
    }
    return json.dumps(document).encode() + b"\n"


def _writer(order: dict[str, Any]) -> ContractWriter:
    view = ContractView(order["address"], NodeRef(*order["node"]))
    key = SigningKey(bytes.fromhex(order["key"]))
    return ContractWriter(view, key, tuple(order["parties"]))


def _told(outcome: Registration) -> dict[str, Any]:
    receipt = outcome.receipt and outcome.receipt.model_dump(mode="json")
    return {"id": outcome.ticket_id, "created": outcome.created, "receipt": receipt}


async def main() -> None:
    """Register, and print an outcome a line as it comes."""
    order = json.loads(sys.stdin.readline())
    writer = _writer(order)
    tickets = [Ticket.model_validate_json(json.dumps(one)) for one in order["tickets"]]
    async with aiohttp.ClientSession() as session:
        ledger = QuorumLedger(session, LedgerSettings())
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for call in asyncio.as_completed([ledger.register(writer, [one]) for one in tickets]):
            (outcome,) = await call
            print(json.dumps(_told(outcome)), flush=True)
        await ledger.close()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main())
