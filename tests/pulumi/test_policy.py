"""The policy pack lets our own stacks through and stops what it must."""

import json

import pytest
from stacks import stack, tried

from infra.policy import rules

INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
INSTANCE = "aws:ec2/instance:Instance"
DATABASE = "aws:rds/instance:Instance"


def found(kind, inputs):
    """What all rules say of a resource."""
    return [sentence for rule in rules.RULES for sentence in rule(kind, inputs)]


@pytest.mark.parametrize("customers", [1, 2, 50])
def test_our_own_stack_has_no_violation(customers):
    """Whatever its size; the target aws is what there is to be found in."""
    engine, _ = tried(stack(customers, target="aws"))
    told = {one.name: found(one.typ, one.inputs) for one in engine.made}
    assert {name: sentences for name, sentences in told.items() if sentences} == {}
    assert len(engine.made) > 100


def policy(**changes):
    """A role's policy with one statement."""
    given = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::a/b/*"]}
    return {"policy": json.dumps({"Statement": given | changes})}


ROLE = "aws:iam/rolePolicy:RolePolicy"
WRONG = {
    "a port for everybody": (
        INGRESS,
        {"cidrIpv4": "0.0.0.0/0", "fromPort": 22, "toPort": 22},
        "ports 22 to 22 are open to everybody: only 8443 and 8444 may be",
    ),
    "by the newer addresses": (
        INGRESS,
        {"cidrIpv6": "::/0", "fromPort": 30303, "toPort": 30303},
        "ports 30303 to 30303 are open to everybody: only 8443 and 8444 may be",
    ),
    "a range that has the APIs in it": (
        INGRESS,
        {"cidrIpv4": "0.0.0.0/0", "fromPort": 0, "toPort": 65535},
        "ports 0 to 65535 are open to everybody: only 8443 and 8444 may be",
    ),
    "a rule within its group": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"ingress": [{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 5432, "toPort": 5432}]},
        "ports 5432 to 5432 are open to everybody: only 8443 and 8444 may be",
    ),
    "the older kind of rule": (
        "aws:ec2/securityGroupRule:SecurityGroupRule",
        {"type": "ingress", "cidrBlocks": ["0.0.0.0/0"], "fromPort": 80, "toPort": 80},
        "ports 80 to 80 are open to everybody: only 8443 and 8444 may be",
    ),
    "a disk in clear": (
        INSTANCE,
        {"rootBlockDevice": {"encrypted": False}},
        "its disk is not encrypted: rootBlockDevice.encrypted must be true",
    ),
    "a second disk in clear": (
        INSTANCE,
        {"ebsBlockDevices": [{"deviceName": "sdb"}]},
        "its disk sdb is not encrypted",
    ),
    "a volume in clear": (
        "aws:ebs/volume:Volume",
        {},
        "it is not encrypted: encrypted must be set",
    ),
    "credentials for whoever asks": (
        INSTANCE,
        {"metadataOptions": {"httpTokens": "optional"}},
        "metadataOptions.httpTokens must be required",
    ),
    "credentials for containers": (
        INSTANCE,
        {"metadataOptions": {"httpTokens": "required"}},
        "metadataOptions.httpPutResponseHopLimit must be 1",
    ),
    "a database for everybody": (
        DATABASE,
        {"publiclyAccessible": True},
        "the database is reachable from everywhere: publiclyAccessible must be false",
    ),
    "a database without backups": (
        DATABASE,
        {"backupRetentionPeriod": 1},
        "backupRetentionPeriod must be 7 days at least",
    ),
    "a database without a last backup": (
        DATABASE,
        {"skipFinalSnapshot": True},
        "skipFinalSnapshot must be false: a last backup is taken",
    ),
    "a bucket whose objects can be deleted": (
        "aws:s3/bucket:Bucket",
        {},
        "objectLockEnabled must be true: backups cannot be deleted for a time",
    ),
    "a bucket that forgets": (
        "aws:s3/bucketVersioning:BucketVersioning",
        {"versioningConfiguration": {"status": "Suspended"}},
        "versioningConfiguration.status must be Enabled",
    ),
    "a bucket for everybody": (
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"blockPublicAcls": True, "ignorePublicAcls": True, "restrictPublicBuckets": True},
        "blockPublicPolicy must be true",
    ),
    "every action": (ROLE, policy(Action="*"), "it gives *: name each action"),
    "every action of a service": (ROLE, policy(Action=["s3:*"]), "it gives s3:*: name each action"),
    "every resource": (
        ROLE,
        policy(Resource="*"),
        "it gives rights on every resource: name them",
    ),
    "all but some": (
        ROLE,
        policy(NotAction=["iam:PassRole"]),
        "it gives all rights but some: name those that are given",
    ),
    "everybody": (
        "aws:s3/bucketPolicy:BucketPolicy",
        policy(Principal="*"),
        "it gives rights to everybody",
    ),
    "no tags": (
        "pulumi:providers:aws",
        {"defaultTags": {"tags": {"steelyard:stack": "x"}}},
        "defaultTags lacks steelyard:consortium",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_must_not_be_is_told(name):
    """With what it must be in its place."""
    kind, inputs, sentence = WRONG[name]
    assert sentence in found(kind, inputs)


def test_what_may_be_is_let_through():
    """The APIs to everybody, refusals with wildcards, rules among members."""
    api = {"cidrIpv4": "0.0.0.0/0", "fromPort": 8443, "toPort": 8443}
    assert found(INGRESS, api) == []
    assert (
        found(INGRESS, {"referencedSecurityGroupId": "sg-1", "fromPort": 9000, "toPort": 9004})
        == []
    )
    assert found(ROLE, policy(Effect="Deny", Action="s3:*", Resource="*")) == []
    assert found("aws:ec2/securityGroupRule:SecurityGroupRule", api | {"type": "egress"}) == []


def test_every_rule_says_what_it_is():
    """Pulumi shows its name and its description beside a violation."""
    assert all(rule.__doc__ for rule in rules.RULES)
