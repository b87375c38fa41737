"""Security groups, from the table of exposure that the hosts' own firewalls come from."""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from infra.consortium.exposure import EVERY_KIND, EXPOSED, Exposed

GroupName = Literal["gate", "node", "platform", "monitoring"]
GROUPS: tuple[GroupName, ...] = ("gate", "node", "platform")
_EVERYWHERE = "0.0.0.0/0"
# What machines ask of others: packages, the provider's services, the time. Names: inside.
_OUTWARD = (("tcp", 80), ("tcp", 443), ("udp", 123))


@dataclass(frozen=True)
class FirewallArgs:
    """`last_slot`: the greatest slot of a node. `outside_nodes`: addresses of nodes elsewhere.

    `watched`: whether a machine collects figures, also of `outside_hosts`.
    """

    vpc_id: pulumi.Input[str]
    range: str
    operators: tuple[str, ...]
    last_slot: int
    outside_nodes: tuple[str, ...] = ()
    watched: bool = False
    outside_hosts: tuple[str, ...] = ()


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
        kinds: tuple[GroupName, ...] = (*GROUPS, "monitoring") if args.watched else GROUPS
        own = pulumi.ResourceOptions(parent=self)
        self.groups: dict[str, aws.ec2.SecurityGroup] = {
            kind: aws.ec2.SecurityGroup(
                kind, vpc_id=args.vpc_id, description=f"machines of kind {kind}", opts=own
            )
            for kind in kinds
        }
        for kind in kinds:
            for exposed in EXPOSED:
                # The gate is no member, and has what every machine has.
                if exposed.listens_on == EVERY_KIND or kind in exposed.listens_on:
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
        # Load cells are at stations, and a machine that collects figures is not in every stack.
        group = self.groups.get(exposed.callers)
        return [] if group is None else [_Source(group_id=group.id)]

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
        args = self._args
        outside = args.outside_hosts if kind == "monitoring" else args.outside_nodes
        for place, one in enumerate((args.range, *_hosts(outside))):
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
