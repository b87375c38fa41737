"""Keeps in the stack who is a member, so that nobody is deleted who has not left.

A stack's state keeps the provider as a reference to this module and its class: do not move them
while stacks are up.
"""

from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.stack.leaving import Members, lost, refusals


class MembershipProvider(ResourceProvider):
    """Compares the members that were with those that are to be; names what would be lost."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """In preview: refuse what would lose tickets or the majority of the validators."""
        failures: list[CheckFailure] = []
        if _olds:
            found = refusals(_members(_olds), _members(news), protect=bool(news["protect"]))
            failures = [CheckFailure("members", one) for one in found]
        return CheckResult(news, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Changed members; what would be lost is said here, as preview calls nothing else."""
        for one in lost(_members(_olds), _members(_news)):
            print(one, flush=True)
        same = all(_olds.get(name) == _news.get(name) for name in ("members", "protect"))
        return DiffResult(changes=not same)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Nothing is made: the record is the resource."""
        return CreateResult("members", dict(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """The record as it is now."""
        return UpdateResult(dict(_news))


class Membership(Resource, module="steelyard", name="Membership"):
    """Who is a member, in the stack's state."""

    def __init__(
        self, name: str, members: Members, *, protect: bool, opts: pulumi.ResourceOptions
    ) -> None:
        props = {"members": members.model_dump(mode="json"), "protect": protect}
        super().__init__(MembershipProvider(), name, props, opts)


def _members(props: dict[str, Any]) -> Members:
    return Members.model_validate(props["members"])
