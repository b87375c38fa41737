"""`steelyard verify`: prove a receipt at one's own node."""

import asyncio
import json
from pathlib import Path

import aiohttp
import click
from pydantic import ValidationError

from steelyard.errors import ConfigurationError
from steelyard.ledger.protocol import ContractView, NodeHealth, NodeRef, Proof
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.verify import LIMITS
from steelyard.ticket import Receipt, Ticket


@click.command()
@click.argument("receipt_file", metavar="RECEIPT.json", type=click.Path(path_type=Path))
@click.option("--node", "node_url", required=True, help="JSON-RPC URL of your own node.")
@click.option("--tessera", "tessera_url", help="URL of its privacy manager, to see that it is up.")
@click.option("--contract", "address", required=True, help="Address of the station's contract.")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file ([ledger]).")
def verify(
    receipt_file: Path, node_url: str, tessera_url: str | None, address: str, config: Path | None
) -> None:
    """Prove that a ticket's receipt is good, asking nobody but your own node.

    RECEIPT.json holds a receipt {ticketID, transactionHash, blockNumber}, or an object with
    "receipt" and "ticket": the ticket is compared as well. The exit status is 0 when everything
    holds and 1 when something does not.
    """
    receipt, ticket = read_receipt(receipt_file)
    settings = LedgerSettings.load(config)
    node = NodeRef("your node", node_url, tessera_url or "", "")
    proof, health = asyncio.run(_prove(ContractView(address, node), receipt, ticket, settings))
    if tessera_url and not health.privacy_manager_up:
        click.echo("The privacy manager does not answer; the proof does not need it.", err=True)
    for line in describe(proof, receipt, compared=ticket is not None):
        click.echo(line)
    if not proof.holds:
        raise SystemExit(1)


async def _prove(
    view: ContractView, receipt: Receipt, ticket: Ticket | None, settings: LedgerSettings
) -> tuple[Proof, NodeHealth]:
    async with aiohttp.ClientSession() as session:
        ledger = QuorumLedger(session, settings)
        proof = await ledger.verify(view, receipt, ticket)
        return proof, await ledger.health(view.node)


def read_receipt(path: Path) -> tuple[Receipt, Ticket | None]:
    """The receipt, and the ticket if there is one. Raises ConfigurationError with the reason."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path}: is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must hold a JSON object with a receipt")
    try:
        receipt = Receipt.model_validate(document.get("receipt", document))
        ticket = document.get("ticket")
        return receipt, None if ticket is None else Ticket.model_validate(ticket)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {name or 'the ticket'}: {first['msg']}") from None


def describe(proof: Proof, receipt: Receipt, *, compared: bool) -> list[str]:
    """What was proved and what was not, in plain words."""
    marks = {True: "holds", False: "FAILS"}
    lines = [f"  {marks[check.holds]}  {check.name} ({check.seen})" for check in proof.checks]
    if proof.holds:
        verdict = (
            f"Proved: the ticket {receipt.ticket_id} was registered by the station's key in block "
            f"{receipt.block_number}, and the contract holds it unaltered."
        )
    else:
        failed = sum(not check.holds for check in proof.checks)
        verdict = f"NOT proved: {failed} of {len(proof.checks)} statements do not hold."
    unproved = list(LIMITS)
    if not compared:
        unproved.insert(0, "that a ticket you hold says the same: the file has none to compare")
    return [*lines, verdict, "Not proved by this:", *(f"  - {limit}" for limit in unproved)]
