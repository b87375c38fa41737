"""Target aws: closed to the world but for the APIs, encrypted, with no right too many."""

import json

import pytest
from stacks import KEY, customer, stack, tried

from infra.consortium.checks import plain_secrets
from infra.consortium.exposure import EXPOSED
from infra.program.configuring import Configuration
from infra.stack.errors import InvalidStack
from infra.stack.layout import lay_out
from infra.stack.models import StackConfig
from infra.stack.networks import subnets_of
from infra.targets.aws.hosts import zone_of
from infra.targets.aws.target import AwsTarget

EVERYWHERE = {"0.0.0.0/0", "::/0"}
SIZES = [1, 2, 50]


@pytest.fixture(scope="module", params=SIZES)
def engine(request):
    """Everything of a stack with so many customers."""
    return tried(stack(request.param, target="aws"))[0]


def test_only_the_apis_are_open_to_the_world(engine):
    """By the table of exposure; ssh is the gate's, from the operators' networks."""
    open_ = {
        (one.inputs["securityGroupId"], one.inputs["fromPort"], one.inputs["toPort"])
        for one in engine.of(":SecurityGroupIngressRule")
        if one.inputs.get("cidrIpv4") in EVERYWHERE
    }
    assert open_ == {("platform-id", 8443, 8443), ("platform-id", 8444, 8444)}
    ssh = [
        one.inputs for one in engine.of(":SecurityGroupIngressRule") if one.inputs["fromPort"] == 22
    ]
    assert [one["cidrIpv4"] for one in ssh if one["securityGroupId"] == "gate-id"] == [
        "192.0.2.0/28"
    ]
    others = [one for one in ssh if one["securityGroupId"] != "gate-id"]
    assert {one["referencedSecurityGroupId"] for one in others} == {"gate-id"}


def test_every_rule_is_one_of_the_table(engine):
    """But the database's, which is no host of ours."""
    known = {one.port for one in EXPOSED} | {5432}
    assert {one.inputs["fromPort"] for one in engine.of(":SecurityGroupIngressRule")} <= known


def test_nothing_is_unencrypted(engine):
    """Disks, database, buckets, topics, logs, secrets."""
    for one in engine.of("ec2/instance:Instance"):
        assert one.inputs["rootBlockDevice"]["encrypted"] is True
        assert one.inputs["rootBlockDevice"]["kmsKeyId"]
    for one in engine.of("rds/instance:Instance"):
        assert one.inputs["storageEncrypted"] is True
    buckets = {one.name for one in engine.of("s3/bucket:Bucket")}
    for kind in (
        ":BucketServerSideEncryptionConfiguration",
        ":BucketPublicAccessBlock",
        ":BucketObjectLockConfiguration",
        ":BucketVersioning",
    ):
        assert {one.name for one in engine.of(kind)} == buckets
    for kind, key in (
        ("sns/topic:Topic", "kmsMasterKeyId"),
        ("logGroup:LogGroup", "kmsKeyId"),
        ("secret:Secret", "kmsKeyId"),
    ):
        assert all(one.inputs[key] for one in engine.of(kind))


def test_machines_give_credentials_to_their_own_programs_only(engine):
    """IMDSv2, one hop, and no public address by chance."""
    machines = engine.of("ec2/instance:Instance")
    for one in machines:
        assert one.inputs["metadataOptions"]["httpTokens"] == "required"
        assert one.inputs["metadataOptions"]["httpPutResponseHopLimit"] == 1
        assert one.inputs["associatePublicIpAddress"] is False
    public = [one.name for one in machines if one.inputs["subnetId"].startswith("public")]
    assert sorted(public) == ["gate", "platform"]


def test_no_machine_may_do_everything(engine):
    """No wildcard among actions, none alone among resources; each has its own prefix."""
    for one in engine.of(":RolePolicy"):
        for statement in json.loads(one.inputs["policy"])["Statement"]:
            assert not any("*" in action for action in statement["Action"]), one.name
            assert "*" not in statement["Resource"], one.name
    policies = {one.name: one.inputs["policy"] for one in engine.of(":RolePolicy")}
    assert "gate" not in policies
    assert "customer-1/*" in policies["customer-1"]
    assert "platform/*" not in policies["customer-1"]
    assert [name for name, text in policies.items() if "GetSecretValue" in text] == ["platform"]


