"""Machines in the cloud."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.stack.models import Size
from infra.stack.sizes import SIZES
from infra.targets.aws.host_keys import HostKey

USER = "admin"  # of Debian's images


@dataclass(frozen=True)
class HostArgs:
    """One machine. `public`: it has an address that the world can route to.

    `subnet_ids`: one a zone; a machine's zone follows from its name, and stays.
    """

    machine: str
    size: Size
    image: str
    region: str
    subnet_ids: Sequence[pulumi.Input[str]]
    group_ids: Sequence[pulumi.Input[str]]
    key_name: pulumi.Input[str]
    profile: pulumi.Input[str] | None
    key_arn: pulumi.Input[str]
    public: bool
    protect: bool


class Host(pulumi.ComponentResource):
    """A machine with an encrypted disk, which gives its credentials to its own programs only."""

    public_address: pulumi.Output[str] | None = None

    def __init__(
        self, name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Host", name, {}, opts)
        size = SIZES[args.size]
        self.instance = aws.ec2.Instance(
            name,
            ami=args.image,
            instance_type=size.instance_type,
            subnet_id=args.subnet_ids[zone_of(args.machine, len(args.subnet_ids))],
            vpc_security_group_ids=list(args.group_ids),
            associate_public_ip_address=False,
            key_name=args.key_name,
            iam_instance_profile=args.profile,
            disable_api_termination=args.protect,
            monitoring=True,
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                encrypted=True,
                kms_key_id=args.key_arn,
                volume_type="gp3",
                volume_size=size.disk_gib,
                # The disk of a machine with tickets outlives it.
                delete_on_termination=not args.protect,
                tags={"Name": name},
            ),
            tags={"Name": name},
            # A newer image is for new machines: an old one has its tickets on its disk.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect, ignore_changes=["ami"]),
        )
        self.address: pulumi.Output[str] = self.instance.private_ip
        own = pulumi.ResourceOptions(parent=self)
        if args.public:
            public = aws.ec2.Eip(name, domain="vpc", instance=self.instance.id, opts=own)
            self.public_address = public.public_ip
        self.key = HostKey(name, self.instance.id, args.region, own)
        self.register_outputs({"address": self.address})


def zone_of(machine: str, zones: int) -> int:
    """The place of a machine's zone: of its name alone, so that it stays when others come or go."""
    return hashlib.sha256(machine.encode()).digest()[0] % zones
