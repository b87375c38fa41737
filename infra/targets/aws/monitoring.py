"""What the provider itself sees: who spoke to whom, and machines that fail."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.targets.aws.policies import document, statement, taken_by

_LOG_DAYS = 90
_LEAST_ROOM = 2 << 30  # bytes of a database's disk, which grows by itself up to its own limit
_TO_LOGS = ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")


@dataclass(frozen=True)
class MonitoringArgs:
    """`instances`: by machine. `database`: its identifier, where the provider runs one.

    `email`: who is told; nobody, when it is None.
    """

    vpc_id: pulumi.Input[str]
    instances: Mapping[str, pulumi.Input[str]]
    key_arn: pulumi.Input[str]
    email: str | None
    database: pulumi.Input[str] | None = None


class Monitoring(pulumi.ComponentResource):
    """Flow logs, and an alarm for each machine and for the database's disk.

    The hosts' own figures are role monitoring's.
    """

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Monitoring", name, {}, opts)
        own = pulumi.ResourceOptions(parent=self)
        self._flow_logs(name, args)
        topic = aws.sns.Topic(name, kms_master_key_id=args.key_arn, opts=own)
        if args.email is not None:
            aws.sns.TopicSubscription(
                name, topic=topic.arn, protocol="email", endpoint=args.email, opts=own
            )
        for machine, instance in args.instances.items():
            aws.cloudwatch.MetricAlarm(
                f"{machine}-fails",
                alarm_description=f"{machine} fails the provider's status checks",
                namespace="AWS/EC2",
                metric_name="StatusCheckFailed",
                dimensions={"InstanceId": instance},
                statistic="Maximum",
                comparison_operator="GreaterThanThreshold",
                threshold=0,
                period=60,
                evaluation_periods=3,
                treat_missing_data="breaching",
                alarm_actions=[topic.arn],
                opts=own,
            )
        if args.database is not None:
            aws.cloudwatch.MetricAlarm(
                "database-is-full",
                alarm_description="the entity database has less than 2 GiB of room",
                namespace="AWS/RDS",
                metric_name="FreeStorageSpace",
                dimensions={"DBInstanceIdentifier": args.database},
                statistic="Minimum",
                comparison_operator="LessThanThreshold",
                threshold=_LEAST_ROOM,
                period=300,
                evaluation_periods=3,
                treat_missing_data="breaching",
                alarm_actions=[topic.arn],
                opts=own,
            )
        self.register_outputs({"topic": topic.arn})

    def _flow_logs(self, name: str, args: MonitoringArgs) -> None:
        own = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(
            name, retention_in_days=_LOG_DAYS, kms_key_id=args.key_arn, opts=own
        )
        role = aws.iam.Role(
            f"{name}-flow-logs", assume_role_policy=taken_by("vpc-flow-logs"), opts=own
        )
        policy = aws.iam.RolePolicy(
            f"{name}-flow-logs",
            role=role.id,
            policy=group.arn.apply(
                lambda arn: document(statement(_TO_LOGS, [arn, f"{arn}:log-stream:*"]))
            ),
            opts=own,
        )
        aws.ec2.FlowLog(
            name,
            vpc_id=args.vpc_id,
            traffic_type="REJECT",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
