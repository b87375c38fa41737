"""Votes for and against validators, and waits for their effect.

A change is made when more than half of the validators voted for it in blocks of theirs. A node
gives its vote in each of its blocks for as long as it has the candidate, and has it until it is
restarted or told to discard it: a vote that had its effect would be given again, once somebody
reverts it. So votes are taken back when they are spent.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steelyard.node.addresses import check_orders, checksummed
from steelyard.node.asking import NodeClient
from steelyard.node.errors import NodeProblem, Unanswered, VoteWithoutEffect

_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who votes now, whom this node voted about, and who votes without being wanted."""

    validators: tuple[str, ...]
    voted: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def propose(node: NodeClient, address: str, seconds: float, *, vote: bool) -> Outcome:
    """Vote for (or against) an address, and wait until it is a validator (or is none).

    With no seconds it does not wait. Raises VoteWithoutEffect; the vote stays.
    """
    (one,) = checksummed([address])
    present = node.validators()
    if vote:
        check_orders([*{*present, one}])
    elif present == [one]:
        raise NodeProblem(f"{one} is the only validator: without it there are no more blocks")
    voted = _vote(node, {one: vote}, seconds)
    return Outcome(tuple(node.validators()), voted)


def settle(
    node: NodeClient, wanted: Sequence[str], seconds: float, *, drop_others: bool = False
) -> Outcome:
    """Vote until these are validators, and with `drop_others` until nobody else is.

    In first, then out: the network is never smaller than it must be. Without `drop_others` the
    others are told as `unlisted`: a list that is incomplete by mistake takes nobody's vote. Raises
    VoteWithoutEffect; votes stay. NodeProblem when nothing, or nobody who votes now, is wanted.
    """
    target = checksummed(wanted)
    present = node.validators()
    if not target:
        raise NodeProblem("nobody would be left to vote: name the validators that are wanted")
    if drop_others and not set(target) & set(present):
        raise NodeProblem("nobody who votes now is wanted: that would be another network")
    check_orders(target if drop_others else [*{*target, *present}])
    contrary = [
        one
        for one, vote in node.candidates().items()
        if (one in target) is not vote and (drop_others or one in target)
    ]
    _discard(node, contrary)
    voted = _vote(node, dict.fromkeys(target, True), seconds)
    if drop_others:
        others = dict.fromkeys(sorted(set(present) - set(target)), False)
        voted += _vote(node, others, seconds)
    now = node.validators()
    return Outcome(tuple(now), voted, tuple(one for one in now if one not in target))


def _vote(node: NodeClient, changes: Mapping[str, bool], seconds: float) -> tuple[str, ...]:
    """Vote for what is not so yet, wait until it is, and take spent votes back."""
    until = time.monotonic() + seconds
    voted: tuple[str, ...] = ()
    while True:
        present, candidates = _state(node, until)
        _discard(node, [one for one, vote in candidates.items() if (one in present) is vote])
        missing = {one: vote for one, vote in changes.items() if (one in present) is not vote}
        for one, vote in missing.items():
            if candidates.get(one) is not vote:
                node.call("istanbul_propose", one, vote)
                voted += () if one in voted else (one,)
        if not missing or not seconds:
            return voted
        if time.monotonic() >= until:
            raise VoteWithoutEffect(
                f"after {seconds:g} s {len(missing)} of the changes are not made: more than half "
                f"of the {len(present)} validators must vote for each; this node's vote stays "
                "until it is restarted"
            )
        time.sleep(_PAUSE)


def _state(node: NodeClient, until: float) -> tuple[list[str], dict[str, bool]]:
    """Validators and this node's votes; an answer that does not come is waited for."""
    while True:
        try:
            return node.validators(), node.candidates()
        except Unanswered:
            if time.monotonic() >= until:
                raise
        time.sleep(_PAUSE)


def _discard(node: NodeClient, candidates: Sequence[str]) -> None:
    for one in candidates:
        node.call("istanbul_discard", one)
