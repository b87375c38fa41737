"""Nobody is deleted who has not left, and the validators' majority is never lost."""

from hypothesis import given
from hypothesis import strategies as st
from stacks import stack

from infra.program.membership import MembershipProvider
from infra.stack.layout import lay_out
from infra.stack.leaving import Members, lost, members_of, quorum_size, refusals
from infra.stack.models import StackConfig


def members(customers: int, *leaving: str, host: str = "platform") -> Members:
    """The members of a stack with so many customers."""
    document = stack(customers, leaving=list(leaving))
    document["consortium"]["platform"] = {"host": host}
    layout = lay_out(StackConfig.model_validate(document))
    return members_of(layout.spec, layout.leaving)


def test_who_has_not_left_is_not_deleted():
    """Neither the customer's own node nor its station's; both are named."""
    found = refusals(members(5), members(4), protect=True)
    assert found == [
        (
            f"node customer-5-{name} ({what}) would be deleted without having left: name its "
            "station, customer or itself in steelyard:leaving, update, and then take it out"
        )
        for name, what in (("admin", "a validator"), ("station-5-1", "station station-5-1"))
    ]


def test_who_has_left_may_be_deleted():
    """That is the second of the two updates."""
    assert refusals(members(5, "customer-5"), members(4), protect=True) == []
    assert refusals(members(5), members(5, "customer-5"), protect=True) == []
    assert refusals(members(4), members(5), protect=True) == []


def test_the_majority_is_kept_whatever_is_protected():
    """Five validators make no block when three are ended."""
    assert "could make no block" in refusals(members(4), members(1), protect=False)[0]
    assert refusals(members(4), members(3), protect=False) == []


def test_the_platform_does_not_move_by_itself():
    """Its database would stay behind."""
    found = refusals(members(2), members(2, host="network-1"), protect=True)
    assert [one.split(",")[0] for one in found] == [
        "the platform would move from platform to network-1"
    ]


def test_what_would_be_lost_is_told():
    """Machine, nodes, and whose tickets are on it."""
    assert lost(members(5, "customer-5"), members(4)) == [
        (
            "would be lost: machine customer-5 with node customer-5-admin, customer-5-station-5-1; "
            "tickets of station-5-1 on it"
        )
    ]
    assert lost(members(2), members(3)) == []


@given(st.integers(1, 60))
def test_a_quorum_is_more_than_two_thirds_less_one(validators):
    """Two quorums have an honest member in common (QBFT): their overlap is more than f."""
    faulty = (validators - 1) // 3
    assert 2 * quorum_size(validators) - validators > faulty
    assert validators - faulty >= quorum_size(validators)


@given(st.integers(3, 12), st.integers(1, 12))
def test_no_update_halts_the_chain(before, after):
    """Whatever passes leaves a quorum of those who voted."""
    old, new = members(before), members(after)
    if not refusals(old, new, protect=False):
        staying = set(old.validators) & set(new.validators)
        assert len(staying) >= quorum_size(len(old.validators))


def test_preview_refuses_and_tells(capsys):
    """The provider's check has the refusals; its diff prints what would be lost."""
    provider = MembershipProvider()

    def props(who, protect=True):
        return {"members": who.model_dump(mode="json"), "protect": protect}

    refused = provider.check(props(members(5)), props(members(4)))
    assert len(refused.failures) == 2
    assert provider.check({}, props(members(4))).failures == []
    left = props(members(5, "customer-5"))
    assert provider.check(left, props(members(4))).failures == []
    assert provider.diff("members", left, props(members(4))).changes is True
    assert "would be lost: machine customer-5" in capsys.readouterr().out
    assert provider.diff("members", left, left).changes is False
