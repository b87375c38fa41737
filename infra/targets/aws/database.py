"""The entity database as a service, in private subnets."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.stack.managed_database import APPLICATION_USER

PORT = 5432
NAME = "steelyard"
_ENGINE = "17"


@dataclass(frozen=True)
class DatabaseArgs:
    """`client_group`: the security group of the platform's machine. `days`: of backups."""

    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    client_group: pulumi.Input[str]
    key_arn: pulumi.Input[str]
    instance_class: str
    days: int
    protect: bool


class Database(pulumi.ComponentResource):
    """PostgreSQL in two zones. The provider makes and keeps its master's password.

    No state has it. `url` is the application's: role postgresql makes its user and its password on
    the platform's machine.
    """

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Database", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            name, vpc_id=args.vpc_id, description="the entity database", opts=own
        )
        aws.vpc.SecurityGroupIngressRule(
            name,
            security_group_id=group.id,
            referenced_security_group_id=args.client_group,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            description="the platform",
            opts=own,
        )
        subnets = aws.rds.SubnetGroup(name, subnet_ids=list(args.subnet_ids), opts=own)
        parameters = aws.rds.ParameterGroup(
            name,
            family=f"postgres{_ENGINE}",
            parameters=[{"name": "rds.force_ssl", "value": "1"}],
            opts=own,
        )
        self.instance = aws.rds.Instance(
            name,
            engine="postgres",
            engine_version=_ENGINE,
            instance_class=args.instance_class,
            allocated_storage=20,
            max_allocated_storage=200,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.key_arn,
            db_name=NAME,
            username=NAME,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=args.key_arn,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[group.id],
            parameter_group_name=parameters.name,
            publicly_accessible=False,
            multi_az=True,
            backup_retention_period=args.days,
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=args.protect,
            skip_final_snapshot=False,
            # Its own for each stack that there ever was: a name that is taken would stop the end.
            final_snapshot_identifier=subnets.id.apply(lambda made: f"{made}-last"),
            auto_minor_version_upgrade=True,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.secret_arn = self.instance.master_user_secrets.apply(_first_arn)
        self.url = pulumi.Output.format(
            "postgresql://{0}@{1}:{2}/{3}", APPLICATION_USER, self.instance.address, PORT, NAME
        )
        self.register_outputs({"url": self.url})


def _first_arn(secrets: Sequence[aws.rds.outputs.InstanceMasterUserSecret] | None) -> str | None:
    return secrets[0].secret_arn if secrets else None
