"""The network: public subnets for what the world reaches, private ones for the rest."""

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_aws as aws

from infra.stack.networks import Subnets

EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class NetworkArgs:
    """The whole range, and its subnets by zone."""

    range: IPv4Network
    subnets: Subnets
    region: str


class Network(pulumi.ComponentResource):
    """A network with one way out for the private subnets, and none in."""

    def __init__(
        self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Network", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        self.vpc = aws.ec2.Vpc(
            name,
            cidr_block=str(args.range),
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=own,
        )
        # Who forgets to name a group is in this one, which lets nothing through.
        aws.ec2.DefaultSecurityGroup(name, vpc_id=self.vpc.id, ingress=[], egress=[], opts=own)
        self.public = self._subnets("public", args.subnets.zones, args.subnets.public)
        self.private = self._subnets("private", args.subnets.zones, args.subnets.private)
        self._routes(name, args.region)
        self.register_outputs({"vpc_id": self.vpc.id})

    def _subnets(
        self, kind: str, zones: tuple[str, ...], networks: tuple[IPv4Network, ...]
    ) -> list[aws.ec2.Subnet]:
        return [
            aws.ec2.Subnet(
                f"{kind}-{zone}",
                vpc_id=self.vpc.id,
                availability_zone=zone,
                cidr_block=str(network),
                # Addresses are given to machines by name, never by where they stand.
                map_public_ip_on_launch=False,
                tags={"Name": f"{kind}-{zone}"},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for zone, network in zip(zones, networks, strict=True)
        ]

    def _routes(self, name: str, region: str) -> None:
        own = pulumi.ResourceOptions(parent=self)
        door = aws.ec2.InternetGateway(name, vpc_id=self.vpc.id, opts=own)
        address = aws.ec2.Eip(f"{name}-way-out", domain="vpc", opts=own)
        way_out = aws.ec2.NatGateway(
            name,
            allocation_id=address.id,
            subnet_id=self.public[0].id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[door]),
        )
        tables = []
        for kind, subnets, target in (
            ("public", self.public, {"gateway_id": door.id}),
            ("private", self.private, {"nat_gateway_id": way_out.id}),
        ):
            table = aws.ec2.RouteTable(
                kind,
                vpc_id=self.vpc.id,
                routes=[aws.ec2.RouteTableRouteArgs(cidr_block=EVERYWHERE, **target)],
                opts=own,
            )
            tables.append(table)
            for place, subnet in enumerate(subnets):
                aws.ec2.RouteTableAssociation(
                    f"{kind}-{place}", route_table_id=table.id, subnet_id=subnet.id, opts=own
                )
        # Backups go to the storage without passing the way out, which is paid by the byte.
        aws.ec2.VpcEndpoint(
            "storage",
            vpc_id=self.vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[one.id for one in tables],
            opts=own,
        )
