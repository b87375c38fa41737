"""`steelyard alibi`."""

import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from steelyard.errors import ConfigurationError
from steelyard.smartbox.alibi.export import export_lines, is_export, read_export
from steelyard.smartbox.alibi.format import Record, TornTail
from steelyard.smartbox.alibi.memory import read_from
from steelyard.smartbox.audit.comparison import compare_with_export
from steelyard.smartbox.audit.verify import Finding, compare_with_heads, read_heads, verify_alibi
from steelyard.smartbox.errors import AlibiDamaged
from steelyard.smartbox.recorder import ALIBI_FILE, OUTBOX_FILE

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def alibi() -> None:
    """Verify, show and export an alibi memory. None of it writes to it."""


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
@click.option(
    "--heads",
    type=_FILE,
    help="Heads on the ledger to compare with, as `steelyard export-check --alibi-heads` writes "
    "them: they seal also what is not registered.",
)
def verify(path: Path, outbox: Path | None, tickets: Path | None, heads: Path | None) -> None:
    """Check every record of an alibi memory: a SmartBox's data directory, the memory's first file
    with those that go on with it, one of these alone, or an export.

    With --tickets also compare each record with what is registered: nobody who only has the
    SmartBox's disk can rewrite that, nor what --heads has. Exit status 1 if anything was altered,
    removed, moved or cut, or if the two sides disagree; tickets that still wait in the outbox are
    no disagreement.
    """
    path = path / ALIBI_FILE if path.is_dir() else path
    beside = path.with_name(OUTBOX_FILE)
    if outbox is None and path.name == ALIBI_FILE and beside.exists():
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
    if heads is not None:
        agree, sentences = compare_with_heads(path, read_heads(heads))
        for sentence in sentences:
            click.echo(sentence)
        holds = holds and agree
    if not holds:
        sys.exit(1)


@alibi.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--from", "first", type=click.IntRange(min=1), default=1, help="First record.")
@click.option("--to", "last", type=click.IntRange(min=1), help="Last record.")
@click.option("--ticket", help="Only the records of the ticket with this id.")
@click.option("--vehicle", help="Only the records of this vehicle, as it stands there.")
def show(path: Path, first: int, last: int | None, ticket: str | None, vehicle: str | None) -> None:
    """Print the records, one JSON object a line, up to the first that was altered."""
    path = path / ALIBI_FILE if path.is_dir() else path
    wanted = {"ticketID": ticket, "vehicle": vehicle}
    for record in _records(path, first):
        if last is not None and record.sequence > last:
            return
        held = record.body.get("ticket")
        held = held if isinstance(held, dict) else {}
        if all(held.get(name) == value for name, value in wanted.items() if value is not None):
            text = json.dumps(record.as_json(), ensure_ascii=False)
            click.echo(text.encode(errors="backslashreplace").decode())


def _records(path: Path, first: int) -> Iterator[Record]:
    for found in read_export(path) if is_export(path) else read_from(path, first):
        if isinstance(found, TornTail):
            raise AlibiDamaged(f"record {found.head.sequence + 1}: is not complete")
        if found.sequence >= first:
            yield found


@alibi.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("output", type=_FILE)
@click.option("--from", "first", type=click.IntRange(min=1), default=1, help="First record.")
@click.option("--to", "last", type=click.IntRange(min=1), help="Last record.")
def export(path: Path, output: Path, first: int, last: int | None) -> None:
    """Write the records to a file of JSON lines, which `verify` and `show` take like the memory.

    Compressed if its name ends in .gz; unpack it before verifying. Every record is checked on the
    way; nothing is left of the file if one does not hold.
    """
    path = path / ALIBI_FILE if path.is_dir() else path
    if output.exists():
        raise ConfigurationError(f"{output}: is there already")
    draft = output.with_name(output.name + ".new")
    count = -1
    try:
        with _written(draft, compressed=output.suffix == ".gz") as stream:
            for line in export_lines(path, first, last):
                stream.write(line.encode(errors="surrogatepass") + b"\n")
                count += line.startswith('{"sequence"')
        draft.rename(output)
    except OSError as error:
        raise ConfigurationError(f"{output}: cannot be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    click.echo(f"{output}: {count + 1} records")


@contextmanager
def _written(path: Path, *, compressed: bool) -> Iterator[IO[bytes] | gzip.GzipFile]:
    if compressed:
        with gzip.open(path, "wb") as stream:
            yield stream
    else:
        with path.open("wb") as stream:
            yield stream
