"""`steelyard node`: what Ansible's roles do on a host with ledger nodes."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click

from steelyard.node import voting
from steelyard.node.addresses import checksummed
from steelyard.node.asking import NodeClient
from steelyard.node.checking import check
from steelyard.node.genesis import write_genesis
from steelyard.node.keys import make_keys, show_keys
from steelyard.node.waiting import Wanted, wait_until_ready

_directory = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The node's directory.",
)
_rpc = click.option("--rpc", required=True, help="Its JSON-RPC: http://127.0.0.1:PORT.")
_SECONDS = click.FloatRange(0, 86_400)


@click.group()
def node() -> None:
    """Keys, genesis, state and votes of a ledger node in the field. All print JSON."""


@node.command("make-keys")
@_directory
@click.option("--validator", is_flag=True, help="It votes: its key is drawn beside the others'.")
@click.option("--beside", multiple=True, help="Address of another validator; repeat.")
def make_keys_command(directory: Path, *, validator: bool, beside: tuple[str, ...]) -> None:
    """Make the node's keys, where there are none, and print their public halves.

    Keys that are there are kept. Two of this command, on whatever hosts, draw addresses that
    GoQuorum orders in one way; --beside is for validators whose keys were made otherwise.
    """
    if beside and not validator:
        raise click.UsageError("--beside is for a --validator")
    _print(make_keys(directory, checksummed(dict.fromkeys(beside))).as_dict())


@node.command("show-keys")
@_directory
def show_keys_command(directory: Path) -> None:
    """Print the public halves of the node's keys."""
    _print(show_keys(directory).as_dict())


@node.command("genesis")
@click.option("--chain-id", type=click.IntRange(1, 2**31), required=True, help="Chain id.")
@click.option(
    "--block-period",
    type=click.IntRange(1, 3600),
    default=1,
    show_default=True,
    help="Seconds between blocks.",
)
@click.option(
    "--empty-block-period",
    type=click.IntRange(0, 3600),
    default=5,
    show_default=True,
    help="Seconds between empty blocks; 0: as between others.",
)
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
    digest = write_genesis(
        output,
        validators,
        chain_id=chain_id,
        block_period=block_period,
        empty_block_period=empty_block_period,
    )
    _print({"genesis": digest})


@node.command("check")
@_directory
@click.option(
    "--genesis",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The genesis.  [default: genesis.json beside the directory]",
)
@click.option("--sha256", help="The SHA-256 that the genesis must have.")
@click.option("--rpc", help="JSON-RPC of the running node, whose chain must be of this genesis.")
def check_command(
    directory: Path, genesis: Path | None, sha256: str | None, rpc: str | None
) -> None:
    """Check that the node's keys and genesis are whole and belong together. Changes nothing."""
    client = None if rpc is None else NodeClient(rpc)
    _print(check(directory, genesis, sha256=sha256, client=client))


@node.command()
@_rpc
@click.option("--tessera", required=True, help="Its privacy manager: unix:/PATH or http://….")
@click.option("--peers", type=click.IntRange(0), default=0, help="Peers that it must have.")
@click.option("--key", "keys", multiple=True, help="Tessera key that must be known; repeat.")
@click.option("--after-block", type=click.IntRange(0), help="Block that it must be beyond.")
@click.option(
    "--wait", type=_SECONDS, help="Seconds until all is so and a block came.  [default: ask once]"
)
def status(
    rpc: str,
    tessera: str,
    peers: int,
    keys: tuple[str, ...],
    after_block: int | None,
    wait: float | None,
) -> None:
    """Print the node's head, peers and validators, and the keys that its privacy manager knows.

    Fails, with what is missing, unless both are up, nothing is being fetched from other nodes, and
    the options hold.
    """
    wanted = Wanted(peers, keys, after_block, moving=wait is not None)
    _print(wait_until_ready(NodeClient(rpc, tessera), wanted, wait or 0))


@node.command()
@_rpc
@click.option("--propose", metavar="ADDRESS", help="Vote about one address.")
@click.option("--vote", type=bool, default=True, show_default=True, help="For it, or against it.")
@click.option("--settle", is_flag=True, help="Vote until all that are --wanted are validators.")
@click.option("--wanted", multiple=True, help="Address of a validator that is wanted; repeat.")
@click.option("--drop-others", is_flag=True, help="With --settle: until nobody else is, either.")
@click.option(
    "--wait", type=_SECONDS, default=60, show_default=True, help="Seconds for it; 0: only vote."
)
def validators(
    rpc: str,
    propose: str | None,
    *,
    vote: bool,
    settle: bool,
    wanted: tuple[str, ...],
    drop_others: bool,
    wait: float,
) -> None:
    """Print who votes; before that vote, as this node.

    A change takes the votes of more than half of the validators: run it at each of them.
    """
    if settle and propose:
        raise click.UsageError("--settle or --propose, not both")
    if (wanted or drop_others) and not settle:
        raise click.UsageError("--wanted and --drop-others are for --settle")
    client = NodeClient(rpc)
    if settle:
        outcome = voting.settle(client, wanted, wait, drop_others=drop_others)
    elif propose:
        outcome = voting.propose(client, propose, wait, vote=vote)
    else:
        outcome = voting.Outcome(tuple(client.validators()))
    _print(asdict(outcome))


def _print(document: Mapping[str, object]) -> None:
    click.echo(json.dumps(document))
