"""Waits for a node to live, and for votes to have their effect."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.node.asking import NodeClient, Unanswered
from steelyard.node.errors import NotReady, VoteWithoutEffect

_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """When a node is ready: blocks come and it has these peers; its manager knows these keys."""

    peers: int = 0
    keys: tuple[str, ...] = ()


def wait_until_ready(node: NodeClient, wanted: Wanted, seconds: float) -> dict[str, Any]:
    """What the node says when it is ready. Raises NotReady with what is still missing."""
    until = time.monotonic() + seconds
    first: int | None = None
    missing = "nothing was asked yet"
    while True:
        try:
            head = node.head()
            first = head if first is None else first
            missing = _missing(node, wanted, head, first)
            if not missing:
                return {"head": head, "peers": node.peers(), "validators": node.validators()}
        except Unanswered as problem:
            missing = problem.detail
        if time.monotonic() > until:
            raise NotReady(f"after {seconds:g} s: {missing}")
        time.sleep(_PAUSE)


def _missing(node: NodeClient, wanted: Wanted, head: int, first: int) -> str:
    """What is missing; empty when nothing is."""
    peers = node.peers()
    if peers < wanted.peers:
        return f"it has {peers} peers of {wanted.peers}"
    if not node.privacy_manager_is_up():
        return "its privacy manager is not up"
    unknown = set(wanted.keys) - node.known_parties() if wanted.keys else set()
    if unknown:
        return f"its privacy manager does not know {len(unknown)} of {len(wanted.keys)} keys"
    if node.is_syncing():
        return f"it is at block {head} and fetches more"
    if head <= first:
        return f"no block came after {head}"
    return ""


def settle_validators(
    node: NodeClient,
    wanted: Sequence[str],
    seconds: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Vote until the validators are these; the addresses that were voted about.

    One vote has its effect when more than half of the validators gave it (QBFT); a node's own vote
    stays until then. Never votes the last validators out: what is wanted must not be empty. Raises
    VoteWithoutEffect.
    """
    if not wanted:
        raise VoteWithoutEffect("nobody would be left to vote: name the validators that are wanted")
    target = {one.lower() for one in wanted}
    until = time.monotonic() + seconds
    voted: dict[str, bool] = {}
    while True:
        present = {one.lower() for one in node.validators()}
        # In first: the network is never smaller than it must be.
        changes = dict.fromkeys(target - present, True) or dict.fromkeys(present - target, False)
        if not changes:
            return sorted(voted)
        for address, authorise in changes.items():
            if voted.get(address) is not authorise:
                node.call("istanbul_propose", address, authorise)
                voted[address] = authorise
        if time.monotonic() > until:
            raise VoteWithoutEffect(
                f"after {seconds:g} s {len(changes)} of the wanted changes are not made: "
                "more than half of the validators must vote for each"
            )
        sleep(_PAUSE)
