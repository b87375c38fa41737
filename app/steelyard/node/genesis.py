"""The genesis of a consortium: made once, from its validators."""

from collections.abc import Sequence
from pathlib import Path

from steelyard.network.genesis import fingerprint, genesis, rendered
from steelyard.network.keys import orders_agree
from steelyard.network.settings import NetworkSettings
from steelyard.node.errors import ForeignGenesis, NodeProblem


def write_genesis(
    path: Path,
    validators: Sequence[str],
    *,
    chain_id: int,
    block_period: int,
    empty_block_period: int,
) -> str:
    """Write the file, unless it is there already; its SHA-256.

    Raises ForeignGenesis for another one, which is never replaced, and NodeProblem for validators
    that GoQuorum would not order in one way.
    """
    if len(set(validators)) != len(validators):
        raise NodeProblem("a validator is named twice")
    if not orders_agree(validators):
        raise NodeProblem(
            "the validators' addresses sort differently by bytes and by checksum: restarted nodes "
            "would disagree about whose turn it is (docs/decisions/network-keys.md)"
        )
    settings = NetworkSettings(
        chain_id=chain_id, block_period=block_period, empty_block_period=empty_block_period
    )
    text = rendered(genesis(settings, validators))
    if path.exists():
        if path.read_text("utf-8") != text:
            raise ForeignGenesis(
                f"{path} is another genesis than this would be; a genesis is made once and kept"
            )
        return fingerprint(text)
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, "ascii")
    scratch.replace(path)
    return fingerprint(text)
