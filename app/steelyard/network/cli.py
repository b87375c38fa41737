"""`steelyard network`: a local network of the real engines."""

import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import click

from steelyard.network.service import LocalNetwork
from steelyard.network.settings import MAX_BASE_PORT, MAX_NODES, RECOMMIT, NetworkSettings
from steelyard.network.state import PARTS, Part
from steelyard.network.status import NodeStatus
from steelyard.network.table import exposure, rows, table

NOT_RUNNING = 3
_FOLLOW_SECONDS = 0.25
_WATCH_SECONDS = 1.0
_SECONDS = click.IntRange(0, 3600)
_directory = click.option(
    "--directory", type=click.Path(path_type=Path), help="Directory of the network."
)
_config = click.option(
    "--config", type=click.Path(path_type=Path), help="TOML file with [network]."
)
_part = click.option(
    "--part", type=click.Choice(PARTS), help="Only the node or only its privacy manager."
)


def _recommit(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    del context, parameter
    if value is not None and re.fullmatch(RECOMMIT, value) is None:
        raise click.BadParameter("must be a number of seconds or milliseconds, as 1s or 500ms")
    return value


@click.group()
def network() -> None:
    """Run a local network of GoQuorum and Tessera (development).

    Everything that it listens on is for this machine alone, as far as the engines allow; `up` says
    where they do not.
    """


@network.command()
@_config
@_directory
@click.option(
    "--engine",
    type=click.Choice(["quorum"]),
    default="quorum",
    show_default=True,
    help="The engines' family.",
)
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), help="Number of nodes.")
@click.option(
    "--validators",
    type=click.IntRange(0, MAX_NODES),
    help="QBFT: how many nodes vote, the first ones; 0: all.",
)
@click.option("--consensus", type=click.Choice(["qbft", "raft"]), help="Consensus.")
@click.option("--block-period", type=click.IntRange(1, 3600), help="QBFT: seconds between blocks.")
@click.option("--empty-block-period", type=_SECONDS, help="QBFT: seconds between empty blocks.")
@click.option(
    "--raft-block-time", type=click.IntRange(1, 60_000), help="Raft: milliseconds between blocks."
)
@click.option(
    "--base-port", type=click.IntRange(0, MAX_BASE_PORT), help="First port; 0: free ports."
)
@click.option("--chain-id", type=click.IntRange(1, 2**31), help="Chain id.")
@click.option(
    "--recommit",
    callback=_recommit,
    help="How often a node prepares its next block anew, as in 1s.",
)
@click.option("--heap", type=click.IntRange(64, 65_536), help="Megabytes of heap of each Tessera.")
@click.option("--foreground", is_flag=True, help="Stay until Ctrl-C, and stop it then.")
def up(
    config: Path | None, directory: Path | None, engine: str, *, foreground: bool, **options: Any
) -> None:
    """Make the network, or take up the one in the directory, and start it."""
    del engine  # there is one so far
    given = {name: value for name, value in options.items() if value is not None}
    settings = _settings(config, directory, given)
    network = LocalNetwork(settings.directory, settings, tethered=foreground, report=click.echo)
    _ = network.programs  # a download, before the signals are taken over, ends by Ctrl-C at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: network.abandoned.set())
    network.up()
    _announce(network, foreground=foreground)
    if foreground:
        _watch(network)
        network.down()
        click.echo("stopped")


@network.command()
@_config
@_directory
def down(config: Path | None, directory: Path | None) -> None:
    """Stop the network: the nodes first, then the privacy managers. Keys and data stay."""
    network = _existing(config, directory, echo=True)
    network.down()
    click.echo(f"stopped; keys, chain and data stay in {network.directory}")


@network.command()
@_config
@_directory
def status(config: Path | None, directory: Path | None) -> None:
    """Show what runs where. Exit status 3 if not everything runs."""
    network = _existing(config, directory)
    found = network.status()
    _show(network, found)
    if not all(one.runs for one in found):
        sys.exit(NOT_RUNNING)


