"""`steelyard verify`: prove a receipt at one's own node."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from steelyard.errors import ConfigurationError
from steelyard.json_text import read_json
from steelyard.ledger.connections import open_session
from steelyard.ledger.protocol import ContractView, NodeRef, Proof
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.seals import Validators
from steelyard.ledger.settings import LedgerSettings
from steelyard.ledger.validators import read_genesis, read_validators
from steelyard.ledger.verify import Extent
from steelyard.ticket import Receipt, Ticket

_RECEIPT = ("ticketID", "transactionHash", "blockNumber")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a file says: a receipt, and perhaps the ticket and the contract that it is about."""

    receipt: Receipt
    ticket: Ticket | None
    contract_address: str | None


def _number_or_all(_: click.Context, __: click.Parameter, value: str) -> int | None:
    if value == "all":
        return None
    if not (value.isascii() and value.isdigit()):
        raise click.BadParameter("must be a number of blocks, or all")
    return int(value)


def trust_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which validators' seals are needed."""
    for option in (
        click.option(
            "--require-seals", is_flag=True, help="Refuse blocks without validators' seals."
        ),
        click.option(
            "--genesis",
            "genesis_file",
            type=click.Path(path_type=Path),
            help="The QBFT network's genesis.json, as you have it: its validators must seal.",
        ),
        click.option(
            "--validators",
            "validators_file",
            type=click.Path(path_type=Path),
            help="The validators' addresses, as you know them, one a line: they must seal.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("receipt_file", metavar="RECEIPT.json", type=click.Path(path_type=Path))
@click.option("--node", "node_url", required=True, help="JSON-RPC URL of your own node.")
@click.option("--tessera", "tessera_url", help="URL of its privacy manager, to look at its keys.")
@click.option("--contract", "address", help="Address of the station's contract, as you know it.")
@click.option(
    "--blocks",
    metavar="NUMBER|all",
    callback=_number_or_all,
    default="100000",
    show_default=True,
    help="How many blocks behind the receipt's to walk towards the head; all for all, 0 for none.",
)
@trust_options
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file ([ledger]).")
def verify(
    receipt_file: Path,
    node_url: str,
    tessera_url: str | None,
    address: str | None,
    config: Path | None,
    **extent: Any,
) -> None:
    """Prove that a ticket's receipt is good, asking nobody but your own node.

    RECEIPT.json holds a receipt {ticketID, transactionHash, blockNumber}, or the proof document
    of the tickets API: its ticket is compared as well, its findings are not believed. The exit
    status is 0 when everything holds and 1 when something does not. What it could not find out
    is listed in either case.
    """
    claim = read_claim(receipt_file)
    settings = LedgerSettings.load(config)
    named = address or claim.contract_address
    if named is None:
        raise click.UsageError("--contract is missing, and the file names no contractAddress")
    view = ContractView(named, NodeRef("your node", node_url, tessera_url or "", ""))
    proof, keys = asyncio.run(_prove(view, claim, settings, read_extent(**extent)))
    if tessera_url:
        click.echo(_about_keys(keys), err=not keys)
    for line in describe(proof, claim, address_known=address is not None):
        click.echo(line)
    if not proof.holds:
        raise SystemExit(1)


def read_trusted(validators_file: Path | None, genesis_file: Path | None) -> Validators | None:
    """The validators that the user trusts, if a file says which."""
    if validators_file and genesis_file:
        raise click.UsageError("--validators and --genesis say the same: give one of them")
    if validators_file:
        return read_validators(validators_file)
    return read_genesis(genesis_file) if genesis_file else None


def read_extent(
    blocks: int | None,
    validators_file: Path | None,
    genesis_file: Path | None,
    *,
    require_seals: bool,
) -> Extent:
    """How far the proof is to go."""
    return Extent(blocks, read_trusted(validators_file, genesis_file), require_seals)


async def _prove(
    view: ContractView, claim: Claim, settings: LedgerSettings, extent: Extent
) -> tuple[Proof, tuple[str, ...]]:
    async with open_session(settings) as session:
        ledger = QuorumLedger(session, settings)
        proof = await ledger.verify(view, claim.receipt, claim.ticket, extent=extent)
        return proof, await ledger.privacy_keys(view.node) if view.node.tessera_url else ()


def _about_keys(keys: Sequence[str]) -> str:
    if not keys:
        return "The privacy manager does not tell its keys; the proof does not need them."
    return (
        f"The privacy manager holds {', '.join(keys)}; it has no call that says more about a "
        "transaction than the node does."
    )


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
    if proof.alibi_head is not None:
        head = proof.alibi_head
        lines.append(
            f"  The transaction seals the station's alibi memory: record {head.sequence} has the "
            f"hash {head.hash}"
        )
    unproved = list(proof.unproved)
    if not address_known:
        unproved.insert(0, "that the contract is the station's: its address came from the file")
    if claim.ticket is None:
        unproved.insert(0, "that a ticket you hold says the same: the file has none to compare")
    return [*lines, verdict, "Not proved by this:", *(f"  - {limit}" for limit in unproved)]
