"""Security groups, from the table of exposure that the hosts' own firewalls come from."""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.consortium.exposure import EXPOSED, Exposed

GroupName = Literal["gate", "node", "platform"]
GROUPS: tuple[GroupName, ...] = ("gate", "node", "platform")
_EVERYWHERE = "0.0.0.0/0"
# What machines ask of others: packages, the provider's services, the time. Names: inside.
_OUTWARD = (("tcp", 80), ("tcp", 443), ("udp", 123))


@dataclass(frozen=True)
class FirewallArgs:
    """`last_slot`: the greatest slot of a node. `outside_nodes`: addresses of nodes elsewhere."""

    vpc_id: pulumi.Input[str]
    range: str
    operators: tuple[str, ...]
    last_slot: int
    outside_nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Source:
    """Who may: a network, or the machines of a group."""

    network: str | None = None
    group_id: pulumi.Input[str] | None = None


class Firewall(pulumi.ComponentResource):
    """A group for each kind of machine. Operators come through the gate."""

    def __init__(
        self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Firewall", name, {}, opts)
        self._args = args
        own = pulumi.ResourceOptions(parent=self)
        self.groups = {
            kind: aws.ec2.SecurityGroup(
                kind, vpc_id=args.vpc_id, description=f"machines of kind {kind}", opts=own
            )
            for kind in GROUPS
        }
        for kind in GROUPS:
            for exposed in EXPOSED:
                if exposed.name == "ssh" or kind in exposed.listens_on:
                    self._let_in(kind, exposed)
            self._let_out(kind)
        self.register_outputs({name: one.id for name, one in self.groups.items()})

    def _let_in(self, kind: GroupName, exposed: Exposed) -> None:
        last = exposed.port + (self._args.last_slot if exposed.per_slot else 0)
        for place, source in enumerate(self._sources(kind, exposed)):
            aws.vpc.SecurityGroupIngressRule(
                f"{kind}-{exposed.name}-{place}",
                security_group_id=self.groups[kind].id,
                ip_protocol=exposed.protocol,
                from_port=exposed.port,
                to_port=last,
                description=exposed.purpose,
                cidr_ipv4=source.network,
                referenced_security_group_id=source.group_id,
                opts=pulumi.ResourceOptions(parent=self),
            )

    def _sources(self, kind: GroupName, exposed: Exposed) -> list[_Source]:
        if exposed.callers == "everyone":
            return [_Source(network=_EVERYWHERE)]
        if exposed.callers == "operators":
            if kind == "gate":
                return [_Source(network=one) for one in self._args.operators]
            return [_Source(group_id=self.groups["gate"].id)]
        if exposed.callers == "node":
            inside = _Source(group_id=self.groups["node"].id)
            return [inside, *(_Source(network=one) for one in _hosts(self._args.outside_nodes))]
        if exposed.callers == "platform":
            return [_Source(group_id=self.groups["platform"].id)]
        # Load cells are at stations, and nothing of ours collects figures in the cloud yet.
        return []

    def _let_out(self, kind: GroupName) -> None:
        rules = [(f"{protocol}-{port}", protocol, port, port) for protocol, port in _OUTWARD]
        for name, protocol, first, last in rules:
            aws.vpc.SecurityGroupEgressRule(
                f"{kind}-out-{name}",
                security_group_id=self.groups[kind].id,
                ip_protocol=protocol,
                from_port=first,
                to_port=last,
                cidr_ipv4=_EVERYWHERE,
                description="packages, the provider's services, time",
                opts=pulumi.ResourceOptions(parent=self),
            )
        for place, one in enumerate((self._args.range, *_hosts(self._args.outside_nodes))):
            aws.vpc.SecurityGroupEgressRule(
                f"{kind}-out-members-{place}",
                security_group_id=self.groups[kind].id,
                ip_protocol="tcp",
                from_port=0,
                to_port=65535,
                cidr_ipv4=one,
                description="other members; their own groups say which ports",
                opts=pulumi.ResourceOptions(parent=self),
            )


def _hosts(addresses: tuple[str, ...]) -> list[str]:
    return [f"{one}/32" for one in addresses]