def test_the_platform_reads_one_secret_by_one_key(engine):
    """The database's, and no machine's escrow; with the stack's own key alone."""
    (policy,) = (one for one in engine.of(":RolePolicy") if one.name == "platform")
    statements = json.loads(policy.inputs["policy"])["Statement"]
    by_action = {action: one["Resource"] for one in statements for action in one["Action"]}
    assert by_action["secretsmanager:GetSecretValue"] == ["arn:aws:secretsmanager:::secret:db"]
    (key,) = engine.of("kms/key:Key")
    assert by_action["kms:Decrypt"] == [f"arn:aws:::{key.name}"]
    assert {one for one in by_action if one.startswith(("kms:", "secretsmanager:"))} == {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
    }


def test_the_database_keeps_its_password_itself(engine):
    """No password is an input, so none is in the state."""
    (one,) = engine.of("rds/instance:Instance")
    assert one.inputs["manageMasterUserPassword"] is True
    assert "password" not in one.inputs
    assert (one.inputs["publiclyAccessible"], one.inputs["multiAz"]) == (False, True)
    assert one.inputs["skipFinalSnapshot"] is False
    (subnets,) = engine.of("rds/subnetGroup:SubnetGroup")
    assert "name" not in subnets.inputs, "made up by pulumi for each stack that there ever was"
    assert one.inputs["finalSnapshotIdentifier"] == f"{subnets.name}-id-last"
    assert one.inputs["deletionProtection"] is True
    assert one.inputs["backupRetentionPeriod"] == 14


def test_secrets_have_places_and_no_values(engine):
    """Escrow is put there by the machine or by hand."""
    assert engine.of(":SecretVersion") == []
    names = {one.inputs["name"] for one in engine.of("secret:Secret")}
    assert "steelyard-test/escrow/platform" in names


def test_backups_cannot_be_deleted(engine):
    """Not even by the account's owner, for as long as is configured."""
    for one in engine.of(":BucketObjectLockConfiguration"):
        assert one.inputs["rule"]["defaultRetention"] == {"mode": "COMPLIANCE", "days": 35}


def test_ports_follow_the_slots():
    """A machine with nine nodes is open for nine peers."""
    document = stack(2, target="aws", sizes={"customer": "large"})
    document["consortium"]["customers"][0] = customer(1, 8)
    engine, _ = tried(document)
    peers = [one.inputs for one in engine.of(":SecurityGroupIngressRule") if "peers" in one.name]
    assert [(one["fromPort"], one["toPort"]) for one in peers] == [(30303, 30311)]


def test_a_node_elsewhere_is_let_in_by_its_address():
    """A customer may run its admin node itself."""
    document = stack(2, target="aws")
    document["consortium"]["customers"][0]["admin"] = {"host": "own-premises"}
    key = "ssh-ed25519 AAAA"
    document["outside"] = {"own-premises": {"address": "203.0.113.7", "host_key": key}}
    engine, outputs = tried(document)
    sources = {
        one.inputs.get("cidrIpv4")
        for one in engine.of(":SecurityGroupIngressRule")
        if "privacy" in one.name
    }
    assert "203.0.113.7/32" in sources
    assert outputs["inventory"]["hosts"]["own-premises"]["steelyard_host_key"] == key


def test_without_a_managed_database_the_platforms_own_is_used():
    """And roles are told of none."""
    document = stack(1, target="aws")
    document["aws"] |= {"database": "host"}
    engine, outputs = tried(document)
    assert engine.of("rds/instance:Instance") == []
    told = outputs["inventory"]["vars"]
    assert [name for name in told if "database" in name or "postgresql" in name] == []


@pytest.mark.parametrize("outside", [False, True])
def test_the_gates_name_is_taken(outside):
    """It would be made twice, or be another's in the inventory."""
    document = stack(target="aws")
    if outside:
        document["outside"] = {"gate": {"address": "203.0.113.7", "host_key": KEY}}
    else:
        document["consortium"]["network"][0]["host"] = "gate"
    layout = lay_out(StackConfig.model_validate(document))
    with pytest.raises(
        InvalidStack, match="machine gate: target aws makes one of this name itself"
    ):
        AwsTarget("test").build(layout, None)


