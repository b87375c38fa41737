"""Target `aws`: everything of a layout in the cloud."""

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.consortium.nodes import all_nodes
from infra.stack.errors import InvalidStack
from infra.stack.layout import Layout, MachinePlan
from infra.stack.managed_database import CA_FILE, PASSWORD_FILE, database_ca_url
from infra.stack.models import AwsConfig
from infra.stack.networks import subnets_of
from infra.targets.aws.backups import Backups, BackupsArgs
from infra.targets.aws.database import Database, DatabaseArgs
from infra.targets.aws.firewall import Firewall, FirewallArgs, GroupName
from infra.targets.aws.hosts import USER, Host, HostArgs
from infra.targets.aws.identity import Identity, IdentityArgs
from infra.targets.aws.keys import Keys, KeysArgs
from infra.targets.aws.monitoring import Monitoring, MonitoringArgs
from infra.targets.aws.names import Names, NamesArgs
from infra.targets.aws.network import Network, NetworkArgs
from infra.targets.interface import Built, BuiltHost

# Through it operators come to the machines in private subnets.
GATE = "gate"


@dataclass(frozen=True)
class AwsTarget:
    """`stack`: the stack's name, which everything is tagged with."""

    stack: str

    def build(self, layout: Layout, parent: pulumi.Resource) -> Built:
        """Declare everything. Raises InvalidStack where the layout has a host called gate."""
        config = layout.config.aws
        taken = {*(one.name for one in layout.machines), *layout.config.outside}
        if config is None or GATE in taken:
            raise InvalidStack([f"machine {GATE}: target aws makes one of this name itself"])
        return _Building(self.stack, layout, config, parent).built()


