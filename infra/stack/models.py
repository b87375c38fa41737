"""A stack's configuration, as `pulumi config` holds it under the project's name `steelyard`.

The consortium is described as Ansible's inventories do it (infra.consortium); nothing of it is said
a second time here. docs/reference/stack.md and the schema in Pulumi.yaml are written from here.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from infra.consortium.models import Described, Host, Name

Size = Literal["small", "medium", "large", "xlarge"]
TargetName = Literal["aws", "local"]


def _network(value: object) -> object:
    # A number would be taken for an address by ipaddress.
    return value if isinstance(value, IPv4Network) else IPv4Network(str(value), strict=True)


Network = Annotated[IPv4Network, BeforeValidator(_network)]
File = Annotated[str, StringConstraints(min_length=1)]


class SizesConfig(Described):
    """Sizes of machines. A customer's may be said by name, because stations are not even."""

    network: Size = Field(default="small", description="The machines of the network's nodes.")
    customer: Size = Field(
        default="medium", description="A customer's machine: its admin node and its stations'."
    )
    platform: Size = Field(default="medium", description="The machine of both APIs.")
    monitoring: Size = Field(default="small", description="The machine that collects figures.")
    other: Size = Field(default="small", description="Every other machine, such as a SmartBox.")
    customers: dict[Name, Size] = Field(
        default={}, description="Sizes of single customers' machines, by the customers' names."
    )


class OutsideHost(Described):
    """A host that the stack does not make and the inventory has, such as a station's SmartBox."""

    address: IPv4Address = Field(description="The address by which operator and members reach it.")
    user: Name = Field(default="deploy", description="Account with sudo that Ansible uses there.")
    host_key: Annotated[
        str, StringConstraints(pattern=r"^(ssh-ed25519|ecdsa-sha2-\S+|ssh-rsa) [A-Za-z0-9+/=]+$")
    ] = Field(description="Its public host key, as ssh writes it: `ssh-ed25519 AAAA...`.")


class ApplicationConfig(Described):
    """What is installed. Paths are the operator's own, relative to the checkout."""

    server_bundle: File = Field(
        description="Bundle for the nodes' hosts and the platform (scripts/bundle.py server)."
    )
    station_bundle: File | None = Field(
        default=None, description="Bundle for SmartBoxes (scripts/bundle.py station)."
    )


class BackupsConfig(Described):
    """Backups. Times are in days."""

    retention_days: int = Field(
        default=35,
        ge=7,
        le=3650,
        description="How long a backup cannot be deleted by anybody (object lock, compliance).",
    )
    database_days: int = Field(
        default=14, ge=1, le=35, description="How long the database's own backups are kept."
    )


class LocalConfig(Described):
    """Target `local`: machines on this computer, by systemd-nspawn (Linux, root)."""

    directory: File | None = Field(
        default=None,
        description="Where the machines' disks and keys are; .cache/stacks/STACK when not set.",
    )
    suite: Literal["bookworm", "trixie"] = Field(
        default="bookworm", description="Debian's release on the machines."
    )
    packages: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+-]*$")]] = Field(
        default=[],
        description="Debian packages that are in the machines' disks from the start; saves time.",
    )


class AwsNetworkConfig(Described):
    """Address space in the cloud. Subnets that are not given are cut from `range`."""

    range: Network = Field(
        default=IPv4Network("10.64.0.0/16"), description="The whole network's range, /16 to /24."
    )
    zones: list[Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")]] = Field(
        default=[], description="Availability zones, two at least; a, b and c of the region."
    )
    public: list[Network] = Field(
        default=[], description="Subnets of the platform and the gate, one a zone."
    )
    private: list[Network] = Field(
        default=[], description="Subnets of the nodes and the database, one a zone."
    )
    reserved: list[Network] = Field(
        default=[],
        description="Networks that are routed elsewhere (offices, stations): must not overlap.",
    )


class AwsConfig(Described):
    """Target `aws`. Credentials come from the environment, as the provider's own tools have it."""

    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = Field(
        description="The region, such as eu-west-1."
    )
    image: Annotated[str, StringConstraints(pattern=r"^ami-[0-9a-f]{8,17}$")] = Field(
        description="Debian 12 or 13's image for x86-64 in that region. It must be a pinned one."
    )
    operator_public_key: Annotated[
        str, StringConstraints(pattern=r"^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]+( .*)?$")
    ] = Field(description="The operator's public SSH key, which machines let in.")
    operator_key_file: File = Field(
        description="File with the private half on the operator's computer; it is never read here."
    )
    network: AwsNetworkConfig = Field(default=AwsNetworkConfig(), description="Address space.")
    zone_id: Annotated[str, StringConstraints(pattern=r"^Z[A-Z0-9]{5,31}$")] | None = Field(
        default=None,
        description="Route 53's hosted zone in which the platform's names stand; none without.",
    )
    database: Literal["rds", "host"] = Field(
        default="host",
        description="PostgreSQL as a service (rds), or on the platform's own machine (host).",
    )
    database_ca_checksum: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = (
        Field(
            default=None,
            description=(
                "SHA-256 of the region's bundle of authorities of the databases' certificates, "
                "which the platform's machine fetches. Required for rds with `configure`."
            ),
        )
    )
    database_class: Annotated[str, StringConstraints(pattern=r"^db\.[a-z0-9]+\.[a-z0-9]+$")] = (
        Field(default="db.t4g.medium", description="The class of the database's instances.")
    )
    alarm_email: Annotated[str, StringConstraints(pattern=r"^\S+@\S+$")] | None = Field(
        default=None, description="Who is told when a machine fails."
    )


class StackConfig(Described):
    """The whole configuration. What is not known is refused."""

    target: TargetName = Field(description="Where the machines are: `aws`, or `local`.")
    consortium: dict[str, Any] = Field(
        description=(
            "The consortium, as an inventory describes it (docs/how-to/deploy.md). Hosts may be "
            "left out: a node of the network has its own machine, a customer one for its admin "
            "node and its stations', and the platform one."
        )
    )
    operators: list[Network] = Field(
        min_length=1,
        description="Networks from which operators come by ssh; a /32 for one address.",
    )
    configure: bool = Field(
        default=True,
        description="Whether playbooks/site.yml is run, or left to the operator.",
    )
    application: ApplicationConfig | None = Field(
        default=None, description="What is installed. Required with `configure`."
    )
    variables: dict[str, Any] = Field(
        default={},
        description="Variables of the roles (docs/reference/roles.md), for every host. No secrets.",
    )
    sizes: SizesConfig = Field(default=SizesConfig(), description="Sizes of machines.")
    leaving: list[str] = Field(
        default=[],
        description=(
            "Nodes of the network, customers, and stations that leave, by their names: they are "
            "voted out and taken out of service now, and may be deleted by the update after."
        ),
    )
    outside: dict[Host, OutsideHost] = Field(
        default={}, description="Hosts that the stack does not make, by their names."
    )
    monitoring: bool = Field(
        default=False,
        description=(
            "Whether a machine `monitoring` collects the figures of all hosts (Prometheus), and "
            "all hosts tell them."
        ),
    )
    protect: bool = Field(
        default=True, description="Whether what holds tickets is protected from being deleted."
    )
    backups: BackupsConfig = Field(default=BackupsConfig(), description="Backups.")
    tags: dict[str, str] = Field(default={}, description="Further tags of everything in the cloud.")
    local: LocalConfig = Field(default=LocalConfig(), description="Target `local`.")
    aws: AwsConfig | None = Field(default=None, description="Target `aws`. Required with it.")
