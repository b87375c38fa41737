"""`steelyard export` and `steelyard export-check`: a station's tickets with proofs, in a file."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from steelyard.errors import ConfigurationError
from steelyard.ledger.cli import read_trusted, trust_options
from steelyard.ledger.connections import open_session
from steelyard.ledger.examination import Beside, Examined, contract_of, examine
from steelyard.ledger.export import Written
from steelyard.ledger.exportcheck import Registered
from steelyard.ledger.protocol import ContractView, NodeRef
from steelyard.ledger.quorum import QuorumLedger
from steelyard.ledger.seals import Validators
from steelyard.ledger.settings import LedgerSettings
from steelyard.ticket import AlibiHead

_FOUND_ALONE = (
    "that the payloads are the ones that the transactions name, and that the contract holds these "
    "tickets: only a party's node can say so (--node)"
)
_FOUND_BESIDE = ("that the node tells the truth of its private state and payloads: ask your own",)
_LIMITS = (
    "that blocks which are not in the file lie on one chain: those without tickets were left out",
    "that nobody rewrote the file as a whole: compare the digest with the one its maker told you",
    "that the weighings themselves were right",
)


@click.command()
@click.option("--node", "node_url", required=True, help="JSON-RPC URL of a party's node.")
@click.option("--contract", "address", required=True, help="Address of the station's contract.")
@click.option("--from", "from_block", type=click.IntRange(0), default=0, help="First block.")
@click.option("--to", "to_block", type=click.IntRange(0), help="Last block; the head by default.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="File to write; compressed if it ends in .gz.",
)
@click.option("--resume", is_flag=True, help="Go on with the file where it ends.")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file ([ledger]).")
def export(
    node_url: str,
    address: str,
    from_block: int,
    to_block: int | None,
    output: Path,
    *,
    resume: bool,
    config: Path | None,
) -> None:
    """Write a station's whole chain of tickets, with proofs, to a file.

    One line a block, a registration and a ticket, in the order of the chain; a closing line says
    how many and gives a digest of all lines. Every line is checked before it is written. An export
    that was interrupted goes on with --resume, and so does a complete one, up to the head of now.
    """
    if output.exists() and not resume:
        raise ConfigurationError(f"{output}: is there already; --resume goes on with it")
    if to_block is not None and to_block < from_block:
        raise click.UsageError("--to must not be below --from")
    view = ContractView(address, NodeRef("your node", node_url, "", ""))
    settings = LedgerSettings.load(config)
    try:
        written = asyncio.run(_export(view, settings, output, (from_block, to_block), resume))
    except OSError as error:
        raise ConfigurationError(f"{output}: cannot be written: {error.strerror}") from None
    for line in _about_export(written, output):
        click.echo(line)


async def _export(
    view: ContractView,
    settings: LedgerSettings,
    output: Path,
    blocks: tuple[int, int | None],
    resume: bool,
) -> Written:
    told = 0

    def tell(tickets: int) -> None:
        nonlocal told
        if tickets - told >= 10_000:
            told = tickets
            click.echo(f"{tickets} tickets", err=True)

    async with open_session(settings) as session:
        ledger = QuorumLedger(session, settings)
        exporter = ledger.exporter(view)
        return await exporter.export(output, *blocks, resume=resume, progress=tell)


def _about_export(written: Written, output: Path) -> Iterator[str]:
    if written.resumed_at is not None:
        yield f"Went on with ticket {written.resumed_at}."
    yield (
        f"{output}: {written.tickets} tickets in {written.registrations} transactions and "
        f"{written.blocks} blocks, up to block {written.to_block}"
    )
    yield f"Digest (SHA-256 of all lines before the last): {written.digest}"


@click.command("export-check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--node", "node_url", help="JSON-RPC URL of a party's node to compare with.")
@trust_options
@click.option("--digest", "told", help="The digest that the file must have, as its maker told it.")
@click.option(
    "--alibi-heads",
    "heads_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write: what the transactions say of the station's alibi memory, one JSON object "
    "a line, for `steelyard alibi verify --heads`.",
)
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file ([ledger]).")
def export_check(
    file: Path,
    node_url: str | None,
    validators_file: Path | None,
    genesis_file: Path | None,
    told: str | None,
    heads_file: Path | None,
    config: Path | None,
    *,
    require_seals: bool,
) -> None:
    """Check an export: every line by itself, against the others, and the digest.

    Alone it needs nothing but the file; with --node, tickets and payloads are held against the
    contract and the payloads that a party's node has. The exit status is 1 for a file of which
    any line does not hold, with that line.
    """
    trusted = read_trusted(validators_file, genesis_file)
    settings = LedgerSettings.load(config)
    try:
        heads: list[str] = []
        found = asyncio.run(_check(file, node_url, trusted, settings, require_seals, heads))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None
    if told is not None and told.lower() != found.digest:
        raise ConfigurationError(f"{file}: has the digest {found.digest}, not the one given")
    if heads_file is not None:
        _write_heads(heads_file, heads)
    for line in describe(found, trusted):
        click.echo(line)


async def _check(
    file: Path,
    node_url: str | None,
    trusted: Validators | None,
    settings: LedgerSettings,
    require_seals: bool,
    heads: list[str],
) -> Examined:
    def note(one: Registered) -> None:
        if one.alibi_head is not None:
            heads.append(_head_line(one, one.alibi_head))

    if node_url is None:
        return await examine(file, trusted, require_seals=require_seals, on_registration=note)
    view = ContractView(contract_of(file), NodeRef("your node", node_url, "", ""))
    async with open_session(settings) as session:
        beside = Beside(QuorumLedger(session, settings).node(view), view)
        return await examine(
            file, trusted, require_seals=require_seals, beside=beside, on_registration=note
        )


def _head_line(one: Registered, head: AlibiHead) -> str:
    return json.dumps(
        {
            "sequence": head.sequence,
            "hash": head.hash,
            "transactionHash": one.transaction_hash,
            "blockNumber": one.block_number,
        }
    )


def _write_heads(path: Path, heads: Sequence[str]) -> None:
    try:
        path.write_text("".join(f"{line}\n" for line in heads), "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None


def describe(found: Examined, trusted: Validators | None) -> Iterator[str]:
    """What was proved and what was not, in plain words."""
    at = found.progress
    header, end = at.header, at.end
    yield (
        f"Tickets of the contract {header['contract']}, station {header['station']}, chain "
        f"{header['chainId']}, blocks {header['fromBlock']} to {end['toBlock']}"
    )
    yield "Proved:"
    yield f"  - {at.tickets} tickets are those of the payloads, with their fingerprints, in order"
    yield f"  - {at.registrations} transactions to the contract, each signed by the station's key"
    if at.sealing:
        yield f"  - {at.sealing} of them also seal the station's alibi memory (--alibi-heads)"
    yield f"  - {at.blocks} blocks have their hashes and the root of their transactions"
    yield f"  - {at.adjacent} of the blocks follow the block before them in the file"
    if at.sealed:
        whose = f"those of {trusted.origin}" if trusted else "those that each block lists"
        yield f"  - {at.sealed} blocks are sealed by a quorum of validators, {whose}"
    if found.compared is not None:
        yield (
            f"  - {found.compared} payloads are the node's, and the contract there holds their "
            "tickets; its chain, genesis and code are the file's"
        )
    yield f"  - no byte of the lines was changed since the digest {found.digest}"
    if at.next_index is not None and at.tickets == end["total"]:
        yield f"Complete: the contract held {end['total']} tickets when the file was written."
    else:
        yield f"A part: the contract held {end['total']} tickets when the file was written."
    yield "Not proved by this:"
    for limit in _not_proved(found, trusted):
        yield f"  - {limit}"


def _not_proved(found: Examined, trusted: Validators | None) -> Iterator[str]:
    if not found.progress.sealed and found.progress.blocks:
        yield "that validators agreed on the blocks: none carries seals (a sandbox's have none)"
    elif trusted is None:
        yield "that the validators are your consortium's (--validators or --genesis compares them)"
    if found.compared is None:
        yield _FOUND_ALONE
        yield "that the header's chain, engine, genesis, code and total are true"
    else:
        yield from _FOUND_BESIDE
        yield "that the header's engine is true"
    yield from _LIMITS