class _Building:
    """The parts of one stack, in the order in which they need each other."""

    def __init__(
        self, stack: str, layout: Layout, config: AwsConfig, parent: pulumi.Resource
    ) -> None:
        self._layout, self._config, self._parent = layout, config, parent
        self._name = f"steelyard-{stack}"
        self._provider = aws.Provider(
            "aws",
            region=config.region,
            default_tags=aws.ProviderDefaultTagsArgs(tags=tags_of(layout, stack)),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        # Components hand it on to their children.
        self._own = pulumi.ResourceOptions(parent=parent, providers=[self._provider])
        self._subnets = subnets_of(config)
        self._identities: list[Identity] = []

    def built(self) -> Built:
        layout, config = self._layout, self._config
        protect = layout.config.protect
        self._network = Network(
            self._name,
            NetworkArgs(config.network.range, self._subnets, config.region),
            self._own,
        )
        self._firewall = Firewall(self._name, self._firewall_args(), self._own)
        self._keys = Keys(self._name, self._keys_args(), self._own)
        self._backups = Backups(
            self._name,
            BackupsArgs(layout.config.backups.retention_days, self._keys.key.arn, protect),
            self._own,
        )
        self._database = self._made_database()
        self._pair = aws.ec2.KeyPair(
            self._name,
            public_key=config.operator_public_key,
            opts=pulumi.ResourceOptions(parent=self._parent, provider=self._provider),
        )
        hosts = {plan.name: self._host(plan) for plan in layout.machines}
        gate = self._host(MachinePlan(GATE, (), (), "small", protected=False))
        self._watch(hosts | {GATE: gate})
        return self._told(hosts, gate)

    def _firewall_args(self) -> FirewallArgs:
        layout = self._layout
        outside = {
            str(layout.config.outside[node.host].address)
            for node, *_ in all_nodes(layout.spec)
            if node.host in layout.config.outside
        }
        return FirewallArgs(
            vpc_id=self._network.vpc.id,
            range=str(self._config.network.range),
            operators=tuple(str(one) for one in layout.config.operators),
            last_slot=max(node.slot for node, *_ in all_nodes(layout.spec)),
            outside_nodes=tuple(sorted(outside)),
            watched=layout.config.monitoring,
            outside_hosts=tuple(sorted(str(one.address) for one in layout.config.outside.values())),
        )

    def _keys_args(self) -> KeysArgs:
        own = pulumi.InvokeOptions(provider=self._provider)
        return KeysArgs(
            path=self._name,
            account=aws.get_caller_identity_output(opts=own).account_id,
            region=self._config.region,
            machines=tuple(one.name for one in self._layout.machines if one.nodes or one.public),
            days=self._layout.config.backups.retention_days,
            protect=self._layout.config.protect,
        )

    def _made_database(self) -> Database | None:
        if self._config.database == "host":
            return None
        args = DatabaseArgs(
            vpc_id=self._network.vpc.id,
            subnet_ids=[one.id for one in self._network.private],
            client_group=self._firewall.groups["platform"].id,
            key_arn=self._keys.key.arn,
            instance_class=self._config.database_class,
            days=self._layout.config.backups.database_days,
            protect=self._layout.config.protect,
        )
        return Database(self._name, args, self._own)

    def _host(self, plan: MachinePlan) -> Host:
        public = plan.public or plan.name == GATE
        subnets = self._network.public if public else self._network.private
        return Host(
            plan.name,
            HostArgs(
                machine=plan.name,
                size=plan.size,
                image=self._config.image,
                region=self._config.region,
                subnet_ids=[one.id for one in subnets],
                group_ids=[self._firewall.groups[one].id for one in groups_of(plan)],
                key_name=self._pair.key_name,
                profile=self._profile(plan),
                key_arn=self._keys.key.arn,
                public=public,
                protect=plan.protected,
            ),
            self._own,
        )

    def _profile(self, plan: MachinePlan) -> pulumi.Output[str] | None:
        """What the machine may ask of the provider: nothing, where it keeps nothing of worth."""
        if not plan.nodes and not plan.public:
            return None
        database = self._database if plan.public else None
        escrow = self._keys.escrow.get(plan.name)
        identity = Identity(
            plan.name,
            IdentityArgs(
                machine=plan.name,
                key_arn=self._keys.key.arn,
                bucket_arns=tuple(one.arn for one in self._backups.buckets.values()),
                escrow_arn=escrow.arn if escrow else None,
                database_secret_arn=database.secret_arn if database else None,
            ),
            self._own,
        )
        self._identities.append(identity)
        return identity.profile.name

    def _watch(self, hosts: dict[str, Host]) -> None:
        Monitoring(
            self._name,
            MonitoringArgs(
                vpc_id=self._network.vpc.id,
                instances={name: one.instance.id for name, one in hosts.items()},
                key_arn=self._keys.key.arn,
                email=self._config.alarm_email,
                database=self._database.instance.identifier if self._database else None,
            ),
            self._own,
        )

    def _told(self, hosts: dict[str, Host], gate: Host) -> Built:
        platform = self._layout.spec.platform
        address = _public(hosts[platform.host]) if platform.host in hosts else None
        names = tuple(platform.names)
        named = []
        if self._config.zone_id is not None and address is not None and names:
            args = NamesArgs(self._config.zone_id, names, address)
            named.append(Names(self._name, args, self._own))
        outside = self._layout.config.outside.get(platform.host)
        api = names[0] if names else (address or str(outside.address if outside else ""))
        made = {
            name: BuiltHost(one.key, one.address, one.key.host_key, USER, self._key_file(), GATE)
            for name, one in hosts.items()
        }
        made[GATE] = BuiltHost(
            *(gate.key, _public(gate), gate.key.host_key, USER, self._key_file()),
            forwards=True,
            inside=gate.address,
        )
        return Built(
            hosts=made,
            api_host=pulumi.Output.from_input(api),
            ssh_sources=[gate.address],
            variables=self._variables(),
            parts=[*self._parts(), *hosts.values(), gate, *named],
        )

    def _parts(self) -> list[pulumi.Resource]:
        found = [self._network, self._firewall, self._keys, self._backups, *self._identities]
        return [*found, self._database] if self._database is not None else [*found]

    def _variables(self) -> dict[str, pulumi.Input[Any]]:
        """What the roles are told of the cloud's parts."""
        places = {
            kind: pulumi.Output.format(
                "s3:https://s3.{0}.amazonaws.com/{1}/{2}",
                self._config.region,
                bucket.bucket,
                "{{ inventory_hostname }}",
            )
            for kind, bucket in self._backups.buckets.items()
        }
        told: dict[str, pulumi.Input[Any]] = {
            "backup_repository": places["data"],
            "backup_key_repository": places["keys"],
        }
        return told | self._database_variables()

    def _database_variables(self) -> dict[str, pulumi.Input[Any]]:
        if self._database is None:
            return {}
        told: dict[str, pulumi.Input[Any]] = {
            "platform_database": "remote",
            "platform_database_url": self._database.url,
            "platform_database_password_file": PASSWORD_FILE,
            "platform_database_ca_file": CA_FILE,
            "postgresql_remote_ca_url": database_ca_url(self._config.region),
            "postgresql_remote_secret_arn": self._database.secret_arn,
        }
        if self._config.database_ca_checksum is not None:
            told["postgresql_remote_ca_checksum"] = self._config.database_ca_checksum
        return told

    def _key_file(self) -> pulumi.Output[str]:
        return pulumi.Output.from_input(self._config.operator_key_file)


def groups_of(plan: MachinePlan) -> tuple[GroupName, ...]:
    """The security groups of a machine."""
    if plan.name == GATE:
        return ("gate",)
    found: list[GroupName] = []
    if "node" in plan.kinds:
        found.append("node")
    if "platform" in plan.kinds:
        found.append("platform")
    if "monitoring" in plan.kinds:
        found.append("monitoring")
    return tuple(found)


def tags_of(layout: Layout, stack: str) -> dict[str, str]:
    """Tags of everything."""
    return {
        **layout.config.tags,
        "steelyard:stack": stack,
        "steelyard:consortium": layout.spec.name,
    }


def _public(host: Host) -> pulumi.Output[str]:
    if host.public_address is None:
        raise InvalidStack(["the platform's machine has no public address"])
    return host.public_address
