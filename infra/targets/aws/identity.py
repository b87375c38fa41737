"""What each machine may ask of the provider: its own backups, its own escrow, nothing else."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.targets.aws.policies import document, statement, taken_by

_TO_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")


@dataclass(frozen=True)
class IdentityArgs:
    """Addresses (ARN) of what a machine may use. `database_secret_arn`: the platform's alone."""

    machine: str
    key_arn: pulumi.Input[str]
    bucket_arns: tuple[pulumi.Input[str], ...]
    escrow_arn: pulumi.Input[str] | None = None
    database_secret_arn: pulumi.Input[str | None] | None = None


class Identity(pulumi.ComponentResource):
    """A machine's role and instance profile."""

    def __init__(
        self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Identity", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(name, assume_role_policy=taken_by("ec2"), opts=own)
        told = pulumi.Output.all(
            key=args.key_arn,
            buckets=list(args.bucket_arns),
            escrow=args.escrow_arn,
            database=args.database_secret_arn,
        )
        aws.iam.RolePolicy(
            name,
            role=role.id,
            policy=told.apply(lambda one: permissions(args.machine, one)),
            opts=own,
        )
        self.profile = aws.iam.InstanceProfile(name, role=role.name, opts=own)
        self.register_outputs({"profile": self.profile.name})


def permissions(machine: str, told: dict[str, Any]) -> str:
    """The document: each statement names its resources, and a machine its own prefix only."""
    buckets = told["buckets"]
    statements = [statement(("kms:Decrypt", "kms:GenerateDataKey"), [told["key"]])]
    statements.append(
        statement("s3:ListBucket", buckets)
        | {"Condition": {"StringLike": {"s3:prefix": [f"{machine}/*"]}}}
    )
    statements.append(statement(_TO_OBJECTS, [f"{one}/{machine}/*" for one in buckets]))
    if told.get("escrow"):
        statements.append(statement("secretsmanager:PutSecretValue", [told["escrow"]]))
    if told.get("database"):
        statements.append(statement("secretsmanager:GetSecretValue", [told["database"]]))
    return document(*statements)
