"""The rules: each tells what is wrong with one resource, a sentence each.

They read a resource's type and its inputs as Pulumi has them, and know no Pulumi.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.consortium.exposure import EXPOSED

Inputs = Mapping[str, Any]
Rule = Callable[[str, Inputs], Iterator[str]]

_EVERYWHERE = {"0.0.0.0/0", "::/0"}
_WORLD_PORTS = {one.port for one in EXPOSED if one.callers == "everyone" and not one.per_slot}
_TAGS = ("steelyard:stack", "steelyard:consortium")
_DAYS_OF_BACKUPS = 7
# Types whose documents give rights. A key's own policy is none: its resource "*" is the key.
_POLICIES = {
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/policy:Policy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:secretsmanager/secretPolicy:SecretPolicy": "policy",
}
# Of these the input must be there: a key, or true.
_ENCRYPTED = {
    "aws:rds/instance:Instance": "storageEncrypted",
    "aws:rds/cluster:Cluster": "storageEncrypted",
    "aws:ebs/volume:Volume": "encrypted",
    "aws:efs/fileSystem:FileSystem": "encrypted",
    "aws:sns/topic:Topic": "kmsMasterKeyId",
    "aws:sqs/queue:Queue": "kmsMasterKeyId",
    "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
    "aws:secretsmanager/secret:Secret": "kmsKeyId",
}


def only_the_apis_are_open(kind: str, inputs: Inputs) -> Iterator[str]:
    """Nothing but the two APIs is reachable from everywhere."""
    for rule in _ingress(kind, inputs):
        if not _sources(rule) & _EVERYWHERE:
            continue
        first, last = rule.get("fromPort"), rule.get("toPort")
        if first != last or first not in _WORLD_PORTS:
            ports = " and ".join(str(one) for one in sorted(_WORLD_PORTS))
            yield f"ports {first} to {last} are open to everybody: only {ports} may be"
    if kind.startswith("aws:rds/") and inputs.get("publiclyAccessible"):
        yield "the database is reachable from everywhere: publiclyAccessible must be false"
    if kind == "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":
        for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls"):
            if not inputs.get(name):
                yield f"{name} must be true"
        if not inputs.get("restrictPublicBuckets"):
            yield "restrictPublicBuckets must be true"


def everything_is_encrypted(kind: str, inputs: Inputs) -> Iterator[str]:
    """Whatever is at rest is encrypted."""
    name = _ENCRYPTED.get(kind)
    if name is not None and not inputs.get(name):
        yield f"it is not encrypted: {name} must be set"
    if kind == "aws:ec2/instance:Instance":
        if not (inputs.get("rootBlockDevice") or {}).get("encrypted"):
            yield "its disk is not encrypted: rootBlockDevice.encrypted must be true"
        for device in inputs.get("ebsBlockDevices") or []:
            if not device.get("encrypted"):
                yield f"its disk {device.get('deviceName')} is not encrypted"


def no_wildcard_permissions(kind: str, inputs: Inputs) -> Iterator[str]:
    """No right is given by `*`, neither of actions nor alone of resources."""
    if kind not in _POLICIES:
        return
    text = inputs.get(_POLICIES[kind])
    if not isinstance(text, str):
        return
    for statement in _list(json.loads(text).get("Statement")):
        if statement.get("Effect") != "Allow":
            continue
        if "NotAction" in statement or "NotResource" in statement:
            yield "it gives all rights but some: name those that are given"
        for action in _list(statement.get("Action")):
            if "*" in action:
                yield f"it gives {action}: name each action"
        if "*" in _list(statement.get("Resource")):
            yield "it gives rights on every resource: name them"
        if statement.get("Principal") == "*":
            yield "it gives rights to everybody"


def machines_keep_their_credentials(kind: str, inputs: Inputs) -> Iterator[str]:
    """A machine's credentials are for its own programs (IMDSv2)."""
    if kind != "aws:ec2/instance:Instance":
        return
    options = inputs.get("metadataOptions") or {}
    if options.get("httpTokens") != "required":
        yield "metadataOptions.httpTokens must be required"
    if options.get("httpPutResponseHopLimit", 2) != 1:
        yield "metadataOptions.httpPutResponseHopLimit must be 1"


def backups_are_on(kind: str, inputs: Inputs) -> Iterator[str]:
    """The database keeps backups and a last one; backups' storage keeps what is replaced."""
    if kind == "aws:rds/instance:Instance":
        if inputs.get("backupRetentionPeriod", 0) < _DAYS_OF_BACKUPS:
            yield f"backupRetentionPeriod must be {_DAYS_OF_BACKUPS} days at least"
        if inputs.get("skipFinalSnapshot"):
            yield "skipFinalSnapshot must be false: a last backup is taken"
    if kind == "aws:s3/bucket:Bucket" and not inputs.get("objectLockEnabled"):
        yield "objectLockEnabled must be true: backups cannot be deleted for a time"
    if kind == "aws:s3/bucketVersioning:BucketVersioning":
        status = (inputs.get("versioningConfiguration") or {}).get("status")
        if status != "Enabled":
            yield "versioningConfiguration.status must be Enabled"


def everything_is_tagged(kind: str, inputs: Inputs) -> Iterator[str]:
    """The provider tags everything with the stack and the consortium, whose cost it then tells."""
    if kind != "pulumi:providers:aws":
        return
    told = inputs.get("defaultTags") or {}
    # A provider's inputs are texts.
    tags = (json.loads(told) if isinstance(told, str) else told).get("tags") or {}
    for name in _TAGS:
        if not tags.get(name):
            yield f"defaultTags lacks {name}"


RULES: tuple[Rule, ...] = (
    only_the_apis_are_open,
    everything_is_encrypted,
    no_wildcard_permissions,
    machines_keep_their_credentials,
    backups_are_on,
    everything_is_tagged,
)


def _ingress(kind: str, inputs: Inputs) -> list[Mapping[str, Any]]:
    if kind == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
        return [inputs]
    if kind == "aws:ec2/securityGroupRule:SecurityGroupRule":
        return [inputs] if inputs.get("type") == "ingress" else []
    if kind == "aws:ec2/securityGroup:SecurityGroup":
        return list(inputs.get("ingress") or [])
    return []


def _sources(rule: Mapping[str, Any]) -> set[str]:
    found = {rule.get("cidrIpv4"), rule.get("cidrIpv6")}
    found |= set(rule.get("cidrBlocks") or []) | set(rule.get("ipv6CidrBlocks") or [])
    return {one for one in found if one}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
