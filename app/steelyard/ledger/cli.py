"""`steelyard verify`: prove a receipt at one's own node."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
from pydantic import ValidationError

from steelyard.errors import ConfigurationError
from steelyard.json_text import read_json
from steelyard.ledger.protocol import ContractView, NodeHealth, NodeRef, Proof
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.verify import LIMITS
from steelyard.ticket import Receipt, Ticket

_RECEIPT = ("ticketID", "transactionHash", "blockNumber")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a file says: a receipt, and perhaps the ticket and the contract that it is about."""

    receipt: Receipt
    ticket: Ticket | None
    contract_address: str | None


@click.command()
@click.argument("receipt_file", metavar="RECEIPT.json", type=click.Path(path_type=Path))
@click.option("--node", "node_url", required=True, help="JSON-RPC URL of your own node.")
@click.option("--tessera", "tessera_url", help="URL of its privacy manager, to see that it is up.")
@click.option("--contract", "address", help="Address of the station's contract, as you know it.")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file ([ledger]).")
def verify(
    receipt_file: Path,
    node_url: str,
    tessera_url: str | None,
    address: str | None,
    config: Path | None,
) -> None:
    """Prove that a ticket's receipt is good, asking nobody but your own node.

    RECEIPT.json holds a receipt {ticketID, transactionHash, blockNumber}, or the proof document
    of the tickets API: its ticket is compared as well, its findings are not believed. The exit
    status is 0 when everything holds and 1 when something does not.
    """
    claim = read_claim(receipt_file)
    settings = LedgerSettings.load(config)
    named = address or claim.contract_address
    if named is None:
        raise click.UsageError("--contract is missing, and the file names no contractAddress")
    view = ContractView(named, NodeRef("your node", node_url, tessera_url or "", ""))
    proof, health = asyncio.run(_prove(view, claim, settings))
    if tessera_url and not health.privacy_manager_up:
        click.echo("The privacy manager does not answer; the proof does not need it.", err=True)
    for line in describe(proof, claim, address_known=address is not None):
        click.echo(line)
    if not proof.holds:
        raise SystemExit(1)


async def _prove(
    view: ContractView, claim: Claim, settings: LedgerSettings
) -> tuple[Proof, NodeHealth]:
    async with aiohttp.ClientSession() as session:
        ledger = QuorumLedger(session, settings)
        proof = await ledger.verify(view, claim.receipt, claim.ticket)
        return proof, await ledger.health(view.node)


def read_claim(path: Path) -> Claim:
    """What the file claims. Raises ConfigurationError with what is wrong with it."""
    try:
        document = read_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path}: is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must hold a JSON object with a receipt")
    try:
        receipt = {name: document[name] for name in _RECEIPT if name in document}
        ticket, address = document.get("ticket"), document.get("contractAddress")
        return Claim(
            Receipt.model_validate(receipt),
            None if ticket is None else Ticket.model_validate_json(json.dumps(ticket)),
            address if isinstance(address, str) else None,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{path}: {name or 'the ticket'}: {first['msg']}") from None


def describe(proof: Proof, claim: Claim, *, address_known: bool) -> list[str]:
    """What was proved and what was not, in plain words."""
    marks = {True: "holds", False: "FAILS"}
    lines = [f"  {marks[check.holds]}  {check.name} ({check.seen})" for check in proof.checks]
    if proof.holds:
        verdict = (
            f"Proved: the ticket {claim.receipt.ticket_id} was registered by the station's key in "
            f"block {claim.receipt.block_number}, and the contract holds it unaltered."
        )
    else:
        failed = sum(not check.holds for check in proof.checks)
        verdict = f"NOT proved: {failed} of {len(proof.checks)} statements do not hold."
    unproved = list(LIMITS)
    if not address_known:
        unproved.insert(0, "that the contract is the station's: its address came from the file")
    if claim.ticket is None:
        unproved.insert(0, "that a ticket you hold says the same: the file has none to compare")
    return [*lines, verdict, "Not proved by this:", *(f"  - {limit}" for limit in unproved)]
