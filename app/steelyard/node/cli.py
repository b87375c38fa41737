"""`steelyard node`: what Ansible's roles do on a host with ledger nodes."""

import json
from pathlib import Path

import click

from steelyard.node.asking import NodeClient
from steelyard.node.genesis import write_genesis
from steelyard.node.keys import make_keys, show_keys
from steelyard.node.waiting import Wanted, settle_validators, wait_until_ready

_directory = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The node's directory.",
)
_rpc = click.option("--rpc", required=True, help="Its JSON-RPC: http://127.0.0.1:PORT.")
_wait = click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=60,
    show_default=True,
    help="Seconds that it may take.",
)


@click.group()
def node() -> None:
    """Keys, genesis, state and votes of a ledger node in the field."""


@node.command("make-keys")
@_directory
@click.option("--validator", is_flag=True, help="It votes: draw its key beside the others'.")
@click.option("--beside", multiple=True, help="Address of another validator; repeat.")
def make_keys_command(directory: Path, validator: bool, beside: tuple[str, ...]) -> None:
    """Make the node's keys, where there are none, and print their public halves."""
    made = make_keys(directory, list(beside) if validator else None)
    click.echo(json.dumps(made.as_dict()))


@node.command("show-keys")
@_directory
def show_keys_command(directory: Path) -> None:
    """Print the public halves of the node's keys."""
    click.echo(json.dumps(show_keys(directory).as_dict()))


@node.command("genesis")
@click.option("--chain-id", type=click.IntRange(1, 2**31), required=True, help="Chain id.")
@click.option("--block-period", type=click.IntRange(1, 3600), default=1, show_default=True)
@click.option("--empty-block-period", type=click.IntRange(0, 3600), default=5, show_default=True)
@click.option("--validator", "validators", multiple=True, required=True, help="Address; repeat.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write; another genesis that is there is never replaced.",
)
def genesis_command(
    chain_id: int,
    block_period: int,
    empty_block_period: int,
    validators: tuple[str, ...],
    output: Path,
) -> None:
    """Write a QBFT network's genesis, and print its SHA-256."""
    click.echo(
        write_genesis(
            output,
            validators,
            chain_id=chain_id,
            block_period=block_period,
            empty_block_period=empty_block_period,
        )
    )


@node.command()
@_rpc
@click.option("--tessera", required=True, help="Its privacy manager: unix:/PATH or http://….")
@click.option("--peers", type=click.IntRange(0), default=0, help="Peers that it must have.")
@click.option("--key", "keys", multiple=True, help="Tessera key that must be known; repeat.")
@_wait
def status(rpc: str, tessera: str, peers: int, keys: tuple[str, ...], wait: float) -> None:
    """Wait until blocks come, peers are there and the privacy manager is up; print the state."""
    found = wait_until_ready(NodeClient(rpc, tessera), Wanted(peers, keys), wait)
    click.echo(json.dumps(found))


@node.command()
@_rpc
@click.option("--wanted", multiple=True, help="Address of a validator that is wanted; repeat.")
@click.option("--settle", is_flag=True, help="Vote until the validators are those, and no other.")
@_wait
def validators(rpc: str, wanted: tuple[str, ...], settle: bool, wait: float) -> None:
    """Print who votes, and what was voted."""
    client = NodeClient(rpc)
    voted = settle_validators(client, wanted, wait) if settle else []
    click.echo(json.dumps({"validators": client.validators(), "voted": voted}))