@network.command()
@click.argument("node", required=False)
@_config
@_directory
@_part
@click.option(
    "--lines", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many."
)
@click.option("--follow", is_flag=True, help="Show what is added, until Ctrl-C.")
def logs(
    node: str | None,
    config: Path | None,
    directory: Path | None,
    part: str | None,
    *,
    lines: int,
    follow: bool,
) -> None:
    """Show the ends of the engines' logs: of a NODE, or of all."""
    network = _existing(config, directory)
    nodes = network.nodes if node is None else [network.node(node)]
    parts = PARTS if part is None else (cast("Part", part),)
    paths = [one.log(each) for one in nodes for each in parts]
    positions = {path: _print_end(path, lines, titled=len(paths) > 1) for path in paths}
    try:
        while follow:
            time.sleep(_FOLLOW_SECONDS)
            positions = {path: _print_new(path, since) for path, since in positions.items()}
    except KeyboardInterrupt:
        return


@network.command(name="start-node")
@click.argument("node")
@_config
@_directory
@_part
def start_node(node: str, config: Path | None, directory: Path | None, part: str | None) -> None:
    """Start one NODE with its privacy manager, and wait until it answers."""
    _existing(config, directory, echo=True).start(node, cast("Part | None", part))


@network.command(name="stop-node")
@click.argument("node")
@_config
@_directory
@_part
def stop_node(node: str, config: Path | None, directory: Path | None, part: str | None) -> None:
    """Stop one NODE with its privacy manager."""
    _existing(config, directory, echo=True).stop(node, cast("Part | None", part))
    click.echo(f"{part or 'node and privacy manager'} of {node}: stopped")


@network.command(name="restart-node")
@click.argument("node")
@_config
@_directory
@_part
def restart_node(node: str, config: Path | None, directory: Path | None, part: str | None) -> None:
    """Stop one NODE with its privacy manager, and start it again."""
    _existing(config, directory, echo=True).restart(node, cast("Part | None", part))


def _settings(
    config: Path | None, directory: Path | None, given: dict[str, Any] | None = None
) -> NetworkSettings:
    """The settings, an option before all else; what was given is known as given (layout.py)."""
    update = dict(given or {}) | ({"directory": directory} if directory else {})
    return NetworkSettings.load(config).model_copy(update=update)


def _existing(config: Path | None, directory: Path | None, *, echo: bool = False) -> LocalNetwork:
    settings = _settings(config, directory)
    return LocalNetwork(settings.directory, settings, report=click.echo if echo else None)


def _announce(network: LocalNetwork, *, foreground: bool) -> None:
    _show(network, network.status())
    programs = network.programs
    tessera = programs.tessera.version or "of an unknown version"
    click.echo(
        f"Ready: GoQuorum {programs.geth_version}, Tessera {tessera} on Java "
        f"{programs.java.release}; addresses in {network.network_file}"
    )
    if foreground:
        click.echo("It runs until Ctrl-C.")
    else:
        click.echo(f"Stop it with: steelyard network down --directory {network.directory}")


def _show(network: LocalNetwork, found: list[NodeStatus]) -> None:
    click.echo(table(rows(found)))
    warning = exposure(network.exposed_ports())
    if warning:
        click.echo(warning)


def _watch(network: LocalNetwork) -> None:
    """Stay until a signal; say when an engine ends that nobody stopped."""
    told: set[tuple[str, Part]] = set()
    while not network.abandoned.wait(_WATCH_SECONDS):
        ended = network.ended()
        for node, part in sorted(ended - told):
            click.echo(f"{part} of {node} ended by itself: see `steelyard network logs {node}`")
        told = ended


def _print_end(path: Path, lines: int, *, titled: bool) -> int:
    """Print the last lines; gives how far it was read, and not how long the file is by then."""
    content = path.read_bytes() if path.exists() else b""
    if titled:
        click.echo(f"==> {path} <==")
    for line in content.splitlines()[-lines:]:
        click.echo(line.decode("utf-8", "replace"))
    return len(content)


def _print_new(path: Path, since: int) -> int:
    if not path.exists() or path.stat().st_size <= since:
        return since
    with path.open("rb") as file:
        file.seek(since)
        content = file.read()
    click.echo(content.decode("utf-8", "replace"), nl=False)
    return since + len(content)
