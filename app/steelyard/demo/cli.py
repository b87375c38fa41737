"""`steelyard demo`."""

import asyncio
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import click
import structlog
from rich.console import Console
from rich.status import Status

from steelyard.demo.client import https_session
from steelyard.demo.errors import DemoFailed
from steelyard.demo.examine import Examination
from steelyard.demo.plan import Plan, read_plan
from steelyard.demo.processes import Processes
from steelyard.demo.report import print_result, write_report
from steelyard.demo.result import DemoResult
from steelyard.demo.stage import Options, Progress, Stage
from steelyard.demo.workspace import ADMINISTRATOR, Workspace

_FILE = click.Path(path_type=Path, dir_okay=False)
_WEIGHINGS = "weighings-600.csv"


def default_weighings() -> Path:
    """The weighings of the paper's experiment: in the package, or in a checkout's data/."""
    packaged = Path(str(resources.files("steelyard.demo").joinpath(_WEIGHINGS)))
    checkout = Path(__file__).parents[3] / "data" / _WEIGHINGS
    return packaged if packaged.exists() else checkout


@click.command()
@click.option(
    "--weighings", type=_FILE, default=default_weighings, help="CSV of weighings to replay."
)
@click.option(
    "--customer",
    "customers",
    multiple=True,
    metavar="STATION=NAME",
    help="Who owns a station; may be given again. A station without one gets its own customer.",
)
@click.option(
    "--engine",
    type=click.Choice(["sandbox", "quorum"]),
    default="sandbox",
    show_default=True,
    help="The embedded consortium, or GoQuorum and Tessera: a network of the demo's own, or the "
    "one that --network names.",
)
@click.option(
    "--network",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="network.json of running GoQuorum and Tessera nodes (with --engine quorum).",
)
@click.option(
    "--block-period",
    type=click.IntRange(10, 60_000),
    default=500,
    show_default=True,
    help="Milliseconds between the sandbox's blocks.",
)
@click.option("--keep", is_flag=True, help="Leave it running at the end; print URLs and log-ins.")
@click.option("--report", type=_FILE, help="Write the whole result as JSON into this file.")
@click.option(
    "--capture", is_flag=True, help="Record the traffic of the stations, where tshark is installed."
)
def demo(
    weighings: Path,
    customers: tuple[str, ...],
    engine: str,
    network: Path | None,
    block_period: int,
    keep: bool,
    report: Path | None,
    capture: bool,
) -> None:
    """Run the paper's experiment on this machine, and show what it shows.

    Exit status 1 if anything is not as it should be.
    """
    if network is not None and engine != "quorum":
        raise click.UsageError("--network FILE needs --engine quorum")
    # The rooms' libraries log for operators; a demo's reader gets the table.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    options = Options(weighings, _owners(customers), engine, block_period, capture, network)
    with tempfile.TemporaryDirectory(prefix="steelyard-demo-") as directory:
        result = asyncio.run(_run(options, Path(directory), keep=keep, report=report))
    sys.exit(0 if result.holds else 1)


def _owners(pairs: Sequence[str]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for pair in pairs:
        station, equals, customer = pair.partition("=")
        if not equals or not station or not customer.strip():
            raise click.BadParameter(f"{pair!r} must be STATION=NAME", param_hint="--customer")
        if station in owners:
            raise click.BadParameter(f"{station} is given twice", param_hint="--customer")
        owners[station] = customer.strip()
    return owners


async def _run(options: Options, root: Path, *, keep: bool, report: Path | None) -> DemoResult:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel if task else stopped.set)
    console = Console()
    started = time.monotonic()
    plan = read_plan(options.weighings, options.owners, root / "weighings")
    console.print(_announcement(plan, options), highlight=False)
    workspace = Workspace(root, plan)
    with Processes() as processes:
        try:
            async with https_session(workspace.servers.certificate_path) as session:
                with console.status("starting ...") as status:
                    reporter = _Reporter(status, console)
                    stage = Stage(options, plan, workspace, processes, session, reporter.report)
                    await stage.run()
                    reporter.report(Progress("examination"))
                    await Examination(stage).run()
                stage.result.seconds["in all"] = round(time.monotonic() - started, 2)
                print_result(console, stage.result)
                if report is not None:
                    write_report(report, stage.result)
                if keep:
                    _print_log_ins(console, stage)
                    with contextlib.suppress(asyncio.CancelledError):
                        await stopped.wait()
        except asyncio.CancelledError:
            raise DemoFailed("stopped") from None
    return stage.result


class _Reporter:
    """Live progress on a terminal; a line now and then where there is none."""

    def __init__(self, status: Status, console: Console) -> None:
        self._status = status
        self._console = console
        self._step = ""
        self._tenth = 0

    def report(self, progress: Progress) -> None:
        text = progress.step
        if progress.weighings:
            text = f"{progress.step}: {progress.receipts} of {progress.weighings} have a receipt"
        self._status.update(f"{text} ...")
        if self._console.is_terminal:
            return
        tenth = progress.receipts * 10 // progress.weighings if progress.weighings else 0
        if progress.step != self._step or tenth > self._tenth:
            self._console.print(f"  {text}", highlight=False)
            self._step, self._tenth = progress.step, tenth


def _announcement(plan: Plan, options: Options) -> str:
    customers, stations = len(plan.customers), len(plan.stations)
    bridges = sum(len(station.weighbridges) for station in plan.stations)
    engine = "the sandbox (no consensus: a demo)"
    if options.engine == "quorum":
        engine = "GoQuorum and Tessera"
    return (
        f"{plan.weighings} weighings of {options.weighings.name}: {customers} customers, "
        f"{stations} stations, {bridges} weighbridges, {plan.cells} load cells; "
        f"{plan.nodes} nodes on {engine}"
    )


def _print_log_ins(console: Console, stage: Stage) -> None:
    workspace = stage.workspace
    password = workspace.password_file.read_text("ascii").strip()
    lines = [
        "",
        f"management API   {workspace.management_url}/docs",
        f"tickets API      {workspace.tickets_url}/docs",
        f"authority        {workspace.servers.certificate_path}   (curl --cacert)",
        f"administrator    {ADMINISTRATOR}   {password}",
        *(
            f"{customer:16} {user.login}   {user.password}"
            for customer, user in stage.registered.users.items()
        ),
        *(
            f"SmartBox         http://127.0.0.1:{port}/   ({name})"
            for name, port in workspace.ports.status.items()
        ),
        f"logs             {workspace.logs}",
        "It runs until Ctrl-C, and then everything is removed.",
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
