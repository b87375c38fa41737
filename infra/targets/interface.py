"""What every target gives the rest of the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pulumi

from infra.stack.layout import Layout


@dataclass(frozen=True)
class BuiltHost:
    """A machine that the target makes. Outputs are texts, and none is a secret.

    `jump`: the machine through which ssh goes, and which `forwards`. `inside`: the address by which
    members reach it, when that is another.
    """

    resource: pulumi.Resource
    address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    user: str
    key_file: pulumi.Output[str]
    jump: str | None = None
    forwards: bool = False
    inside: pulumi.Output[str] | None = None


@dataclass(frozen=True)
class Built:
    """All that a target made.

    `api_host`: name or address by which users reach the APIs. `ssh_sources`: from where ssh comes
    beside the operators' networks. `variables`: what roles are told, such as the database's place.
    `parts`: everything else that the playbooks need, such as ways and rights. It is there before
    they run, and until the last backup is taken.
    """

    hosts: Mapping[str, BuiltHost]
    api_host: pulumi.Output[str]
    ssh_sources: list[pulumi.Output[str]]
    variables: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict)
    parts: Sequence[pulumi.Resource] = ()


class Target(Protocol):
    """A place where machines are made."""

    def build(self, layout: Layout, parent: pulumi.Resource) -> Built:
        """Declare everything of the layout, as children of `parent`."""
