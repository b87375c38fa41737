"""The demo's result as a table for a person and as JSON for a program."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from steelyard.demo.errors import DemoFailed
from steelyard.demo.result import DemoResult, Finding

_MARKS = {True: "[green]yes[/green]", False: "[bold red]NO[/bold red]", None: "[yellow]-[/yellow]"}
_MIB = 1024 * 1024


def print_result(console: Console, result: DemoResult) -> None:
    """Print the whole result, the verdict last."""
    console.print(_stations(result))
    for title, findings in (
        ("Queries and receipts, and what the parties see", result.checks),
        ("Four attempts to look at what is not one's own", result.attempts),
        ("One ticket, proved from its receipt at the station's node", result.proof),
        ("Three attempts to alter what is recorded", result.tampering),
        ("The recorded traffic", result.capture),
    ):
        if findings:
            console.print(_findings(title, findings))
    for link, messages in result.handshakes.items():
        console.print(f"{link}: {', '.join(messages)}", highlight=False)
    steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in result.seconds.items())
    console.print(
        f"{steps}; {result.processes} processes, {result.memory_bytes / _MIB:.0f} MiB together",
        highlight=False,
    )
    if result.holds:
        console.print("[bold green]Everything is as it should be.[/bold green]")
    else:
        console.print("[bold red]Something is not as it should be: see NO above.[/bold red]")


def _stations(result: DemoResult) -> Table:
    table = Table(
        title=f"Tickets on the ledger ({result.engine})",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("station", "customer"):
        table.add_column(name)
    for name in ("weighings", "tickets", "receipts", "customer's query"):
        table.add_column(name, justify="right")
    for station in result.stations:
        table.add_row(
            escape(station.station),
            escape(station.customer),
            str(station.weighings),
            str(station.tickets),
            str(station.receipts),
            str(result.customers[station.customer]),
        )
    return table


def _findings(title: str, findings: Iterable[Finding]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("so", width=3)
    table.add_column("what", ratio=1)
    table.add_column("seen", ratio=1)
    for finding in findings:
        seen = finding.seen
        if finding.holds is False:
            seen = f"{seen} (expected: {finding.expected})"
        table.add_row(_MARKS[finding.holds], escape(finding.name), escape(seen))
    return table


def write_report(path: Path, result: DemoResult) -> None:
    """Write the result as JSON. Raises DemoFailed when the file cannot be written."""
    text = json.dumps(result.as_json(), indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise DemoFailed(f"--report {path}: cannot be written: {error.strerror}") from None
