"""`steelyard alibi`."""

import json
import sys
from pathlib import Path

import click

from steelyard.smartbox.alibi import read_all
from steelyard.smartbox.alibi_format import TornTail
from steelyard.smartbox.comparison import compare_with_export
from steelyard.smartbox.errors import AlibiDamaged
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE
from steelyard.smartbox.verify import Finding, verify_alibi

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def alibi() -> None:
    """Verify and show an alibi memory."""


@alibi.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--outbox", type=_FILE, help="Outbox to compare with; else the one beside it, if there."
)
@click.option(
    "--tickets",
    type=_FILE,
    help="Export of all the station's tickets to compare with, as the customer gets it by "
    "`GET /v1/tickets?format=ndjson`, made after the alibi memory was copied or just now.",
)
def verify(path: Path, outbox: Path | None, tickets: Path | None) -> None:
    """Check every record of an alibi memory (its file, or a SmartBox's data directory).

    With --tickets also compare each record with what is registered: nobody who only has the
    SmartBox's disk can rewrite that. Exit status 1 if anything was altered, removed, moved or cut,
    or if the two sides disagree; tickets that still wait in the outbox are no disagreement.
    """
    path = path / ALIBI_FILE if path.is_dir() else path
    beside = path.with_name(OUTBOX_FILE)
    if outbox is None and beside.exists():
        outbox = beside
    finding: Finding = verify_alibi(path, outbox)
    click.echo(finding.sentence)
    holds = finding.holds
    if tickets is not None:
        comparison = compare_with_export(path, tickets, outbox)
        for sentence in comparison.sentences:
            click.echo(sentence)
        click.echo(comparison.summary)
        holds = holds and comparison.holds
    if not holds:
        sys.exit(1)


@alibi.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--from", "first", type=click.IntRange(min=1), default=1, help="First record.")
def show(path: Path, first: int) -> None:
    """Print the records, one JSON object a line, up to the first that was altered."""
    path = path / ALIBI_FILE if path.is_dir() else path
    for record in read_all(path):
        if isinstance(record, TornTail):
            raise AlibiDamaged(f"record {record.head.sequence + 1}: is not complete")
        if record.sequence >= first:
            line = {"sequence": record.sequence, "hash": record.head.hash.hex(), **record.body}
            click.echo(json.dumps(line, ensure_ascii=False))
