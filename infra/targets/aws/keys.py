"""The key that everything at rest is encrypted with, and places for what must not be lost."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.targets.aws.policies import document, statement

_SERVICES = ("cloudwatch", "logs")


@dataclass(frozen=True)
class KeysArgs:
    """`machines`: those whose backup passwords have a place of escrow. `days` until it is gone.

    `account`: the account's number. `path`: the first part of the secrets' names.
    """

    path: str
    account: pulumi.Input[str]
    region: str
    machines: tuple[str, ...]
    days: int
    protect: bool


class Keys(pulumi.ComponentResource):
    """One key of the stack's own, and a secret without a value for each machine.

    A machine may put its backups' passwords into its secret and not read them; no value is ever in
    the stack's state.
    """

    def __init__(
        self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Keys", name, {}, opts)
        self.key = aws.kms.Key(
            name,
            description=f"{args.path}: everything at rest",
            policy=pulumi.Output.from_input(args.account).apply(
                lambda account: key_policy(account, args.region)
            ),
            enable_key_rotation=True,
            deletion_window_in_days=30,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.escrow = {
            machine: aws.secretsmanager.Secret(
                f"escrow-{machine}",
                name=f"{args.path}/escrow/{machine}",
                description="passwords of this machine's backups; put by the machine, or by hand",
                kms_key_id=self.key.arn,
                recovery_window_in_days=min(max(args.days, 7), 30),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for machine in args.machines
        }
        self.register_outputs({"key_arn": self.key.arn})


def key_policy(account: str, region: str) -> str:
    """Who may use the key: whom the account's own policies let, and what writes alarms and logs.

    In a key's policy the resource "*" is the key itself.
    """
    owner = statement("kms:*", ["*"])
    owner |= {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}}
    services = statement(("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"), ["*"])
    services |= {
        "Principal": {
            "Service": [
                f"logs.{region}.amazonaws.com" if one == "logs" else f"{one}.amazonaws.com"
                for one in _SERVICES
            ]
        },
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return document(owner, services)
