"""Target `local`: the whole consortium on this computer, to try everything without a cloud."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pulumi

from infra.stack.layout import Layout, MachinePlan
from infra.targets.interface import Built, BuiltHost
from infra.targets.local.machines import LocalMachine


@dataclass(frozen=True)
class LocalHostsArgs:
    """Machines, and what their disks have. `directory`: absolute."""

    machines: tuple[MachinePlan, ...]
    directory: Path
    suite: str
    packages: tuple[str, ...]


class LocalHosts(pulumi.ComponentResource):
    """The machines of a stack on this computer."""

    def __init__(
        self, name: str, args: LocalHostsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("steelyard:local:Hosts", name, {}, opts)
        disk = {
            "directory": str(args.directory),
            "suite": args.suite,
            "packages": sorted(args.packages),
        }
        self.machines = {
            plan.name: LocalMachine(
                plan.name, disk, pulumi.ResourceOptions(parent=self, protect=plan.protected)
            )
            for plan in args.machines
        }
        self.register_outputs({"addresses": _addresses(self.machines.values())})


def _addresses(machines: Iterable[LocalMachine]) -> list[pulumi.Output[str]]:
    return [one.address for one in machines]


@dataclass(frozen=True)
class LocalTarget:
    """`root`: the checkout; `stack`: the stack's name, for the directory that is not given."""

    root: Path
    stack: str

    def build(self, layout: Layout, parent: pulumi.Resource) -> Built:
        """Machines on one bridge. Sizes, subnets and a managed database are the cloud's."""
        local = layout.config.local
        directory = self.root / (local.directory or f".cache/stacks/{self.stack}")
        hosts = LocalHosts(
            "hosts",
            LocalHostsArgs(layout.machines, directory, local.suite, tuple(local.packages)),
            pulumi.ResourceOptions(parent=parent),
        )
        platform = layout.spec.platform
        outside = layout.config.outside.get(platform.host)
        api = str(outside.address) if outside else hosts.machines[platform.host].address
        first = next(iter(hosts.machines.values()), None)
        return Built(
            hosts={
                name: BuiltHost(one, one.address, one.host_key, LocalMachine.user, one.key_file)
                for name, one in hosts.machines.items()
            },
            # No name server knows platform.names here.
            api_host=pulumi.Output.from_input(api),
            # The operator comes from this computer's end of the bridge.
            ssh_sources=[first.own_address] if first else [],
        )
