"""Storage for backups, from which nobody deletes for a time: one for data, one for keys."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.targets.aws.policies import document, statement

KINDS = ("data", "keys")


@dataclass(frozen=True)
class BackupsArgs:
    """`days`: how long an object is locked."""

    days: int
    key_arn: pulumi.Input[str]
    protect: bool


class Backups(pulumi.ComponentResource):
    """Two buckets with object lock: a copy of the keys must not lie beside a copy of the data."""

    def __init__(
        self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:aws:Backups", name, {}, opts)
        self._args = args
        self.buckets = {kind: self._bucket(f"{name}-{kind}") for kind in KINDS}
        self.register_outputs({kind: one.bucket for kind, one in self.buckets.items()})

    def _bucket(self, name: str) -> aws.s3.Bucket:
        own = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name,
            object_lock_enabled=True,
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        versioned = aws.s3.BucketVersioning(
            name,
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=own,
        )
        aws.s3.BucketObjectLockConfiguration(
            name,
            bucket=bucket.id,
            rule={"default_retention": {"mode": "COMPLIANCE", "days": self._args.days}},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioned]),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": self._args.key_arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=own,
        )
        closed = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=own,
        )
        # What restic replaced goes when its lock has ended.
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "id": "replaced",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": self._args.days + 1},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 2},
                }
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioned]),
        )
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=bucket.arn.apply(_only_encrypted_connections),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        return bucket


def _only_encrypted_connections(arn: str) -> str:
    refused = statement("s3:*", [arn, f"{arn}/*"], effect="Deny")
    refused |= {"Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    return document(refused)
