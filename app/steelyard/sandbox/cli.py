"""`steelyard sandbox`: run an embedded consortium until it is told to stop."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from steelyard.sandbox.consortium import Consortium
from steelyard.sandbox.control import ControlServer
from steelyard.sandbox.settings import MAX_BASE_PORT, MAX_NODES, SandboxSettings
from steelyard.sandbox.store import write_atomically

BANNER = """\
Steelyard sandbox: {nodes} nodes with a privacy manager each, in one process.
For development and demonstration only. It has no consensus, encrypts nothing and asks nobody
who he is: whoever runs it can alter all of it. Do not keep tickets here that anyone relies on."""

_PERIOD = click.IntRange(1, 3_600_000)


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="TOML file with [sandbox].")
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), help="Number of nodes.")
@click.option("--directory", type=click.Path(path_type=Path), help="Keep the ledger here.")
@click.option("--network-file", type=click.Path(path_type=Path), help="Write the addresses here.")
@click.option(
    "--base-port", type=click.IntRange(0, MAX_BASE_PORT), help="First port; 0: free ports."
)
@click.option("--block-period", type=_PERIOD, help="Milliseconds between blocks.")
@click.option("--empty-block-period", type=_PERIOD, help="Milliseconds between empty blocks.")
@click.option("--chain-id", type=click.IntRange(1, 2**31), help="Chain id.")
@click.option("--control-port", type=click.IntRange(0, 65_535), help="Serve faults on demand here.")
def sandbox(config: Path | None, **options: Any) -> None:
    """Run an embedded consortium (development)."""
    given = {name: value for name, value in options.items() if value is not None}
    loaded = SandboxSettings.load(config)
    asyncio.run(_run(loaded.model_copy(update=given)))


async def _run(settings: SandboxSettings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stopped.set)
    empty = settings.empty_block_period
    consortium = Consortium(
        nodes=settings.nodes,
        block_period=settings.block_period / 1000,
        empty_block_period=None if empty is None else empty / 1000,
        base_port=settings.base_port,
        chain_id=settings.chain_id,
        directory=settings.directory,
    )
    control = None
    try:
        await consortium.start()
        if settings.control_port is not None:
            control = ControlServer(consortium, settings.control_port)
            await control.start()
        _announce(settings, consortium, control)
        await _until(stopped, consortium)
    finally:
        if control is not None:
            await control.stop()
        await consortium.stop()


def _announce(
    settings: SandboxSettings, consortium: Consortium, control: ControlServer | None
) -> None:
    network = consortium.network
    if control is not None:
        network["control_url"] = control.url
    path = network_file(settings)
    write_atomically(path, network)
    click.echo(BANNER.format(nodes=settings.nodes))
    if control is not None:
        click.echo(f"Faults on demand at {control.url}")
    head = consortium.ledger.chain.head.number
    click.echo(f"Ready at block {head}; addresses in {path}")


def network_file(settings: SandboxSettings) -> Path:
    """Where the addresses are written."""
    return settings.network_file or (settings.directory or Path()) / "network.json"


async def _until(stopped: asyncio.Event, consortium: Consortium) -> None:
    """Wait for a signal, or for the consortium to fail; its error is raised."""
    waits = [asyncio.create_task(stopped.wait()), asyncio.create_task(consortium.wait())]
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()
