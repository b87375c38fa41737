"""Votes have their effect when more than half give them, and are taken back when they are spent."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from fakenode import A, B, C, D, FakeChain, disorderly

from steelyard.node.asking import NodeClient
from steelyard.node.cli import node
from steelyard.node.errors import NodeProblem, VoteWithoutEffect
from steelyard.node.voting import propose, settle


def everywhere(fakes, call):
    """Run a command at all nodes at once, as a play does."""
    with ThreadPoolExecutor(len(fakes)) as pool:
        return list(pool.map(lambda one: call(NodeClient(one.url)), fakes))


def test_all_vote_for_one_who_joins(serve):
    """It is in when more than half voted, and no vote is left to be given again."""
    chain = FakeChain(A, B, C)
    fakes = serve(chain, A, B, C)
    outcomes = everywhere(fakes, lambda one: settle(one, [A, B, C, D], 20))
    assert chain.validators == [A, B, C, D]
    assert all(set(one.validators) == {A, B, C, D} for one in outcomes)
    assert sum(bool(one.voted) for one in outcomes) >= 2
    assert [one.candidates for one in fakes] == [{}, {}, {}]
    again = everywhere(fakes, lambda one: settle(one, [A, B, C, D], 20))
    assert [one.voted for one in again] == [(), (), ()]


def test_a_list_that_lacks_somebody_takes_nobodys_vote(serve):
    """A host that could not be reached is not in the play's list of keys."""
    chain = FakeChain(A, B, C)
    fakes = serve(chain, A, B, C)
    outcomes = everywhere(fakes, lambda one: settle(one, [A, B], 20))
    assert chain.validators == [A, B, C]
    assert [one.unlisted for one in outcomes] == [(C,)] * 3
    assert all(one.votes == [] for one in fakes)


def test_others_are_voted_out_when_that_is_asked_for(serve):
    """In first, then out, so that the network is never smaller than it must be."""
    chain = FakeChain(A, B, C)
    fakes = serve(chain, A, B, C)
    outcomes = everywhere(fakes, lambda one: settle(one, [A, B, D], 20, drop_others=True))
    assert set(chain.validators) == {A, B, D}
    assert [one.unlisted for one in outcomes] == [()] * 3
    assert all(one.candidates == {} for one in fakes if one.address != C)
    for one in fakes:
        assert (C, False) not in one.votes or one.votes.index((C, False)) == len(one.votes) - 1


def test_a_vote_that_others_do_not_share_is_told_and_stays(serve):
    """It counts as soon as the others give theirs, and is given once."""
    chain = FakeChain(A, B, C)
    first, second, _ = serve(chain, A, B, C)
    with pytest.raises(VoteWithoutEffect, match=r"1 of the changes .* more than half of the 3"):
        propose(NodeClient(first.url), D, 0.1, vote=True)
    assert first.candidates == {D: True}
    assert first.votes == [(D, True)]
    assert propose(NodeClient(second.url), D, 20, vote=True).validators == (A, B, C, D)
    assert first.candidates == {D: True}
    assert settle(NodeClient(first.url), [A, B, C, D], 20).voted == ()
    assert first.candidates == {}


def test_an_old_vote_against_somebody_who_is_wanted_is_taken_back(serve):
    """It would vote out tomorrow who was let in today."""
    chain = FakeChain(A, B, C)
    (fake,) = serve(chain, A)
    fake.candidates = {B: False, D: False}
    settle(NodeClient(fake.url), [A, B, C], 20)
    assert fake.candidates == {}
    fake.candidates = {D: True}  # somebody else's affair, unless nobody else is wanted
    settle(NodeClient(fake.url), [A, B, C], 20)
    assert fake.candidates == {D: True}
    settle(NodeClient(fake.url), [A, B, C], 20, drop_others=True)
    assert fake.candidates == {}


@pytest.mark.parametrize(
    ("wanted", "drop", "sentence"),
    [
        ([], False, "nobody would be left"),
        ([C, D], True, "nobody who votes now is wanted"),
        ([A, "0x12"], False, "is no address"),
        ([A, A], False, "named twice"),
    ],
)
def test_what_would_end_the_network_is_refused(serve, wanted, drop, sentence):
    """Before any vote is given."""
    (fake,) = serve(FakeChain(A, B), A)
    with pytest.raises(NodeProblem, match=sentence):
        settle(NodeClient(fake.url), wanted, 5, drop_others=drop)
    assert fake.votes == []


def test_one_out_of_order_is_not_voted_in(serve):
    """Restarted nodes would disagree about whose turn it is."""
    present, other = disorderly()
    (fake,) = serve(FakeChain(present, A), A)
    for call in (
        lambda one: propose(one, other, 5, vote=True),
        lambda one: settle(one, [A, present, other], 5),
    ):
        with pytest.raises(NodeProblem, match="sort differently"):
            call(NodeClient(fake.url))
    assert fake.votes == []


def test_the_last_validator_is_not_voted_out(serve):
    (fake,) = serve(FakeChain(A), A)
    with pytest.raises(NodeProblem, match="the only validator"):
        propose(NodeClient(fake.url), A, 5, vote=False)


def test_the_command_lists_and_votes(serve):
    """It prints JSON; addresses may be written small."""
    chain = FakeChain(A)
    (fake,) = serve(chain, A)

    def run(*arguments):
        return CliRunner().invoke(node, ["validators", "--rpc", fake.url, *arguments])

    assert json.loads(run().output) == {"validators": [A], "voted": [], "unlisted": []}
    voted = run("--propose", B, "--wait", "20")
    assert json.loads(voted.output) == {"validators": [A, B], "voted": [B], "unlisted": []}
    # One of two is not more than half: without waiting the vote is only given.
    only = run("--propose", B, "--vote", "false", "--wait", "0")
    assert json.loads(only.output) == {"validators": [A, B], "voted": [B], "unlisted": []}
    assert fake.candidates == {B: False}
    settled = run("--settle", f"--wanted={A}", f"--wanted={B}")
    assert json.loads(settled.output)["voted"] == []
    assert fake.candidates == {}
    assert run("--settle", "--propose", B).exit_code == 2
    assert run("--wanted", B).exit_code == 2