@pytest.mark.parametrize("prefix", range(16, 25))
def test_subnets_are_cut_without_overlap(prefix):
    """Whatever the range's size."""
    document = stack(target="aws")
    document["aws"]["network"] = {"range": f"10.64.0.0/{prefix}"}
    config = StackConfig.model_validate(document)
    lay_out(config)
    cut = subnets_of(config.aws)
    assert len(cut.public) == len(cut.private) == len(cut.zones) == 3


def test_a_machines_zone_is_its_own():
    """It does not follow from who else is there."""
    assert zone_of("customer-7", 3) == zone_of("customer-7", 3)
    assert {zone_of(f"customer-{number}", 3) for number in range(30)} == {0, 1, 2}


def test_the_databases_user_is_the_applications_own():
    """The master's password changes: roles are told where it is, and never use it as the APIs'."""
    engine, outputs = tried(stack(1, target="aws"))
    (one,) = engine.of("rds/instance:Instance")
    told = outputs["inventory"]["vars"]
    assert told["platform_database"] == "remote"
    assert told["platform_database_url"] == "postgresql://platform@database.example:5432/steelyard"
    assert one.inputs["username"] != "platform"
    assert told["postgresql_remote_secret_arn"] == "arn:aws:secretsmanager:::secret:db"
    assert told["postgresql_remote_ca_checksum"] == "ab" * 32
    assert plain_secrets(told) == []


def test_a_monitoring_machine_reaches_figures_and_nothing_else():
    """By the table of exposure; it may ask nothing of the provider, and the world not reach it."""
    engine, outputs = tried(stack(2, target="aws", monitoring=True))
    rules = [one.inputs for one in engine.of(":SecurityGroupIngressRule")]
    watching = {
        (one["securityGroupId"], one["fromPort"])
        for one in rules
        if one.get("referencedSecurityGroupId") == "monitoring-id"
    }
    kinds = ("gate", "node", "platform", "monitoring")
    assert watching == {(f"{kind}-id", 9100) for kind in kinds}
    own = {
        (one["fromPort"], one.get("referencedSecurityGroupId"), one.get("cidrIpv4"))
        for one in rules
        if one["securityGroupId"] == "monitoring-id"
    }
    assert own == {(22, "gate-id", None), (9100, "monitoring-id", None)}
    (machine,) = (one for one in engine.of("ec2/instance:Instance") if one.name == "monitoring")
    assert machine.inputs["subnetId"].startswith("private")
    assert machine.inputs["vpcSecurityGroupIds"] == ["monitoring-id"]
    assert "iamInstanceProfile" not in machine.inputs
    assert "monitoring" not in {one.name for one in engine.of(":RolePolicy")}
    # Figures of the gate come from its inner address: the monitoring group is unknown outside.
    gate = outputs["inventory"]["hosts"]["gate"]
    assert gate["steelyard_address"] != gate["ansible_host"]


def test_without_one_nobody_reaches_figures(engine):
    """No rule for them, and no group."""
    rules = engine.of(":SecurityGroupIngressRule")
    assert [one.name for one in rules if one.inputs["fromPort"] == 9100] == []
    assert "monitoring" not in {one.name for one in engine.of(":SecurityGroup")}


def test_the_playbooks_wait_for_ways_and_rights(monkeypatch):
    """And, at the end of a stack, these for the last backup, which goes through them."""
    given = []

    class Watched(Configuration):
        def __init__(self, name, props, opts=None):
            given.extend(opts.depends_on)
            super().__init__(name, props, opts)

    monkeypatch.setattr("infra.program.consortium.Configuration", Watched)
    monkeypatch.setattr("infra.program.consortium.application_version", lambda *_: "1")
    tried(stack(1, target="aws", configure=True, application={"server_bundle": "x"}))
    kinds = {type(one).__name__ for one in given}
    assert kinds == {
        *("Network", "Firewall", "Keys", "Backups", "Database", "Identity", "Names"),
        *("Host", "HostKey"),
    }


def test_somebody_is_told_before_the_database_is_full(engine):
    """One alarm for it, as for each machine one that fails."""
    alarms = {one.name: one.inputs for one in engine.of(":MetricAlarm")}
    machines = {f"{one.name}-fails" for one in engine.of("ec2/instance:Instance")}
    assert set(alarms) == machines | {"database-is-full"}
    watched = {"DBInstanceIdentifier": "steelyard-test-1"}
    assert alarms["database-is-full"]["dimensions"] == watched
    assert all(one["alarmActions"] for one in alarms.values())
