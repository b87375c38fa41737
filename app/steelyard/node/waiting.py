"""Waits for a node to live."""

import time
from dataclasses import dataclass
from typing import Any

from steelyard.node.asking import NodeClient
from steelyard.node.errors import NodeProblem, NotReady

_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """When a node is ready.

    It has so many peers, its head is behind `after_block`, it fetches nothing from others, and its
    privacy manager is up and knows these keys; with `moving` a block must have come meanwhile.
    """

    peers: int = 0
    keys: tuple[str, ...] = ()
    after_block: int | None = None
    moving: bool = True


def wait_until_ready(node: NodeClient, wanted: Wanted, seconds: float) -> dict[str, Any]:
    """What the node says when it is ready. Raises NotReady with what is still missing.

    It is asked once at least; an answer that does not come may come yet.
    """
    until = time.monotonic() + seconds
    first: int | None = None
    while True:
        try:
            head = node.head()
            first = head if first is None else first
            missing = _missing(node, wanted, head, first)
            if not missing:
                return _told(node, head)
        except NodeProblem as problem:
            missing = problem.detail
        if time.monotonic() >= until:
            after = f"after {seconds:g} s: " if seconds else ""
            raise NotReady(f"{after}{missing}")
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
    return _missing_blocks(node, wanted, head, first)


def _missing_blocks(node: NodeClient, wanted: Wanted, head: int, first: int) -> str:
    if node.is_syncing():
        return f"it is at block {head} and fetches more"
    if wanted.after_block is not None and head <= wanted.after_block:
        return f"it is at block {head}, and not after {wanted.after_block}"
    return f"no block came after {head}" if wanted.moving and head <= first else ""


def _told(node: NodeClient, head: int) -> dict[str, Any]:
    return {
        "head": head,
        "peers": node.peers(),
        "validators": node.validators(),
        "parties": sorted(node.known_parties()),
    }
